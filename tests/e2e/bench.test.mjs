// `vestibule bench` signs people in at a provider that nobody here wrote, through two kinds of pages, and its report is looked at.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { launchBrowser } from './support/browser.mjs';
import { ACCOUNTS } from './support/provider.mjs';
import { binary, freshFolder, screenshotFile } from './support/paths.mjs';
import { startWorld } from './support/world.mjs';

let browser;
const worlds = [];
before(async () => {
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  for (const world of worlds) await world.stop();
});

async function world(options) {
  const started = await startWorld(options);
  worlds.push(started);
  return started;
}

/** Everybody whom the provider knows. */
function usersFile(folder, edit = (password) => password) {
  const file = path.join(folder, 'users.csv');
  writeFileSync(file, Object.entries(ACCOUNTS).map(([name, { password }]) => `${name},${edit(password)}\n`).join(''));
  return file;
}

/** `vestibule bench` against a page of this world's gateway. */
function bench({ gateway, certificates }, page, ...options) {
  const { hostname, port } = new URL(gateway.origin);
  assert.equal(hostname, 'app.test');
  const args = ['bench', gateway.url(page), '--connect-to', `127.0.0.1:${port}`, '--ca-file', certificates.authority, '--format', 'json', ...options];
  return new Promise((resolve) => {
    execFile(binary, args, { env: { ...process.env, NO_COLOR: '1', XDG_DATA_HOME: '/nonexistent' } },
      (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }));
  });
}

function assertSignedInLoad(result, { target }, page) {
  assert.equal(result.status, 0, result.stderr);
  const { requests, sign_in: signIns, statuses } = JSON.parse(result.stdout);
  assert.deepEqual([requests.total, requests.as_expected, statuses], [40, 40, { 200: 40 }]);
  assert.equal(signIns.count, 4);
  const people = target.requests.filter(({ url }) => url === page).map(({ headers }) => headers['x-amzn-oidc-identity']);
  // Each of the four sessions landed once after its sign-in, and was looked at once.
  assert.deepEqual(people.sort(), [...Array(24).fill('alice'), ...Array(24).fill('bob')]);
}

const LOAD = ['--sessions', '4', '--rate', '80', '--requests', '40'];

test('people sign in through the pages of oidc-provider\'s devInteractions, consent among them', async () => {
  const here = await world({ providerOptions: { ownPages: false } });
  const users = usersFile(freshFolder('bench'));
  assertSignedInLoad(await bench(here, '/reports/x?y=1', '--users', users, ...LOAD), here, '/reports/x?y=1');
});

test('people sign in through pages with other names for their fields and a second button, and the report is readable', async () => {
  const here = await world();
  const folder = freshFolder('bench');
  const report = path.join(folder, 'report.html');
  const result = await bench(here, '/reports', '--users', usersFile(folder), ...LOAD, '--report', report, '--fail-if', 'p99>9s');
  assertSignedInLoad(result, here, '/reports');

  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 360]) {
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
      const page = await context.newPage();
      const wrong = [];
      page.on('console', (message) => wrong.push(message.text()));
      page.on('request', (request) => request.url().startsWith('file:') || wrong.push(request.url()));
      await page.goto(pathToFileURL(report).href);
      await page.getByRole('img', { name: 'Percentiles' }).waitFor();
      assert.equal(await page.getByRole('img').count(), 4);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, `${width} pixels`);
      await page.screenshot({ path: screenshotFile(`bench-${colorScheme}-${width}`), fullPage: true });
      assert.deepEqual(wrong, []);
      await context.close();
    }
  }
});

test('a wrong password is told by its step, without the password and without what follows a path', async () => {
  const here = await world();
  const users = usersFile(freshFolder('bench'), () => 'not-this-one');
  const { status, stderr, stdout } = await bench(here, '/reports', '--users', users);
  assert.equal(status, 1);
  assert.match(stderr, /(alice|bob) cannot sign in: at step \d+, after the password was given\n {2}POST https:\/\/127\.0\.0\.1:\d+\/interaction\/\S+\n {2}answered 200 and asks for the password again/);
  assert.ok(!stderr.includes('not-this-one') && !stderr.includes('?') && stdout === '', stderr);
  assert.equal(here.target.requests.length, 0);
});
