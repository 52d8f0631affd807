// The three modes as a browser meets them, and what cannot follow a redirect.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { startWorld } from './support/world.mjs';

const IDENTITY_HEADERS = ['x-amzn-oidc-identity', 'x-amzn-oidc-accesstoken', 'x-amzn-oidc-data', 'x-auth-email', 'x-auth-groups'];

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

const fetchFromPage = (page, url) => page.evaluate(async (path) => {
  const answer = await fetch(path);
  return { status: answer.status, redirected: answer.redirected, type: answer.headers.get('content-type'), text: await answer.text() };
}, url);

test('deny: a page of 401 without a redirect when signed out, the application when signed in', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();

  const denied = await page.goto(gateway.url('/deny/page'));
  assert.equal(denied.status(), 401);
  assert.equal(page.url(), gateway.url('/deny/page'));
  assert.match(denied.headers()['content-type'], /^text\/html/);
  assert.match(denied.headers()['cache-control'], /no-store/);
  assert.match(denied.headers()['content-security-policy'], /default-src 'none'/);
  assert.equal(target.request('/deny/page'), undefined);

  await signIn(page, gateway.url('/'));
  assert.equal((await page.goto(gateway.url('/deny/page'))).status(), 200);
  assert.equal(target.request('/deny/page').headers['x-amzn-oidc-identity'], 'alice');
  await person.close();
});

test('allow: forwarded without identity when signed out, with it when signed in, and a forged header never arrives', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser, {
    extraHTTPHeaders: { 'X-Amzn-Oidc-Identity': 'mallory', X_Amzn_Oidc_Data: 'forged', 'X-Auth-Email': 'mallory@example.com' },
  });
  const page = await person.newPage();

  assert.equal((await page.goto(gateway.url('/allow/out'))).status(), 200);
  const names = target.request('/allow/out').rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase().replaceAll('_', '-'));
  assert.deepEqual(names.filter((name) => IDENTITY_HEADERS.includes(name)), []);

  await signIn(page, gateway.url('/'));
  await page.goto(gateway.url('/allow/in'));
  const { headers } = target.request('/allow/in');
  assert.equal(headers['x-amzn-oidc-identity'], 'alice');
  assert.equal(headers['x-auth-email'], 'alice@example.com');
  assert.equal(headers.x_amzn_oidc_data, undefined);
  await person.close();
});

test('a call from a page\'s script gets 401, JSON and where to sign in when signed out, never a redirect that ends in a CORS error', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await page.goto(gateway.url('/public/page'));

  const answer = await fetchFromPage(page, '/api/me');
  assert.deepEqual([answer.status, answer.redirected], [401, false]);
  assert.match(answer.type, /^application\/json/);
  const body = JSON.parse(answer.text);
  assert.ok(body.error && body.request_id, answer.text);
  const signInAddress = Object.values(body).find((value) => typeof value === 'string' && /^(https?:|\/)/.test(value));
  assert.ok(signInAddress, `no address to sign in at in ${answer.text}`);
  assert.equal(target.request('/api/me'), undefined);

  await signIn(page, new URL(signInAddress, gateway.origin).href);
  assert.equal((await fetchFromPage(page, '/api/me')).status, 200);
  assert.equal(target.request('/api/me').headers['x-amzn-oidc-identity'], 'alice');
  await person.close();
});

test('a rule without authenticate forwards without identity even to a person who is signed in', async () => {
  const { gateway, target } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, gateway.url('/'));
  await page.goto(gateway.url('/public/in'));
  const { headers } = target.request('/public/in');
  assert.deepEqual(IDENTITY_HEADERS.filter((name) => name in headers), []);
  assert.equal(headers.cookie, undefined);
  await person.close();
});

test('a page\'s script may ask who is signed in, and gets no token (S24)', async () => {
  const { gateway, provider } = world;
  const person = await newPerson(browser);
  const page = await person.newPage();
  await page.goto(gateway.url('/public/page'));
  const out = await fetchFromPage(page, '/oauth2/session');
  assert.match(out.type, /^application\/json/);
  assert.ok(!out.text.includes('alice'));

  await signIn(page, gateway.url('/'));
  const { status, text } = await fetchFromPage(page, '/oauth2/session');
  assert.equal(status, 200);
  assert.ok(Object.values(JSON.parse(text)).includes('alice'), text);
  for (const token of provider.issued) assert.ok(!text.includes(token));
  assert.doesNotMatch(text, /eyJ/, 'no JSON Web Token');
  await person.close();
});
