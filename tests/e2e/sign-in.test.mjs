// Signing in with a browser at a provider that nobody here wrote.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { enterPassword, gatewayCookies, launchBrowser, newPerson, signIn, signInAtProvider } from './support/browser.mjs';
import { SIGNER } from './support/gateway.mjs';
import { ACCOUNTS } from './support/provider.mjs';
import { startWorld } from './support/world.mjs';

const PAGE = '/reports/deep%20path/x.html?y=1&z=%26%2F';

let browser;
let world;
before(async () => {
  browser = await launchBrowser();
  world = await startWorld();
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

test('a person who asks for a page signs in and ends at exactly that page, query included', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();

  await page.goto(gateway.url(PAGE));
  assert.equal(new URL(page.url()).origin, world.provider.issuer, 'the provider asks for the password');
  assert.equal(target.requests.length, 0, 'the target sees nothing before');

  await signInAtProvider(page);
  await page.getByRole('heading', { name: 'The application' }).waitFor();
  assert.equal(page.url(), gateway.url(PAGE));
  assert.deepEqual(target.requests.map(({ url }) => url), [PAGE]);
  assert.equal(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol), 'h2');
  await person.close();
});

test('the target receives three identity headers and the claims asked for, and none of the gateway\'s cookies (S17)', async () => {
  const { gateway, provider, target } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await person.addCookies([{ name: 'theme', value: 'dark', url: gateway.origin }]);
  await signIn(page, gateway.url('/headers'));

  const { headers } = target.request('/headers');
  assert.equal(headers['x-amzn-oidc-identity'], 'alice');
  assert.ok(provider.issued.has(headers['x-amzn-oidc-accesstoken']), 'the access token is the one that the provider gave');
  assert.equal(headers['x-auth-email'], ACCOUNTS.alice.claims.email);
  assert.deepEqual(new Set(headers['x-auth-groups'].split(',')), new Set(ACCOUNTS.alice.claims.groups));
  assert.equal(headers.cookie, 'theme=dark');
  assert.equal(headers['x-forwarded-proto'], 'https');
  assert.equal(headers['x-forwarded-port'], String(gateway.port));
  assert.equal(headers['x-forwarded-for'], '127.0.0.1');
  assert.match(headers['x-amzn-trace-id'], /^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$/);

  const [header, payload] = headers['x-amzn-oidc-data'].split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
  assert.deepEqual({ ...header, kid: '', exp: 0 }, {
    typ: 'JWT', kid: '', alg: 'ES256', iss: provider.issuer, client: provider.clientId, signer: SIGNER, exp: 0,
  });
  assert.match(header.kid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  const { exp, iss, ...claims } = payload;
  assert.deepEqual([exp, iss], [header.exp, provider.issuer]);
  for (const [name, value] of Object.entries({ sub: 'alice', ...ACCOUNTS.alice.claims })) assert.deepEqual(claims[name], value, name);
  await person.close();
});

test('every cookie of the gateway is Secure, HttpOnly and SameSite=Lax, for this host alone, and at most 4,096 bytes (S02, S03)', async () => {
  const { gateway } = world;
  const person = await newPerson(browser);
  await signIn(await person.newPage(), gateway.url('/cookies'));

  const cookies = await gatewayCookies(person, gateway.origin);
  assert.ok(cookies.some(({ name }) => name === 'AWSELBAuthSessionCookie-0'), 'the session has a numbered cookie');
  for (const { name, value, domain, path, secure, httpOnly, sameSite } of cookies) {
    assert.deepEqual({ name, domain, path, secure, httpOnly, sameSite },
      { name, domain: 'app.test', path: '/', secure: true, httpOnly: true, sameSite: 'Lax' });
    assert.ok(name.length + value.length < 4096);
  }
  await person.close();
});

test('a second tab is signed in without asking the provider', async () => {
  const { gateway, provider, target } = world;
  const person = await newPerson(browser);
  await signIn(await person.newPage(), gateway.url('/first-tab'));
  const asked = ['/auth', '/token', '/me'].map((path) => provider.calls(path));

  const second = await person.newPage();
  await second.goto(gateway.url('/second-tab'));
  assert.equal(second.url(), gateway.url('/second-tab'));
  assert.equal(target.request('/second-tab').headers['x-amzn-oidc-identity'], 'alice');
  assert.deepEqual(['/auth', '/token', '/me'].map((path) => provider.calls(path)), asked);
  await person.close();
});

test('two tabs that sign in at once finish in reverse order, each at its own page (F07)', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser);
  const first = await person.newPage();
  const second = await person.newPage();
  await first.goto(gateway.url('/tab/1?n=1'));
  await second.goto(gateway.url('/tab/2?n=2'));

  await signInAtProvider(second);
  await second.waitForURL(gateway.url('/tab/2?n=2'));
  // The provider asks for the password on the page that was open already, and for consent no more.
  await enterPassword(first);
  await first.waitForURL(gateway.url('/tab/1?n=1'));
  assert.equal(target.request('/tab/1?n=1').headers['x-amzn-oidc-identity'], 'alice');
  assert.equal(target.request('/tab/2?n=2').headers['x-amzn-oidc-identity'], 'alice');
  await person.close();
});

test('a callback in a browser that did not start the sign-in is refused, and the code is still good where it belongs (F01)', async () => {
  const { gateway, provider } = world;
  const alice = await newPerson(browser);
  const page = await alice.newPage();
  await page.goto(gateway.url('/forced'));
  const nonce = await alice.cookies(gateway.origin);
  await alice.clearCookies({ domain: 'app.test' });
  const spent = provider.calls('/token');
  await signInAtProvider(page);
  await page.waitForURL(gateway.url('/oauth2/idpresponse?*'));
  const callback = page.url();

  const victim = await newPerson(browser);
  const elsewhere = await victim.newPage();
  for (const description of ['a browser without any login', 'a browser with a login of its own under way']) {
    const answer = await elsewhere.goto(callback);
    assert.equal(answer.status(), 401, description);
    assert.equal(provider.calls('/token'), spent, `${description}: the code is not spent`);
    assert.deepEqual((await gatewayCookies(victim, gateway.origin)).filter(({ name }) => name.startsWith('AWSELB')), []);
    await elsewhere.goto(gateway.url('/own'));
  }

  await alice.addCookies(nonce);
  await page.goto(callback);
  assert.equal(page.url(), gateway.url('/forced'));
  await alice.close();
  await victim.close();
});

test('a person who cancels at the provider gets a page with a way on, and not the provider\'s own words (F16)', async () => {
  const { gateway, provider } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await page.goto(gateway.url('/cancelled?x=1'));
  await enterPassword(page);
  const spent = provider.calls('/token');
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().startsWith(gateway.url('/oauth2/idpresponse'))),
    page.getByRole('button', { name: 'Cancel' }).click(),
  ]);
  assert.equal(answer.status(), 403);
  assert.doesNotMatch(await answer.text(), /alert|said no/);
  assert.equal(provider.calls('/token'), spent);

  await page.getByRole('link', { name: 'Try again' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.waitForURL(gateway.url('/cancelled?x=1'));
  await person.close();
});

test('a provider that wants client_secret_post and signs with ES256 is served as well', async () => {
  const other = await startWorld({
    provider: { token_endpoint_auth_method: 'client_secret_post' },
    client: { token_endpoint_auth_method: 'client_secret_post', id_token_signed_response_alg: 'ES256' },
  });
  try {
    const person = await newPerson(browser);
    await signIn(await person.newPage(), other.gateway.url('/es256'), 'bob');
    assert.equal(other.target.request('/es256').headers['x-amzn-oidc-identity'], 'bob');
    await person.close();
  } finally {
    await other.stop();
  }
});
