// Pages that ask for a stronger or a more recent sign-in, at a provider that nobody here wrote. Screenshots are kept, to be looked at.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { interactionPolicy } from 'oidc-provider';
import { enterPassword, launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { authenticate } from './support/gateway.mjs';
import { screenshotFile } from './support/paths.mjs';
import { startWorld } from './support/world.mjs';

const STRONG = 'urn:example:loa:2';
const WEAK = 'urn:example:loa:1';

/** Asks again when somebody is known and not well enough, as providers with levels of authentication do. */
function withLevels(options) {
  const policy = interactionPolicy.base();
  policy.get('login').checks.add(new interactionPolicy.Check('acr_values', 'a stronger sign-in is asked for', ({ oidc }) => {
    const asked = oidc.params.acr_values?.split(' ') ?? [];
    return asked.length > 0 && !asked.includes(oidc.acr) && !oidc.result?.login;
  }));
  return { ...options, acrValues: [STRONG, WEAK], interactions: { ...options.interactions, policy } };
}

/** Alice has a second factor for whoever asks for it; bob has none. */
function level(user, { acr_values: asked }) {
  return user === 'alice' && asked?.includes(STRONG) ? { acr: STRONG, amr: ['pwd', 'otp'] } : { acr: WEAK, amr: ['pwd'] };
}

let browser;
let world;
before(async () => {
  browser = await launchBrowser();
  world = await startWorld({
    providerOptions: { options: withLevels, signIn: level },
    edit(configuration) {
      const rule = (priority, path, demands) => {
        const action = authenticate('authenticate');
        Object.assign(action.authenticate, demands);
        return { priority, conditions: [{ path_pattern: [path] }], actions: [action, { forward: 'app' }] };
      };
      configuration.listeners[0].rules.push(rule(40, '/payroll/*', { acr_values: [STRONG] }), rule(50, '/recent/*', { max_age: '8s' }));
      return configuration;
    },
  });
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

const application = (page) => page.getByRole('heading', { name: 'The application' }).waitFor();

test('a session that is not enough leads to the second factor and back to the page, and is good for the others too', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, gateway.url('/'));

  const answer = await page.evaluate(async () => {
    const response = await fetch('/payroll/data');
    return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.json() };
  });
  assert.equal(answer.status, 401);
  assert.match(answer.challenge, /error="insufficient_user_authentication".*acr_values="urn:example:loa:2"/);
  assert.equal(answer.body.error, 'insufficient_user_authentication');
  assert.equal(target.request('/payroll/data'), undefined, 'the application saw the request');

  await page.goto(gateway.url('/payroll/january?currency=EUR'));
  await page.getByRole('heading', { name: 'Provider sign-in' }).waitFor();
  await enterPassword(page);
  await application(page);
  assert.equal(page.url(), gateway.url('/payroll/january?currency=EUR'));
  for (const path of ['/', '/payroll/february']) {
    await page.goto(gateway.url(path));
    await application(page);
    assert.equal(page.url(), gateway.url(path));
  }
  await person.close();
});

test('a person who has no second factor reads so, can try again, and is still signed in for the rest', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, gateway.url('/'), 'bob');
  await page.goto(gateway.url('/payroll/bob'));
  await enterPassword(page, 'bob');
  await page.getByRole('heading', { name: 'This page asks for more' }).waitFor();
  await page.screenshot({ path: screenshotFile('step-up-1-not-enough'), fullPage: true });
  assert.equal(target.request('/payroll/bob'), undefined, 'the application saw the request');
  const line = gateway.accessLog().find(({ error_reason: reason, elb_status_code: status }) => reason === 'AuthInsufficientAuthentication' && status === 403);
  assert.ok((await page.textContent('body')).includes(line.request_id), 'the page has the request id of the log');

  const way = new URL(await page.getByRole('link', { name: /^Back/ }).getAttribute('href'), page.url());
  const other = await person.newPage();
  await other.goto(way.href);
  await application(other);
  // The provider asks although it knows bob, and bob has no more to give: the page again, not a loop.
  await page.getByRole('link', { name: 'Sign in again' }).click();
  await page.getByRole('heading', { name: 'Provider sign-in' }).waitFor();
  await enterPassword(page, 'bob');
  await page.getByRole('heading', { name: 'This page asks for more' }).waitFor();
  assert.equal(target.request('/payroll/bob'), undefined, 'the application saw the request');
  await other.reload();
  await application(other);
  await person.close();
});

test('a sign-in grows too old for one page and not for the others', async () => {
  const { gateway } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, gateway.url('/recent/report'));
  await page.goto(gateway.url('/recent/report'));
  await application(page);
  await eventually('the sign-in is too old', async () => {
    await page.goto(gateway.url('/recent/report'));
    return await page.getByRole('heading', { name: 'Provider sign-in' }).count() === 1;
  });
  const other = await person.newPage();
  await other.goto(gateway.url('/'));
  await application(other);
  await enterPassword(page);
  await application(page);
  assert.equal(page.url(), gateway.url('/recent/report'));
  await person.close();
});

for (const [name, options] of Object.entries({
  'in the dark': { colorScheme: 'dark' },
  'at 320 pixels': { viewport: { width: 320, height: 640 } },
  'in German without script': { locale: 'de-DE', javaScriptEnabled: false },
})) {
  test(`the page that asks for more can be read ${name}`, async () => {
    const person = await newPerson(browser, options);
    const page = await person.newPage();
    await page.goto(world.gateway.url('/payroll/bob'));
    await enterPassword(page, 'bob');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText(options.locale ? 'Für diese Seite ist mehr nötig' : 'This page asks for more').first().waitFor();
    await page.screenshot({ path: screenshotFile(`step-up-2-${name.replaceAll(' ', '-')}`), fullPage: true });
    if (options.javaScriptEnabled !== false) {
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(sideways, 0, `${sideways} pixels too wide`);
    }
    await person.close();
  });
}
