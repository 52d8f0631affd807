// Three gateways that share one Redis, before a provider that rotates refresh tokens and takes a second use of one for theft.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { freePorts, Gateway } from './support/gateway.mjs';
import { request } from './support/https.mjs';
import { rotating } from './support/provider.mjs';
import { startRedis } from './support/redis.mjs';
import { startWorld } from './support/world.mjs';

const LIFETIME = 4;

let browser;
let redis;
let world;
let fleet;
before(async () => {
  browser = await launchBrowser();
  redis = await startRedis();
  let shared;
  const edit = (configuration) => {
    configuration.sessions = { ...configuration.sessions, store: 'redis', redis: { url: redis.url } };
    shared ??= configuration;
    // One fleet has one key of each kind.
    const { sessions: { keys }, identity_headers: { signing_key } } = shared;
    return { ...configuration, sessions: { ...configuration.sessions, keys }, identity_headers: { ...configuration.identity_headers, signing_key } };
  };
  world = await startWorld({ providerOptions: { options: rotating(LIFETIME) }, edit });
  fleet = [world.gateway];
  for (let count = 1; count < 3; count++) {
    const { certificates, provider, target } = world;
    const settings = { ...await freePorts(), certificates, targetAddress: target.address, identityProvider: provider.configuration(), edit };
    fleet.push(await new Gateway(settings).start());
  }
});
after(async () => {
  await browser?.close();
  await Promise.all((fleet ?? []).slice(1).map((gateway) => gateway.stop()));
  await world?.stop();
  await redis?.stop();
});

const tokenCalls = () => world.provider.calls('/token');

/** Somebody who has signed in, and the cookies as a program sends them, once the tokens have ended. */
async function atExpiry() {
  const person = await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, world.gateway.url('/'));
  const ends = Date.now() + LIFETIME * 1000;
  const cookies = await person.cookies(world.gateway.origin);
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
  await pause(ends - Date.now() + 500);
  return { person, page, cookie };
}

const ask = (gateway, path, cookie) => request(gateway.url(path), { headers: { Cookie: cookie }, ca: world.certificates.pem.ca });
const askAll = (count, cookie) =>
  Promise.all(Array.from({ length: count }, (_, index) => ask(fleet[index % fleet.length], `/herd/${index}`, cookie)));
const statuses = (answers) => [...new Set(answers.map(({ status }) => status))];

test('two hundred requests at expiry, over three gateways, make one exchange', async () => {
  const { person, page, cookie } = await atExpiry();
  const before = tokenCalls();
  assert.deepEqual(statuses(await askAll(200, cookie)), [200]);
  assert.equal(tokenCalls(), before + 1);
  // The family of tokens is alive.
  for (let round = 0; round < 2; round++) {
    await pause(LIFETIME * 1000 + 300);
    assert.deepEqual(statuses(await askAll(30, cookie)), [200]);
    assert.equal(tokenCalls(), before + 2 + round);
  }
  await page.goto(world.gateway.url('/still'));
  await page.getByRole('heading', { name: 'The application' }).waitFor();
  await person.close();
});

test('the same while the token endpoint takes ten seconds', async () => {
  const { person, cookie } = await atExpiry();
  const before = tokenCalls();
  world.provider.fault('/token', async (request, response, answer) => {
    await pause(9_500);
    answer();
  });
  const answers = await askAll(200, cookie);
  world.provider.fault('/token');
  assert.deepEqual(statuses(answers), [200]);
  assert.equal(tokenCalls(), before + 1);
  await person.close();
});

test('a token endpoint that dies half-way signs nobody out, and is not hammered', async () => {
  const { person, cookie } = await atExpiry();
  const before = tokenCalls();
  world.provider.fault('/token', (request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '1000' });
    response.write('{"access_token":"', () => response.socket.destroy());
  });
  const answers = await askAll(200, cookie);
  assert.deepEqual(statuses(answers), [200], 'with the tokens that there are');
  assert.ok(tokenCalls() - before <= 3, `${tokenCalls() - before} calls`);
  world.provider.fault('/token');
  const recovered = tokenCalls();
  await eventually('the session has new tokens', async () => {
    assert.deepEqual(statuses(await askAll(6, cookie)), [200]);
    return tokenCalls() > recovered;
  });
  await person.close();
});

test('who signs out at one gateway is signed out at all of them', async () => {
  const { person, page, cookie } = await atExpiry();
  assert.deepEqual(statuses(await askAll(6, cookie)), [200]);
  await page.goto(world.gateway.url('/oauth2/logout'));
  const begin = Date.now();
  await eventually('it is over at all gateways', async () => !statuses(await askAll(6, cookie)).includes(200));
  assert.ok(Date.now() - begin < 1500, `${Date.now() - begin} ms`);
  await person.close();
});
