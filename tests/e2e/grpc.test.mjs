// gRPC by its own library on both sides of the gateway, with people signed in between.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gatewayCookies, launchBrowser, newPerson, signInAtProvider } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { answer, grpcClient, GrpcTarget, metadata, status, stream } from './support/grpc.mjs';
import { startWorld } from './support/world.mjs';

let browser;
let service;
let world;
let client;
let cookie;
before(async () => {
  browser = await launchBrowser();
  service = await GrpcTarget.start();
  world = await startWorld({
    edit: (configuration) => {
      configuration.target_groups.service = { targets: [`127.0.0.1:${service.port}`], protocol_version: 'grpc' };
      const [listener] = configuration.listeners;
      const [signIn] = listener.default_actions;
      listener.rules.push({ priority: 5, conditions: [{ path_pattern: ['/vestibule.test.Chat/*'] }], actions: [signIn, { forward: 'service' }] });
      return configuration;
    },
  });
  const person = await newPerson(browser);
  const page = await person.newPage();
  await page.goto(world.gateway.url('/'));
  await signInAtProvider(page);
  await page.getByRole('heading', { name: 'The application' }).waitFor();
  cookie = (await gatewayCookies(person, world.gateway.origin)).map(({ name, value }) => `${name}=${value}`).join('; ');
  await person.close();
  client = grpcClient(world.gateway);
});
after(async () => {
  client?.close();
  await browser?.close();
  await world?.stop();
  service?.stop();
});

const signedIn = (more = {}) => metadata({ cookie, ...more });

test('a unary call brings its metadata, and the service knows who asks', async () => {
  const sent = signedIn({ 'x-note': 'a note', 'x-amzn-oidc-identity': 'root', 'x-octets-bin': Buffer.from([1, 0, 200]) });
  const { message, headers, status: ended } = await answer((done) => client.say({ text: 'hello' }, sent, done));
  assert.equal(ended.code, status.OK);
  assert.equal(message.text, 'hello');
  assert.equal(headers.get('x-first')[0], 'headers');
  assert.equal(ended.metadata.get('x-last')[0], 'trailers');
  assert.deepEqual([...ended.metadata.get('x-octets-bin')[0]], [0, 255, 10]);
  const seen = service.calls.at(-1);
  assert.equal(seen['x-note'], 'a note');
  assert.equal(seen['x-amzn-oidc-identity'], 'alice');
  assert.ok(seen['x-amzn-oidc-data'] && seen['x-octets-bin']);
  assert.equal(seen.cookie, undefined, 'the session stays at the gateway');
});

test('a status of the service arrives with its message', async () => {
  for (const code of [status.NOT_FOUND, status.RESOURCE_EXHAUSTED, status.UNAUTHENTICATED, status.UNAVAILABLE]) {
    const { status: ended } = await answer((done) => client.say({ code }, signedIn(), done));
    assert.equal(ended.code, code);
    assert.equal(ended.details, 'no, and für ever');
    assert.equal(ended.metadata.get('x-last')[0], 'trailers');
  }
});

test('streams go in either direction and in both at once', async () => {
  const counted = await stream(client.count({ to: 5_000 }, signedIn()));
  assert.equal(counted.status.code, status.OK);
  assert.deepEqual(counted.messages.map(({ number }) => number), [...Array(5_000).keys()]);

  const summed = await answer((done) => {
    const call = client.sum(signedIn(), done);
    for (let number = 1; number <= 1_000; number += 1) call.write({ number });
    call.end();
    return call;
  });
  assert.deepEqual([summed.error, summed.message], [null, { sum: 500_500 }]);

  // Each word is said only when the one before has been answered: what gathers a body would wait for ever.
  const talk = client.talk(signedIn());
  const said = [];
  const words = ['one', 'two', 'three'];
  talk.on('data', ({ text }) => {
    said.push(text);
    if (said.length < words.length) talk.write({ text: words[said.length] });
    else talk.end();
  });
  talk.write({ text: words[0] });
  const { status: ended } = await stream(talk);
  assert.equal(ended.code, status.OK);
  assert.deepEqual(said, ['ONE', 'TWO', 'THREE']);
});

test('a deadline and a cancelled call end the call at the service too', async () => {
  const before = service.cancelled;
  const late = await answer((done) => client.say({ silent: true }, signedIn(), { deadline: Date.now() + 500 }, done));
  assert.equal(late.status.code, status.DEADLINE_EXCEEDED);
  await eventually('the service to hear of the deadline', () => service.cancelled === before + 1);

  const endless = client.count({ to: 3, endless: true }, signedIn());
  const ending = stream(endless);
  let count = 0;
  endless.on('data', () => { count += 1; if (count === 3) endless.cancel(); });
  assert.equal((await ending).status.code, status.CANCELLED);
  await eventually('the service to hear of the cancellation', () => service.cancelled === before + 2);
});

test('a call without a session is UNAUTHENTICATED and does not reach the service', async () => {
  const calls = service.calls.length;
  for (const sent of [metadata({}), metadata({ cookie: 'AWSELBAuthSessionCookie-0=forged' })]) {
    const { status: ended } = await answer((done) => client.say({ text: 'hello' }, sent, done));
    assert.equal(ended.code, status.UNAUTHENTICATED);
    assert.match(ended.details, /^sign_in_required \(request [0-9a-f]{16}\)$/);
  }
  const { status: streamed } = await stream(client.count({ to: 1 }, metadata({})));
  assert.equal(streamed.code, status.UNAUTHENTICATED);
  assert.equal(service.calls.length, calls);
});

test('a service that is not there is UNAVAILABLE', async () => {
  const gone = await GrpcTarget.start();
  gone.stop();
  const other = await startWorld({
    edit: (configuration) => {
      configuration.target_groups.app = { targets: [`127.0.0.1:${gone.port}`], protocol_version: 'grpc' };
      configuration.listeners[0].default_actions = [{ forward: 'app' }];
      return configuration;
    },
  });
  const caller = grpcClient(other.gateway);
  try {
    const { status: ended } = await answer((done) => caller.say({ text: 'hello' }, metadata({}), done));
    assert.equal(ended.code, status.UNAVAILABLE);
    assert.match(ended.details, /^target_failed \(request [0-9a-f]{16}\)$/);
  } finally {
    caller.close();
    await other.stop();
  }
});
