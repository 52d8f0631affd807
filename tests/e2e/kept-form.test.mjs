// A form that meets an ended session: what a person typed is not lost, and nothing is sent that they did not send.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson, signIn, signInAtProvider } from './support/browser.mjs';
import { screenshotFile } from './support/paths.mjs';
import { startWorld } from './support/world.mjs';

const NOTE = 'Dear Sir, äöü ✓ 日本語\nthis took me an hour';
const FILE = { name: 'picture.bin', mimeType: 'application/octet-stream', buffer: randomBytes(20_000) };

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

const saved = () => world.target.requests.filter(({ method }) => method === 'POST');

async function fillIn(page, { note = NOTE, file = FILE } = {}) {
  await page.goto(world.gateway.url('/form'));
  await page.getByLabel('Note').fill(note);
  await page.getByLabel('File').setInputFiles(file);
}

/** Exactly what the browser would have sent to a gateway that knew it. */
function assertWhole({ url, headers, bytes }) {
  assert.equal(url, '/save?draft=1');
  assert.equal(headers['x-amzn-oidc-identity'], 'alice');
  assert.equal(headers.origin, world.gateway.origin);
  assert.equal(Number(headers['content-length']), bytes.length);
  const boundary = headers['content-type'].match(/^multipart\/form-data; boundary=(\S+)$/)[1];
  const part = (head, body) => Buffer.concat([Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; ${head}\r\n\r\n`), body, Buffer.from('\r\n')]);
  const expected = Buffer.concat([
    part('name="note"', Buffer.from(NOTE.replaceAll('\n', '\r\n'))),
    part(`name="file"; filename="${FILE.name}"\r\nContent-Type: ${FILE.mimeType}`, FILE.buffer),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
  assert.ok(expected.equals(bytes), 'byte for byte');
}

test('in one tab: the form waits for the sign-in and is sent with a click, once (R13)', async () => {
  const person = await newPerson(browser);
  const page = await person.newPage();
  const problems = [];
  page.on('console', (message) => { if (message.text().includes('Content Security Policy')) problems.push(message.text()); });
  await signIn(page, world.gateway.url('/'));
  await fillIn(page);
  await world.gateway.endSessions();
  const before = saved().length;
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { name: 'Your form has not been sent' }).waitFor();
  await page.screenshot({ path: screenshotFile('kept-form-1-not-sent'), fullPage: true });
  await page.setViewportSize({ width: 320, height: 640 });
  await page.screenshot({ path: screenshotFile('kept-form-1-narrow'), fullPage: true });
  await page.setViewportSize({ width: 1280, height: 720 });

  await page.getByRole('link', { name: 'Sign in and go on' }).click();
  await page.getByText('Your form has not been sent yet. It will be sent as alice@example.com.').waitFor();
  assert.equal(person.pages().length, 1, 'one tab is enough');
  assert.equal(await page.getByText('Go back to the tab').isVisible(), false);
  assert.equal(saved().length, before, 'nothing is sent by itself');
  await page.screenshot({ path: screenshotFile('kept-form-2-waiting'), fullPage: true });

  await page.getByRole('button', { name: 'Send the form' }).click();
  await page.getByRole('heading', { name: 'The application' }).waitFor();
  assert.equal(saved().length, before + 1);
  assertWhole(saved().at(-1));

  await page.goBack();
  await page.getByText('You have pressed the button before.').waitFor();
  await page.getByRole('button', { name: 'Send the form' }).click();
  await page.getByRole('heading', { name: 'Your form has been sent already' }).waitFor();
  await page.screenshot({ path: screenshotFile('kept-form-3-sent-already'), fullPage: true });
  assert.equal(saved().length, before + 1, 'and not twice');
  assert.deepEqual(problems, [], 'the policy of the pages lets their own script run');
  await person.close();
});

test('without scripts: the sign-in is in another tab, and the button in the first one sends the form', async () => {
  const person = await newPerson(browser, { javaScriptEnabled: false });
  const page = await person.newPage();
  await page.goto(world.gateway.url('/'));
  await signInAtProvider(page);
  await fillIn(page);
  // Signed out in another tab, here and at the provider.
  const other = await person.newPage();
  await other.goto(world.gateway.url('/'));
  await other.getByRole('link', { name: 'Sign out' }).click();
  await other.getByRole('button', { name: 'Sign out at the provider' }).click();
  await other.getByText('You are signed out.').waitFor();
  await other.close();

  const before = saved().length;
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('The sign-in opens in another tab.').waitFor();
  await page.screenshot({ path: screenshotFile('kept-form-4-without-scripts'), fullPage: true });
  const [signInTab] = await Promise.all([person.waitForEvent('page'), page.getByRole('link', { name: 'Sign in and go on' }).click()]);
  await signInAtProvider(signInTab);
  await signInTab.getByText('Go back to the tab that your form is in').waitFor();
  assert.equal(await signInTab.getByRole('button').count(), 0, 'there is nothing to send from here');
  await signInTab.screenshot({ path: screenshotFile('kept-form-5-go-back'), fullPage: true });
  assert.equal(saved().length, before);

  await page.bringToFront();
  await page.getByRole('button', { name: 'Send the form' }).click();
  await page.getByRole('heading', { name: 'The application' }).waitFor();
  assert.equal(saved().length, before + 1);
  assertWhole(saved().at(-1));
  await person.close();
});

test('a form with a large file is not kept, and its sender is told so', async () => {
  const person = await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, world.gateway.url('/'));
  await fillIn(page, { file: { ...FILE, buffer: randomBytes(6_000_000) } });
  await world.gateway.endSessions();
  const before = saved().length;
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Your form was too large to be kept, and nothing of it has been sent').waitFor();
  await page.screenshot({ path: screenshotFile('kept-form-6-too-large'), fullPage: true });
  assert.equal(saved().length, before);

  // The application's own page is behind the back button.
  await page.goBack();
  await page.getByRole('heading', { name: 'A form' }).waitFor();
  await person.close();
  const log = world.gateway.logs();
  assert.ok(!log.includes('this took me an hour') && log.includes('"form":"too_large"'));
});
