// `vestibule demo` as the first person to try it meets it. Screenshots are kept, to be looked at.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { request } from './support/https.mjs';
import { binary, freshFolder, screenshotFile } from './support/paths.mjs';
import { freePort, Process } from './support/processes.mjs';

const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

let browser;
let demo;
let folder;
let origin;
before(async () => {
  browser = await launchBrowser();
  folder = freshFolder('demo');
  const port = await freePort();
  origin = `https://localhost:${port}`;
  demo = new Process(binary, ['demo', '--port', String(port)], {
    cwd: folder, outputFile: path.join(folder, 'demo.log'), environment: { XDG_DATA_HOME: folder },
  });
  await eventually('the demonstration says that it is ready', () => {
    demo.ensureRunning();
    return demo.output().includes('is ready');
  });
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const signInButton = (page) => page.getByRole('button', { name: /^sign in$/i });

async function signIn(page, user = 'alice', password = 'wonderland') {
  await page.locator('input[name=username]').fill(user);
  await page.locator('input[type=password]').fill(password);
  await signInButton(page).click();
  await page.waitForURL((url) => url.origin === origin);
}

/** Readable without scrolling sideways, and named for whoever cannot see it. */
async function looksCaredFor(page, name) {
  const { title, language, sideways, unlabelled } = await page.evaluate(() => ({
    title: document.title,
    language: document.documentElement.lang,
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    unlabelled: [...document.querySelectorAll('input:not([type=hidden]), button, a')].filter((element) => !(
      element.labels?.length || element.textContent.trim() || element.getAttribute('aria-label'))).length,
  }));
  assert.ok(title && language, `${name}: title ${title}, language ${language}`);
  assert.equal(sideways, 0, `${name}: ${sideways} pixels too wide`);
  assert.equal(unlabelled, 0, `${name}: ${unlabelled} controls without a name`);
}

test('says what a person needs to know to begin', () => {
  const output = demo.output();
  for (const needed of [origin, 'alice / wonderland', 'builder', 'ca.pem']) assert.ok(output.includes(needed), `${needed} is not in\n${output}`);
});

test('answers with a certificate that its own authority vouches for', async () => {
  const ca = readFileSync(path.resolve(folder, demo.output().match(/\S*ca\.pem/)[0]));
  assert.equal((await request(`${origin}/public`, { ca })).status, 200);
});

test('alice signs in with her password and sees who she is, and signs out again', async () => {
  const person = await newPerson(browser);
  const page = await person.newPage();
  await page.goto(origin);
  await looksCaredFor(page, 'sign-in');
  await page.screenshot({ path: screenshotFile('demo-1-sign-in'), fullPage: true });

  await page.locator('input[name=username]').fill('alice');
  await page.locator('input[type=password]').fill('not her password');
  await signInButton(page).click();
  await page.locator('input[type=password]').waitFor();
  await page.screenshot({ path: screenshotFile('demo-2-wrong-password'), fullPage: true });
  assert.notEqual(new URL(page.url()).origin, origin);

  await signIn(page);
  await page.getByText('alice@example.com').first().waitFor();
  await looksCaredFor(page, 'signed in');
  await page.screenshot({ path: screenshotFile('demo-3-signed-in'), fullPage: true });

  await page.getByRole('button', { name: 'As you' }).click();
  await page.locator('#answer').getByText('alice').first().waitFor();
  await page.getByRole('button', { name: 'As a stranger' }).click();
  await page.locator('#answer').getByText('401').first().waitFor();

  await page.getByRole('link', { name: /sign out/i }).or(page.getByRole('button', { name: /sign out/i })).first().click();
  await page.getByText('You are signed out.').waitFor();
  await looksCaredFor(page, 'signed out');
  await page.screenshot({ path: screenshotFile('demo-4-signed-out'), fullPage: true });

  await page.goto(origin);
  await page.locator('input[type=password]').waitFor();
  await person.close();
});

test('its API in deny mode answers 401 until somebody is signed in, and its page in allow mode answers everybody', async () => {
  const person = await newPerson(browser);
  const page = await person.newPage();
  assert.equal((await page.goto(`${origin}/api/me`)).status(), 401);
  assert.equal((await page.goto(`${origin}/optional`)).status(), 200);
  await page.screenshot({ path: screenshotFile('demo-5-optional-signed-out'), fullPage: true });
  await page.goto(origin);
  await signIn(page, 'bob', 'builder');
  const me = await page.goto(`${origin}/api/me`);
  assert.equal(me.status(), 200);
  assert.match(await me.text(), /bob@example\.com/);
  await page.goto(`${origin}/optional`);
  await page.screenshot({ path: screenshotFile('demo-6-optional-signed-in'), fullPage: true });
  await person.close();
});

for (const [name, options] of Object.entries({
  'on a phone': PHONE,
  'in the dark': { colorScheme: 'dark' },
  'on a phone in the dark': { ...PHONE, colorScheme: 'dark' },
  'at 320 pixels': { viewport: { width: 320, height: 640 } },
  'without script': { javaScriptEnabled: false },
})) {
  test(`signing in works ${name}`, async () => {
    const person = await newPerson(browser, options);
    const page = await person.newPage();
    const file = (step) => screenshotFile(`demo-${name.replaceAll(' ', '-')}-${step}`);
    await page.goto(origin);
    await looksCaredFor(page, 'sign-in');
    await page.screenshot({ path: file('1-sign-in'), fullPage: true });
    await signIn(page);
    await page.getByText('alice@example.com').first().waitFor();
    await looksCaredFor(page, 'signed in');
    await page.screenshot({ path: file('2-signed-in'), fullPage: true });
    await person.close();
  });
}

test('pages that refuse something say what and lead on', async () => {
  const pages = {
    'denied': '/api/me',
    'late-or-foreign-callback': '/oauth2/idpresponse?code=x&state=x',
    'callback-of-nothing': '/oauth2/idpresponse',
    'provider-refused': '/oauth2/idpresponse?error=access_denied&state=x',
  };
  for (const [scheme, options] of Object.entries({ light: {}, dark: { colorScheme: 'dark', ...PHONE } })) {
    const person = await newPerson(browser, options);
    const page = await person.newPage();
    for (const [name, address] of Object.entries(pages)) {
      const answer = await page.goto(origin + address);
      assert.ok(answer.status() >= 400 && answer.status() < 500, `${name}: ${answer.status()}`);
      await looksCaredFor(page, name);
      assert.ok(await page.getByRole('link').or(page.getByRole('button')).count() > 0, `${name}: a way on`);
      await page.screenshot({ path: screenshotFile(`error-${name}-${scheme}`), fullPage: true });
    }
    await person.close();
  }
});

test('pages of the gateway speak the visitor\'s language, also at 320 pixels', async () => {
  const sentences = new Set();
  for (const language of ['en', 'de', 'fr', 'es', 'ja']) {
    const person = await newPerson(browser, { locale: language, viewport: { width: 320, height: 640 } });
    const page = await person.newPage();
    await page.goto(`${origin}/api/me`);
    await looksCaredFor(page, language);
    assert.equal(await page.evaluate(() => document.documentElement.lang), language);
    sentences.add(await page.getByRole('heading').first().textContent());
    await page.screenshot({ path: screenshotFile(`error-denied-${language}`) });
    await person.close();
  }
  assert.equal(sentences.size, 5);
});
