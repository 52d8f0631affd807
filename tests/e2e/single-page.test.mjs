// A page that never loads again, with the very code of docs/single-page-applications.md.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { enterPassword, launchBrowser, newPerson, newTrustingPerson, signIn, signInAtProvider } from './support/browser.mjs';
import { document, screenshotFile } from './support/paths.mjs';
import { startWorld } from './support/world.mjs';

const text = readFileSync(document('single-page-applications.md'), 'utf8');
const block = (language) => {
  const found = [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, code]) => code);
  assert.equal(found.length, 1, `one block of ${language}`);
  return found[0];
};

const BOARD = `<!doctype html><html lang="en"><title>Board</title><link rel="icon" href="data:,"><h1>Board</h1>
<script type="module">import { call } from '/session.js'; Object.assign(window, { call, untouched: true });</script></html>`;

// As providers do it that can be asked in a frame.
const options = (made) => ({
  ...made,
  cookies: { ...made.cookies, long: { signed: true, httpOnly: true, overwrite: true, secure: true, sameSite: 'none' } },
});

let world;
let browser;
before(async () => {
  browser = await launchBrowser();
  world = await startWorld({ providerOptions: { options } });
  const { target } = world;
  target.say('/board', BOARD, { 'Content-Security-Policy': `default-src 'self'; script-src 'self' 'unsafe-inline'; img-src data:; frame-src 'self' ${world.provider.issuer}` });
  target.say('/session.js', block('js'), { 'Content-Type': 'text/javascript' });
  target.say('/signed-in.html', block('html'));
  target.say('/api/refuses', '{"own": true}', { status: 401, 'WWW-Authenticate': 'Bearer' });
  for (const number of [0, 1, 2, 3, 4]) target.say(`/api/${number}`, `{"number": ${number}}`, { 'Content-Type': 'application/json' });
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

/** Without `trusts`, the browser blocks the cookies of third parties. */
async function onTheBoard({ trusts = false } = {}) {
  const person = trusts ? await newTrustingPerson() : await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, world.gateway.url('/'));
  // The page has to know whose it is before the session ends.
  await Promise.all([page.waitForResponse(world.gateway.url('/oauth2/session')), page.goto(world.gateway.url('/board'))]);
  await page.waitForFunction(() => window.call && window.untouched);
  return { person, page };
}

const call = (page, path, options = {}) => page.evaluate(async ([resource, given]) => {
  const answer = await window.call(resource, given);
  return { status: answer.status, text: await answer.text() };
}, [path, options]);

const arrivals = (path) => world.target.requests.filter(({ url }) => url === path);
const stillHere = (page) => page.evaluate(() => window.untouched === true);

test('the wrapper is as short as it says', () => {
  assert.ok(block('js').split('\n').filter(Boolean).length <= 40);
});

test('five calls meet the end of the session: one renewal in a frame, and all are answered', async () => {
  const { person, page } = await onTheBoard({ trusts: true });
  await world.gateway.endSessions();
  const { provider } = world;
  const [asked, exchanged] = [provider.calls('/auth'), provider.calls('/token')];
  const answers = await page.evaluate(async () => Promise.all([0, 1, 2, 3, 4].map(async (number) => (await window.call(`/api/${number}`)).json())));
  assert.deepEqual(answers, [0, 1, 2, 3, 4].map((number) => ({ number })));
  assert.deepEqual([provider.calls('/auth') - asked, provider.calls('/token') - exchanged], [1, 1]);
  for (const number of [0, 1, 2, 3, 4]) {
    assert.deepEqual(arrivals(`/api/${number}`).map(({ headers }) => headers['x-amzn-oidc-identity']), ['alice'], 'once, and not before');
  }
  assert.ok(await stillHere(page), 'the page has not been left');
  assert.equal(await page.locator('iframe').count(), 0);
  await person.close();
});

test('a POST is sent again only where the page says so, and a 401 of the application\'s own is left alone', async () => {
  const { person, page } = await onTheBoard({ trusts: true });
  const asked = world.provider.calls('/auth');
  assert.deepEqual(await call(page, '/api/refuses'), { status: 401, text: '{"own": true}' });
  assert.equal(world.provider.calls('/auth'), asked);

  await world.gateway.endSessions();
  const refused = await call(page, '/api/order', { method: 'POST', body: 'a=1' });
  assert.equal(refused.status, 401);
  assert.equal(JSON.parse(refused.text).error, 'sign_in_required', 'the answer can still be read');
  assert.equal((await call(page, '/api/0')).status, 200, 'the session is there');
  await world.gateway.endSessions();
  assert.equal((await call(page, '/api/order', { method: 'POST', body: 'a=2', again: true })).status, 200);
  assert.deepEqual(arrivals('/api/order').map(({ body }) => body), ['a=2']);
  assert.ok(await stillHere(page));
  await person.close();
});

/** The renewal by hand, up to the window with the provider's page. */
async function opensWindow(person, page) {
  await page.getByText('Your session has ended.').waitFor();
  await page.screenshot({ path: screenshotFile('single-page-sign-in'), fullPage: true });
  const [window] = await Promise.all([person.waitForEvent('page'), page.getByRole('button', { name: 'Sign in' }).click()]);
  return window;
}

test('where the provider knows nobody any more, a window of its own signs in, and the call is answered', async () => {
  const { person, page } = await onTheBoard();
  await world.gateway.endSessions();
  await person.clearCookies({ domain: '127.0.0.1' });
  const answer = call(page, '/api/1');
  const window = await opensWindow(person, page);
  const closed = window.waitForEvent('close');
  await signInAtProvider(window);
  await closed;
  assert.deepEqual(await answer, { status: 200, text: '{"number": 1}' });
  assert.ok(await stillHere(page));
  const refusals = world.gateway.accessLog().filter(({ error_reason: reason }) => reason === 'AuthInteractionRequired');
  assert.deepEqual(refusals.map((line) => line.elb_status_code), [302], 'the frame was asked first');
  await person.close();
});

test('a window that is closed without a sign-in leaves the 401, and the next call asks again', async () => {
  const { person, page } = await onTheBoard();
  await world.gateway.endSessions();
  await person.clearCookies({ domain: '127.0.0.1' });
  const answer = call(page, '/api/1');
  await page.getByText('Your session has ended.').waitFor();
  await page.keyboard.press('Escape');
  assert.equal((await answer).status, 401);
  const again = call(page, '/api/1');
  await page.getByText('Your session has ended.').waitFor();
  await page.keyboard.press('Escape');
  assert.equal((await again).status, 401);
  await person.close();
});

test('when somebody else signs in, the page begins anew and sends nothing in their name', async () => {
  const { person, page } = await onTheBoard();
  await world.gateway.endSessions();
  await person.clearCookies({ domain: '127.0.0.1' });
  const before = world.target.requests.length;
  await page.evaluate(() => { window.call('/api/2'); });
  const window = await opensWindow(person, page);
  const reloaded = page.waitForEvent('load');
  await enterPassword(window, 'bob');
  await window.getByRole('button', { name: 'Continue' }).click();
  await reloaded;
  await page.waitForFunction(() => window.call);
  const since = world.target.requests.slice(before);
  assert.ok(since.every(({ url }) => url !== '/api/2'), 'alice\'s call was not made as bob');
  assert.equal(since.findLast(({ url }) => url === '/board').headers['x-amzn-oidc-identity'], 'bob');
  await person.close();
});

test('where the browser blocks the cookies of third parties, the window finds the person signed in and is gone at once', async () => {
  const { person, page } = await onTheBoard();
  await world.gateway.endSessions();
  const answer = call(page, '/api/3');
  const window = await opensWindow(person, page);
  if (!window.isClosed()) await window.waitForEvent('close');
  assert.deepEqual(await answer, { status: 200, text: '{"number": 3}' });
  assert.ok(await stillHere(page));
  await person.close();
});
