// Who is signed in and still not one of those for whom a page is. Screenshots are kept, to be looked at.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson, signIn, signInAtProvider } from './support/browser.mjs';
import { makeCertificates } from './support/certificates.mjs';
import { eventually } from './support/eventually.mjs';
import { authenticate, freePorts, Gateway } from './support/gateway.mjs';
import { binary, freshFolder, screenshotFile } from './support/paths.mjs';
import { freePort, Process } from './support/processes.mjs';
import { Target } from './support/target.mjs';
import { startWorld } from './support/world.mjs';

let browser;
let world;
before(async () => {
  browser = await launchBrowser();
  world = await startWorld({
    edit(configuration) {
      configuration.listeners[0].rules.push({
        priority: 40,
        conditions: [{ path_pattern: ['/admins/*'] }],
        actions: [
          authenticate('authenticate'),
          { authorize: { groups: ['admins'], emails: ['*@example.com'], allow: 'request.method in ["GET", "HEAD"] || "owners" in claims.groups' } },
          { forward: 'app' },
        ],
      });
      return configuration;
    },
  });
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test('a person without the group reads whom the page is for, signs in as somebody else, and arrives', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, gateway.url('/'), 'bob');

  const refused = await page.goto(gateway.url('/admins/report?year=2026'));
  assert.equal(refused.status(), 403);
  assert.match(refused.headers()['content-security-policy'], /default-src 'none'/);
  assert.match(refused.headers()['cache-control'], /no-store/);
  await page.getByText('You are signed in as bob@example.com, but this page is for others.').waitFor();
  await page.screenshot({ path: screenshotFile('authorize-1-forbidden'), fullPage: true });
  assert.equal(target.request('/admins/report?year=2026'), undefined, 'the application saw the request');
  const line = gateway.accessLog().find(({ error_reason: reason }) => reason === 'AuthForbidden');
  assert.equal(line.authorize_decision, 'refused');
  assert.ok((await page.textContent('body')).includes(line.request_id), 'the page has the request id of the log');

  await page.getByRole('link', { name: 'Sign in as someone else' }).click();
  await page.getByRole('button', { name: 'Sign out at the provider' }).click();
  await signInAtProvider(page, 'alice');
  await page.getByRole('heading', { name: 'The application' }).waitFor();
  assert.equal(page.url(), gateway.url('/admins/report?year=2026'));
  assert.equal(target.request('/admins/report?year=2026').headers['x-amzn-oidc-identity'], 'alice');

  const answer = await page.evaluate(async () => {
    const response = await fetch('/admins/report', { method: 'DELETE' });
    return { status: response.status, body: await response.json() };
  });
  assert.equal(answer.status, 403);
  assert.equal(answer.body.error, 'forbidden');
  await person.close();
});

for (const [name, options] of Object.entries({
  'in the dark': { colorScheme: 'dark' },
  'at 320 pixels': { viewport: { width: 320, height: 640 } },
  'in German without script': { locale: 'de-DE', javaScriptEnabled: false },
})) {
  test(`the page for others can be read ${name}`, async () => {
    const person = await newPerson(browser, options);
    const page = await person.newPage();
    await signIn(page, world.gateway.url('/'), 'bob');
    assert.equal((await page.goto(world.gateway.url('/admins/report'))).status(), 403);
    await page.getByText('bob@example.com').waitFor();
    await page.screenshot({ path: screenshotFile(`authorize-2-${name.replaceAll(' ', '-')}`), fullPage: true });
    if (options.javaScriptEnabled !== false) {
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(sideways, 0, `${sideways} pixels too wide`);
    }
    await person.close();
  });
}

test('behind a user pool, which knows one address to return to, the way out is no dead end', async () => {
  const folder = freshFolder('user-pool');
  const [poolPort, ports, target] = [await freePort(), await freePorts(), await Target.start()];
  const gateway = new Gateway({
    ...ports,
    certificates: makeCertificates(freshFolder('certificates')),
    targetAddress: target.address,
    identityProvider: {
      type: 'cognito',
      user_pool_arn: 'arn:aws:cognito-idp:local:000000000000:userpool/local_Vestibule',
      user_pool_client_id: 'gateway',
      endpoint: `http://localhost:${poolPort}`,
    },
    edit(configuration) {
      configuration.listeners[0].default_actions = [
        { authenticate: { identity_provider: 'provider', scope: 'openid email profile' } }, { authorize: { groups: ['admins'] } }, { forward: 'app' },
      ];
      for (const { actions } of configuration.listeners[0].rules) actions.forEach(({ authenticate: action }) => { if (action) action.scope = 'openid'; });
      return configuration;
    },
  });
  const configuration = path.join(folder, 'pool.yaml');
  writeFileSync(configuration, JSON.stringify({
    address: `127.0.0.1:${poolPort}`,
    clients: [{ id: 'gateway', redirect_uris: [gateway.url('/oauth2/idpresponse')], logout_uris: [gateway.url('/oauth2/logout')] }],
  }));
  const pool = new Process(binary, ['identity-provider', '--config', configuration], { cwd: folder, outputFile: path.join(folder, 'pool.log') });
  try {
    await gateway.start();
    const person = await newPerson(browser);
    const page = await person.newPage();
    const enter = async (user, password) => {
      await page.locator('input[name=username]').fill(user);
      await page.locator('input[type=password]').fill(password);
      await page.getByRole('button', { name: /^sign in$/i }).click();
      await page.waitForURL((url) => url.origin === gateway.origin);
    };
    await eventually('the pool shows its sign-in page', async () => {
      pool.ensureRunning();
      await page.goto(gateway.url('/report'));
      return await page.locator('input[type=password]').count() === 1;
    });
    await enter('bob', 'builder');
    await page.getByText('You are signed in as bob@example.com, but this page is for others.').waitFor();
    await page.getByRole('link', { name: 'Sign in as someone else' }).click();
    await page.getByText('You are signed out.').waitFor();
    assert.equal(new URL(page.url()).origin, gateway.origin);
    await page.getByRole('link', { name: 'Sign in again' }).click();
    await enter('alice', 'wonderland');
    await page.getByRole('heading', { name: 'The application' }).waitFor();
    await person.close();
  } finally {
    await gateway.stop();
    await pool.stop();
    await target.stop();
  }
});
