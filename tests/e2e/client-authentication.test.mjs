// Every way in which the gateway proves to a provider that it is the client, and pushed authorization requests.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { makeClientCertificate, makePrivateKey } from './support/certificates.mjs';
import { binary, freshFolder } from './support/paths.mjs';
import { startWorld } from './support/world.mjs';

const folder = freshFolder('client-keys');
const file = (name) => path.join(folder, name);

/** The public half of a key file as a provider registers it. */
function jwks(keyFile, more = {}) {
  return { keys: [{ ...createPublicKey(readFileSync(keyFile)).export({ format: 'jwk' }), use: 'sig', ...more }] };
}

/** What `vestibule keys client` prints for a key that it makes. */
function keysClient(keyFile) {
  return JSON.parse(execFileSync(binary, ['keys', 'client', keyFile], { encoding: 'utf8' }));
}

let authority;
const SECRET = randomBytes(32).toString('hex');

/** By name: the client's entry in the gateway's configuration, and at the provider. */
function methods() {
  const selfSigned = makeClientCertificate(folder, 'self-signed', '/CN=gateway');
  const byAuthority = makeClientCertificate(folder, 'by-authority', '/CN=gateway,O=tests'.replace(',', '/'), authority);
  const x5c = (certificate) => [new X509Certificate(readFileSync(certificate)).raw.toString('base64')];
  const rsa = makePrivateKey(file('rsa.key'), 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048');
  const ed = makePrivateKey(file('ed25519.key'), 'ED25519');
  const p384 = makePrivateKey(file('p384.key'), 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384');
  return {
    secret_post: [
      { client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post' },
      { client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post' },
    ],
    secret_jwt: [
      { client_secret: SECRET, token_endpoint_auth_method: 'client_secret_jwt' },
      { client_secret: SECRET, token_endpoint_auth_method: 'client_secret_jwt', token_endpoint_auth_signing_alg: 'HS256' },
    ],
    key_made_here: [
      { client_private_key: { file: file('made.key') } },
      { jwks: keysClient(file('made.key')), token_endpoint_auth_method: 'private_key_jwt' },
    ],
    key_rs256: [
      { client_private_key: { file: rsa }, client_key_id: 'mine' },
      { jwks: jwks(rsa, { kid: 'mine', alg: 'RS256' }), token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'RS256' },
    ],
    key_ps256_for_the_issuer: [
      { client_private_key: { file: rsa }, client_assertion_algorithm: 'PS256', client_key_id: 'mine', client_assertion_audience: 'issuer' },
      { jwks: jwks(rsa, { kid: 'mine', alg: 'PS256' }), token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'PS256' },
    ],
    key_ed25519: [
      { client_private_key: { file: ed } },
      { jwks: keysClient(ed), token_endpoint_auth_method: 'private_key_jwt' },
    ],
    key_p384: [
      { client_private_key: { file: p384 } },
      { jwks: keysClient(p384), token_endpoint_auth_method: 'private_key_jwt' },
    ],
    certificate_of_an_authority: [
      { client_certificate: byAuthority },
      { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=gateway/O=tests' },
    ],
    certificate_of_its_own: [
      { client_certificate: selfSigned, token_endpoint_auth_method: 'self_signed_tls_client_auth' },
      {
        token_endpoint_auth_method: 'self_signed_tls_client_auth',
        jwks: jwks(selfSigned.certificate, { x5c: x5c(selfSigned.certificate) }),
      },
    ],
    no_secret: [
      { token_endpoint_auth_method: 'none' },
      { token_endpoint_auth_method: 'none' },
    ],
  };
}

const NAMES = ['secret_post', 'secret_jwt', 'key_made_here', 'key_rs256', 'key_ps256_for_the_issuer', 'key_ed25519', 'key_p384',
  'certificate_of_an_authority', 'certificate_of_its_own', 'no_secret'];

/** A provider that offers every method. */
const options = (made) => ({
  ...made,
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth',
    'self_signed_tls_client_auth', 'none'],
  enabledJWA: { ...made.enabledJWA, clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] },
  features: {
    ...made.features,
    pushedAuthorizationRequests: { enabled: true },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      selfSignedTlsClientAuth: true,
      getCertificate: (context) => {
        const certificate = context.socket.getPeerCertificate(true);
        return certificate?.raw && new X509Certificate(certificate.raw);
      },
      certificateAuthorized: (context) => context.socket.authorized,
      certificateSubjectMatches: (context, property, expected) => property === 'tls_client_auth_subject_dn'
        && Object.entries(context.socket.getPeerCertificate().subject).map((pair) => pair.join('=')).join('/') === expected,
    },
  },
});

let browser;
let world;
before(async () => {
  browser = await launchBrowser();
  let clients;
  world = await startWorld({
    providerOptions: { options, requestsCertificates: true },
    edit: (configuration) => {
      const { provider, ...others } = configuration.identity_providers;
      authority = provider.ca_certificates;
      clients = methods();
      const { client_id: _, client_secret: __, ...shared } = provider;
      const providers = Object.fromEntries(NAMES.map((name) => [name, { ...shared, client_id: name, ...clients[name][0] }]));
      const [listener] = configuration.listeners;
      const rules = NAMES.map((name, index) => ({
        priority: 100 + index,
        conditions: [{ path_pattern: [`/${name}*`] }],
        actions: [
          { authenticate: { identity_provider: name, session_cookie_name: `Session${index}`, scope: 'openid email profile' } },
          { forward: 'app' },
        ],
      }));
      return {
        ...configuration,
        listeners: [{ ...listener, rules: [...listener.rules, ...rules] }],
        identity_providers: { provider, ...others, ...providers },
      };
    },
  });
  for (const name of NAMES) {
    const undefinedSecret = clients[name][1].client_secret ? {} : { client_secret: undefined };
    world.provider.register(world.gateway.origin, { client_id: name, ...undefinedSecret, ...clients[name][1] });
  }
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

for (const name of NAMES) {
  test(`a person signs in with the client ${name}, whose request is pushed`, async () => {
    const { gateway, provider, target } = world;
    const pushed = provider.calls('/request');
    const person = await newPerson(browser);
    const page = await person.newPage();
    const asked = [];
    page.on('request', (request) => { if (new URL(request.url()).pathname === '/auth') asked.push(request.url()); });
    await signIn(page, gateway.url(`/${name}/page`));
    assert.equal(target.request(`/${name}/page`).headers['x-amzn-oidc-identity'], 'alice');
    assert.equal(provider.calls('/request'), pushed + 1, 'pushed once');
    const parameters = new URL(asked[0]).searchParams;
    assert.deepEqual([...parameters.keys()], ['client_id', 'request_uri'], 'the browser carries a reference only');
    await person.close();
  });
}

test('where pushing fails and is not required, the browser carries the request', async () => {
  const { gateway, provider } = world;
  provider.fault('/request', (request, response) => response.writeHead(500).end());
  const person = await newPerson(browser);
  const page = await person.newPage();
  await signIn(page, gateway.url('/key_rs256/again'));
  provider.fault('/request');
  await person.close();
});

test('no log holds a key, an assertion or a secret', async () => {
  const logs = world.gateway.logs();
  assert.ok(!logs.includes(SECRET));
  assert.ok(!logs.includes('client_assertion='));
  for (const name of ['made.key', 'rsa.key', 'ed25519.key']) {
    const body = readFileSync(file(name), 'utf8').split('\n')[1];
    assert.ok(!logs.includes(body), name);
  }
  for (const secret of world.provider.issued) assert.ok(!logs.includes(secret));
});
