// The end of a session that begins at the provider: a certified one signs somebody out and says so behind the browser's back.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { request } from './support/https.mjs';
import { startWorld } from './support/world.mjs';

let browser;
before(async () => { browser = await launchBrowser(); });
after(() => browser?.close());

/** What the provider itself asks with: everybody is on loopback here, under a name that is in no DNS. */
const fetchOnLoopback = (authority) => async (url, { method, headers, body }) => {
  const sent = new Request('https://sent.test', { method, headers, body });
  const answer = await request(String(url), { method, headers: Object.fromEntries(sent.headers), body: await sent.text(), ca: authority() });
  return new Response(answer.text, { status: answer.status, headers: { 'content-type': answer.headers['content-type'] } });
};

async function worldWith(sessionRequired) {
  let authority;
  const world = await startWorld({
    providerOptions: {
      options: (made) => ({
        ...made,
        fetch: fetchOnLoopback(() => authority),
        features: { ...made.features, backchannelLogout: { enabled: true } },
      }),
    },
  });
  authority = world.certificates.pem.ca;
  world.provider.register(world.gateway.origin, {
    backchannel_logout_uri: world.gateway.url('/oauth2/backchannel_logout'),
    backchannel_logout_session_required: sessionRequired,
  });
  return world;
}

/** In the page: opens a socket and remembers when it closes. */
const open = (url) => new Promise((resolve) => {
  window.socket = new WebSocket(url);
  window.socketClosed = new Promise((close) => window.socket.addEventListener('close', ({ code }) => close(code)));
  window.socket.addEventListener('open', () => resolve('opened'));
  window.socket.addEventListener('error', () => resolve('refused'));
});

for (const [how, sessionRequired] of [['its sid', true], ['the person alone', false]]) {
  test(`whoever signs out at the provider is signed out here within a second, by ${how} (L01, S15)`, async () => {
    const world = await worldWith(sessionRequired);
    const { gateway, provider } = world;
    try {
      const person = await newPerson(browser);
      const page = await person.newPage();
      await signIn(page, gateway.url('/'));
      const cookies = await person.cookies(gateway.origin);
      assert.equal(await page.evaluate(open, gateway.url('/socket').replace('https:', 'wss:')), 'opened');
      const cookie = cookies.filter(({ name }) => name.startsWith('AWSELB')).map(({ name, value }) => `${name}=${value}`).join('; ');
      assert.equal((await gateway.get('/deny/copied', { Cookie: cookie })).status, 200, 'a copy of the cookie is good before');

      const other = await newPerson(browser);
      const bystander = await other.newPage();
      await signIn(bystander, gateway.url('/'), 'bob');

      const atProvider = await person.newPage();
      await atProvider.goto(`${provider.issuer}/session/end`);
      await atProvider.getByRole('button', { name: 'Sign out at the provider' }).click();
      const since = Date.now();
      await eventually('the copied cookie to be dead', async () => (await gateway.get('/deny/copied', { Cookie: cookie })).status === 401, 5);
      assert.ok(Date.now() - since < 1000, `dead after ${Date.now() - since} ms`);
      assert.equal(await page.evaluate(() => window.socketClosed), 1006, 'the socket is closed');
      assert.ok(Date.now() - since < 5000, `closed after ${Date.now() - since} ms`);

      await page.goto(gateway.url('/again'));
      assert.equal(new URL(page.url()).origin, provider.issuer);
      assert.equal(await page.getByLabel('Password').count(), 1, 'the provider asks for the password again');
      await bystander.goto(gateway.url('/still'));
      assert.equal(bystander.url(), gateway.url('/still'), 'nobody else is signed out');

      const told = gateway.accessLog().filter((line) => line.request.includes('/oauth2/backchannel_logout'));
      assert.deepEqual(told.map((line) => [line.elb_status_code, line.auth_outcome, line.identity_provider]), [[200, 'signed_out', 'provider']]);
      await person.close();
      await other.close();
    } finally {
      await world.stop();
    }
  });
}

test('a sign-out here revokes the access token at the provider', async () => {
  const world = await startWorld();
  const { gateway, provider, target } = world;
  try {
    const person = await newPerson(browser);
    const page = await person.newPage();
    await signIn(page, gateway.url('/'));
    const token = target.requests.at(-1).headers['x-amzn-oidc-accesstoken'];
    const ca = world.certificates.pem.ca;
    const userInfo = () => request(`${provider.issuer}/me`, { headers: { Authorization: `Bearer ${token}` }, ca });
    assert.equal((await userInfo()).status, 200, 'the token is good before');
    await page.getByRole('link', { name: 'Sign out' }).click();
    await eventually('the token to be of no use', async () => (await userInfo()).status === 401, 5);
    const { text } = await gateway.admin('/metrics');
    assert.match(text, /vestibule_token_revocations_total\{identity_provider="provider",result="success"\} 1/);
    await person.close();
  } finally {
    await world.stop();
  }
});
