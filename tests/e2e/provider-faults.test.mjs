// A provider that changes its keys, fails, or is not there.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson, signIn, signInAtProvider } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { NAVIGATION } from './support/https.mjs';
import { screenshotFile } from './support/paths.mjs';
import { startWorld } from './support/world.mjs';

let browser;
before(async () => { browser = await launchBrowser(); });
after(() => browser?.close());

test('new keys at the provider between two sign-ins cost exactly one fetch of the key set (I08)', async () => {
  const world = await startWorld();
  const { gateway, provider, target } = world;
  try {
    const alice = await newPerson(browser);
    await signIn(await alice.newPage(), gateway.url('/before'), 'alice');
    const fetched = provider.calls('/jwks');

    provider.rotateKeys();
    const bob = await newPerson(browser);
    await signIn(await bob.newPage(), gateway.url('/after'), 'bob');
    assert.equal(target.request('/after').headers['x-amzn-oidc-identity'], 'bob');
    assert.equal(provider.calls('/jwks'), fetched + 1);

    const page = await alice.newPage();
    await page.goto(gateway.url('/still'));
    assert.equal(target.request('/still').headers['x-amzn-oidc-identity'], 'alice', 'whoever was signed in stays so');
    await alice.close();
    await bob.close();
  } finally {
    await world.stop();
  }
});

test('a provider that fails in the middle of a sign-in gets a page with a way on, and the log has the reason (I03)', async () => {
  const world = await startWorld();
  const { gateway, provider, target } = world;
  const faults = {
    'drops the connection': (request) => request.socket.destroy(),
    'answers 503': (request, response) => response.writeHead(503).end('later'),
    'answers with a page of HTML': (request, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Maintenance</h1>'),
  };
  try {
    for (const [name, fault] of Object.entries(faults)) {
      const person = await newPerson(browser);
      const page = await person.newPage();
      await page.goto(gateway.url('/unlucky'));
      provider.fault('/token', fault);
      const failed = page.waitForResponse((response) => response.url().startsWith(gateway.url('/oauth2/idpresponse')));
      await signInAtProvider(page);
      const answer = await failed;
      assert.equal(answer.status(), 561, name);
      await page.getByText('Sign-in is not answering right now.').waitFor();
      assert.match(answer.headers()['cache-control'], /no-store/);
      assert.match(answer.headers()['retry-after'] ?? '', /^\d+$/, 'Retry-After');

      const content = await page.content();
      const line = await eventually('the request id of the page is in the access log', () => gateway.accessLog().find(({ request_id: id }) => content.includes(id)));
      assert.match(line.error_reason, /^Auth/, name);

      provider.fault('/token', undefined);
      await page.goto(gateway.url('/unlucky'));
      await page.getByRole('heading', { name: 'The application' }).waitFor();
      assert.equal(target.requests.at(-1).headers['x-amzn-oidc-identity'], 'alice', `${name}: the next attempt succeeds`);
      await person.close();
    }
  } finally {
    await world.stop();
  }
});

test('with the provider down at start the gateway serves what needs no sign-in, and signs people in once it is up (I02)', async () => {
  const world = await startWorld({ providerRunning: false });
  const { gateway, provider, target } = world;
  try {
    assert.equal((await gateway.get('/public/page')).status, 200);
    const person = await newPerson(browser);
    const page = await person.newPage();
    const answer = await page.goto(gateway.url('/private'));
    assert.equal(answer.status(), 561);
    await page.getByText('Sign-in is not answering right now.').waitFor();
    await page.screenshot({ path: screenshotFile('error-provider-down') });
    assert.equal(target.request('/private'), undefined);

    await provider.up();
    await eventually('the gateway sends people to the provider', async () => (await gateway.get('/private', NAVIGATION)).status === 302, 40);
    await signIn(page, gateway.url('/private'));
    assert.equal(target.request('/private').headers['x-amzn-oidc-identity'], 'alice');
    await person.close();
  } finally {
    await world.stop();
  }
});

test('neither codes nor tokens, cookies or secrets are in any log at the most talkative level (U10)', async () => {
  const world = await startWorld();
  const { gateway, provider, target } = world;
  try {
    const person = await newPerson(browser);
    const page = await person.newPage();
    await signIn(page, gateway.url('/logged'));
    const cookies = await person.cookies(gateway.origin);
    provider.fault('/token', (request, response) => response.writeHead(400, { 'Content-Type': 'application/json' }).end('{"error":"invalid_grant"}'));
    await person.clearCookies({ domain: 'app.test' });
    await page.goto(gateway.url('/failing'));
    await eventually('the failed sign-in is in the access log', () => gateway.accessLog().some(({ error_reason: reason }) => /^Auth/.test(reason ?? '')));

    const { headers } = target.request('/logged');
    const secrets = [provider.clientSecret, ...provider.issued, ...cookies.map(({ value }) => value), headers['x-amzn-oidc-data']];
    const logs = gateway.logs();
    assert.ok(logs.length > 500, 'there is a log to look at');
    for (const secret of secrets) {
      for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').replace(/=+$/, '')]) {
        assert.ok(!logs.includes(form), `the log holds ${secret.slice(0, 6)}…`);
      }
    }
    await person.close();
  } finally {
    await world.stop();
  }
});
