// Debian's Chromium, driven as a person would: links, forms, tabs.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { GATEWAY_HOST } from './certificates.mjs';
import { freshFolder } from './paths.mjs';
import { ACCOUNTS } from './provider.mjs';

export async function launchBrowser() {
  return chromium.launch(program());
}

/** A person whose browser, with a profile of its own, gives frames of other sites their cookies. Those of `launchBrowser` do not. */
export async function newTrustingPerson() {
  const profile = freshFolder('profile');
  mkdirSync(path.join(profile, 'Default'));
  writeFileSync(path.join(profile, 'Default/Preferences'), JSON.stringify({ profile: { cookie_controls_mode: 0, block_third_party_cookies: false } }));
  const person = await chromium.launchPersistentContext(profile, { ...program(), ignoreHTTPSErrors: true, locale: 'en-GB' });
  person.setDefaultTimeout(20_000);
  return person;
}

function program() {
  const executablePath = process.env.PATH.split(path.delimiter).map((folder) => path.join(folder, 'chromium')).find(existsSync);
  if (!executablePath) throw new Error('Chromium is missing: run script/bootstrap');
  return {
    executablePath,
    args: [
      // Chromium's sandbox refuses to run as root.
      ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
      // The gateway's name is in no DNS, and nothing but loopback may be asked for.
      `--host-resolver-rules=MAP ${GATEWAY_HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost`,
      '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    ],
  };
}

/** A new person: a profile without a cookie. */
export async function newPerson(browser, options = {}) {
  const person = await browser.newContext({ ignoreHTTPSErrors: true, locale: 'en-GB', ...options });
  person.setDefaultTimeout(20_000);
  return person;
}

/** On the provider's sign-in page. */
export async function enterPassword(page, user = 'alice') {
  await page.getByLabel('User').fill(user);
  await page.getByLabel('Password').fill(ACCOUNTS[user].password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Who you are and, for the first time in this browser, that the gateway may know. */
export async function signInAtProvider(page, user = 'alice') {
  await enterPassword(page, user);
  await page.getByRole('button', { name: 'Continue' }).click();
}

/** Asks for a page while signed out and ends where the gateway leads. */
export async function signIn(page, url, user = 'alice') {
  await page.goto(url);
  await signInAtProvider(page, user);
  await page.getByRole('heading', { name: 'The application' }).waitFor();
}

/** What the gateway keeps in this browser. */
export async function gatewayCookies(person, origin) {
  return (await person.cookies(origin)).filter(({ name }) => name.startsWith('AWS'));
}
