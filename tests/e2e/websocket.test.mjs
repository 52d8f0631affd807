// WebSockets of Chromium to a server of somebody else's (ws), through the gateway.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { startWorld } from './support/world.mjs';

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

/** In the page: opens a socket as `window.socket`; `opened` or `refused`. */
const open = (url) => new Promise((resolve) => {
  window.socket = new WebSocket(url);
  window.socketClosed = new Promise((close) => window.socket.addEventListener('close', ({ code }) => close(code)));
  window.socket.addEventListener('open', () => resolve('opened'));
  window.socket.addEventListener('error', () => resolve('refused'));
});

/** In the page: sends texts of these lengths, and says whether all came back as they were. */
const echo = async (lengths) => {
  const texts = lengths.map((length, index) => String(index).padEnd(length, 'é'));
  const heard = new Promise((resolve) => {
    const messages = [];
    window.socket.addEventListener('message', ({ data }) => messages.push(data) === texts.length && resolve(messages));
  });
  texts.forEach((text) => window.socket.send(text));
  return (await heard).every((text, index) => text === texts[index]);
};

test('a page talks over a socket while signed in, and no longer (W01, W02)', async () => {
  const { gateway, target } = world;
  const url = gateway.url('/socket').replace('https:', 'wss:');
  const person = await newPerson(browser);
  const page = await person.newPage();
  await page.goto(gateway.url('/public'));
  assert.equal(await page.evaluate(open, url), 'refused', 'nobody is signed in');
  assert.equal(target.request('/socket'), undefined, 'the handshake reached the application');

  await signIn(page, gateway.url('/'));
  assert.equal(await page.evaluate(open, url), 'opened');
  assert.ok(target.request('/socket').headers['x-amzn-oidc-data'], 'the application knows who it talks to');
  assert.ok(!target.request('/socket').headers.cookie, 'the session stays at the gateway');
  assert.ok(await page.evaluate(echo, [1, 125, 126, 70_000, 1_000_000, ...Array(200).fill(10)]));

  const other = await person.newPage();
  await other.goto(gateway.url('/'));
  await other.getByRole('link', { name: 'Sign out' }).click();
  const since = Date.now();
  assert.equal(await page.evaluate(() => window.socketClosed), 1006, 'without a close frame, as when a connection breaks');
  assert.ok(Date.now() - since < 5000, `closed after ${Date.now() - since} ms`);
  await eventually('the application\'s side to close', () => target.sockets === 0);
  await person.close();
});
