// The end of a session: by the person's wish, and by time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gatewayCookies, launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { startWorld } from './support/world.mjs';

let browser;
before(async () => { browser = await launchBrowser(); });
after(() => browser?.close());

test('signing out ends both sessions and lands on a page that says so (S12, S13)', async () => {
  const world = await startWorld();
  const { gateway, provider } = world;
  try {
    const person = await newPerson(browser);
    const page = await person.newPage();
    await signIn(page, gateway.url('/'));
    const before = await person.cookies(gateway.origin);

    await page.getByRole('link', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign out at the provider' }).click();
    await page.waitForURL((url) => url.origin === gateway.origin);
    await page.getByText('You are signed out.').waitFor();
    assert.equal(await page.getByRole('link', { name: 'Sign in again' }).or(page.getByRole('button', { name: 'Sign in again' })).count(), 1);
    assert.deepEqual((await gatewayCookies(person, gateway.origin)).filter(({ name }) => name.startsWith('AWSELBAuthSessionCookie')), []);

    await page.goto(gateway.url('/again'));
    assert.equal(new URL(page.url()).origin, provider.issuer);
    assert.equal(await page.getByLabel('Password').count(), 1, 'the provider asks for the password again');

    // A copy that somebody took of the cookies before.
    const thief = await newPerson(browser);
    await thief.addCookies(before);
    const stolen = await thief.newPage();
    await stolen.goto(gateway.url('/again'));
    assert.equal(new URL(stolen.url()).origin, provider.issuer, 'a copied cookie is of no use after signing out');
    await person.close();
    await thief.close();
  } finally {
    await world.stop();
  }
});

test('an expired session takes a person past the provider and back to the page asked for, also in deny mode (S10)', async () => {
  const world = await startWorld({
    edit(configuration) {
      const [{ rules, default_actions: defaultActions }] = configuration.listeners;
      for (const { authenticate } of [...rules.flatMap(({ actions }) => actions), ...defaultActions]) {
        if (authenticate) authenticate.session_timeout = '2s';
      }
      return configuration;
    },
  });
  const { gateway, provider, target } = world;
  try {
    const person = await newPerson(browser);
    const page = await person.newPage();
    await signIn(page, gateway.url('/'));
    const cookies = await person.cookies(gateway.origin);
    const signIns = provider.calls('/token');

    // The server decides, not the browser: the cookies are put back whatever their own end was.
    const asks = async (path) => {
      await person.addCookies(cookies.map((cookie) => ({ ...cookie, expires: -1 })));
      const seen = target.requests.length;
      const answer = await page.goto(gateway.url(path));
      assert.equal(answer.status(), 200);
      assert.equal(page.url(), gateway.url(path));
      assert.equal(target.requests.length, seen + 1);
      return provider.calls('/token');
    };
    await eventually('the session has expired and the provider is asked again', async () => (await asks('/later?a=b')) > signIns);
    const again = provider.calls('/token');
    assert.equal(await asks('/deny/later'), again + 1, 'in deny mode an expired session is sent to the provider, as ALB does');
    assert.equal(target.requests.at(-1).headers['x-amzn-oidc-identity'], 'alice');
    await person.close();
  } finally {
    await world.stop();
  }
});
