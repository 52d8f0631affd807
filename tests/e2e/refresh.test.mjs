// Refreshes and many tabs, with a provider that rotates refresh tokens and takes a second use of one for theft.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { enterPassword, launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { NAVIGATION, request } from './support/https.mjs';
import { rotating } from './support/provider.mjs';
import { startWorld } from './support/world.mjs';

const LIFETIME = 4;

let browser;
let world;
before(async () => {
  browser = await launchBrowser();
  world = await startWorld({ providerOptions: { options: rotating(LIFETIME) } });
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

/** The token endpoint's calls, and the counter of the gateway for how refreshes ended. */
const tokenCalls = () => world.provider.calls('/token');
async function refreshes(result) {
  const { text } = await world.gateway.admin('/metrics');
  return Number(text.match(new RegExp(`^vestibule_auth_refresh_total\\{result="${result}"\\} (\\d+)`, 'm'))?.[1] ?? 0);
}

/** Somebody who has signed in, and the cookies as a program sends them. */
async function somebody() {
  const person = await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, world.gateway.url('/'));
  const signedIn = Date.now();
  const cookie = async () => (await person.cookies(world.gateway.origin)).map(({ name, value }) => `${name}=${value}`).join('; ');
  return { person, page, cookie, ends: signedIn + LIFETIME * 1000 };
}

const ask = (path, cookie) => request(world.gateway.url(path), { headers: { Cookie: cookie }, ca: world.certificates.pem.ca });

test('two hundred requests at expiry make one exchange, and none is refused', async () => {
  const { person, page, cookie, ends } = await somebody();
  const before = tokenCalls();
  const succeeded = await refreshes('success');
  const old = await cookie();
  await pause(ends - Date.now() + 500);
  const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => ask(`/herd/${index}`, old)));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.equal(tokenCalls(), before + 1);
  assert.equal(await refreshes('success'), succeeded + 1);
  // Again and again, with whatever the browser holds by then: the family of tokens is alive.
  for (let round = 0; round < 3; round++) {
    await page.goto(world.gateway.url(`/round/${round}`));
    await page.getByRole('heading', { name: 'The application' }).waitFor();
    await pause(LIFETIME * 1000 + 300);
  }
  assert.equal(await refreshes('ended'), 0);
  await person.close();
});

test('a provider that takes long, and one that is gone for a moment, sign nobody out', async () => {
  const { person, cookie, ends } = await somebody();
  const old = await cookie();
  await pause(ends - Date.now() + 500);
  await world.provider.down();
  const during = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(`/down/${index}`, old)));
  assert.deepEqual([...new Set(during.map(({ status }) => status))], [200], 'with the tokens that there are');
  await world.provider.up();
  const succeeded = await refreshes('success');
  await eventually('the session has new tokens again', async () => {
    assert.equal((await ask('/up', old)).status, 200);
    return (await refreshes('success')) > succeeded;
  });
  await person.close();
});

test('a session that is ended at the provider ends here at the next refresh, with one call', async () => {
  const { person, page, cookie, ends } = await somebody();
  const old = await cookie();
  const { headers } = world.target.requests.at(-1);
  const revoked = await request(`${world.provider.issuer}/token/revocation`, {
    method: 'POST',
    ca: world.certificates.pem.ca,
    headers: {
      'Content-Type': 'application/x-www-form-urlencoded',
      Authorization: `Basic ${Buffer.from(`${encodeURIComponent(world.provider.clientId)}:${encodeURIComponent(world.provider.clientSecret)}`).toString('base64')}`,
    },
    body: new URLSearchParams({ token: headers['x-amzn-oidc-accesstoken'] }).toString(),
  });
  assert.equal(revoked.status, 200);
  world.provider.endEverything();
  await pause(ends - Date.now() + 500);
  const before = tokenCalls();
  for (let index = 0; index < 5; index++) {
    const answer = await request(world.gateway.url('/x'), { headers: { ...NAVIGATION, Cookie: old }, ca: world.certificates.pem.ca });
    assert.equal(answer.status, 302);
    assert.equal(new URL(answer.headers.location).origin, world.provider.issuer);
  }
  assert.equal(tokenCalls(), before + 1);
  await page.close();
  await person.close();
});

test('twenty tabs that begin at once and finish in any order all end at their own pages', async () => {
  const person = await newPerson(browser);
  const pages = await Promise.all(Array.from({ length: 20 }, () => person.newPage()));
  await Promise.all(pages.map((page, index) => page.goto(world.gateway.url(`/tab/${index}?of=20`))));
  for (const page of pages) assert.equal(new URL(page.url()).origin, world.provider.issuer);
  const order = pages.map((page, index) => ({ page, index })).sort(() => Math.random() - 0.5);
  for (const { page, index } of order) {
    // The provider has known the person since the first of them; some pages are older than that.
    await enterPassword(page);
    const further = page.getByRole('button', { name: 'Continue' });
    const arrived = page.getByRole('heading', { name: 'The application' });
    await further.or(arrived).first().waitFor();
    if (await further.isVisible()) await further.click();
    await arrived.waitFor().catch(async () => { throw new Error(`tab ${index}: ${page.url().slice(0,200)}\n${(await page.textContent('body')).trim().slice(0, 300)}`); });
    assert.equal(page.url(), world.gateway.url(`/tab/${index}?of=20`));
  }
  await person.close();
});
