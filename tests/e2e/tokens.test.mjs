// Access tokens and ID tokens of a provider that nobody here wrote: every algorithm, a rotation, and opaque tokens.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { eventually } from './support/eventually.mjs';
import { request } from './support/https.mjs';
import { signingKey } from './support/provider.mjs';
import { startWorld } from './support/world.mjs';

const API = 'https://api.example.com';
const SECRET = randomBytes(32).toString('hex');
const RSA = ['rsa', { modulusLength: 2048 }];
const ALGORITHMS = {
  RS256: RSA, RS384: RSA, RS512: RSA, PS256: RSA, PS384: RSA, PS512: RSA,
  ES256: ['ec', { namedCurve: 'P-256' }], ES384: ['ec', { namedCurve: 'P-384' }], EdDSA: ['ed25519'],
};

/** A key for each algorithm; machines get JWTs of the algorithm that the resource names, or opaque tokens. */
const options = (made) => ({
  ...made,
  enabledJWA: { ...made.enabledJWA, idTokenSigningAlgValues: Object.keys(ALGORITHMS) },
  jwks: { keys: Object.entries(ALGORITHMS).map(([algorithm, [type, parameters]]) => signingKey(type, algorithm, parameters)) },
  scopes: [...made.scopes, 'read', 'write'],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
  features: {
    ...made.features,
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (context, resource) => {
        const algorithm = new URL(resource).pathname.slice(1);
        return {
          scope: 'read write',
          audience: API,
          ...(algorithm === 'opaque' ? { accessTokenFormat: 'opaque' } : { accessTokenFormat: 'jwt', jwt: { sign: { alg: algorithm } } }),
        };
      },
    },
  },
});

let world;
let browser;
before(async () => {
  browser = await launchBrowser();
  world = await startWorld({
    providerOptions: { options },
    edit: (configuration) => {
      const [listener] = configuration.listeners;
      const { provider } = configuration.identity_providers;
      const bearer = { audiences: [API], scopes: ['read'], introspection: { max_age: '2s' } };
      const forward = { forward: 'app' };
      const people = Object.keys(ALGORITHMS).map((algorithm, index) => ({
        priority: 200 + index,
        conditions: [{ path_pattern: [`/${algorithm}/*`] }],
        actions: [{ authenticate: { identity_provider: algorithm, session_cookie_name: `Session-${algorithm}`, scope: 'openid email' } }, forward],
      }));
      const ids = Object.keys(ALGORITHMS).map((algorithm) => [algorithm, { ...provider, client_id: algorithm, client_secret: SECRET }]);
      return {
        ...configuration,
        identity_providers: { provider, ...Object.fromEntries(ids) },
        listeners: [{
          ...listener,
          rules: [
            ...listener.rules,
            ...people,
            {
              priority: 100,
              conditions: [{ path_pattern: ['/api/*'] }],
              actions: [{ authenticate: { identity_provider: 'provider', bearer_tokens: bearer } }, forward],
            },
            {
              priority: 110,
              conditions: [{ path_pattern: ['/jwt/*'] }],
              actions: [{
                jwt_validation: {
                  issuer: provider.issuer,
                  jwks_endpoint: `${provider.issuer}/jwks`,
                  ca_certificates: provider.ca_certificates,
                  additional_claims: [
                    { name: 'aud', format: 'string_array', values: [API] },
                    { name: 'scope', format: 'space_separated_values', values: ['read'] },
                  ],
                },
              }, forward],
            },
          ],
        }],
      };
    },
  });
  for (const algorithm of Object.keys(ALGORITHMS)) {
    world.provider.register(world.gateway.origin, { client_id: algorithm, client_secret: SECRET, id_token_signed_response_alg: algorithm });
  }
  world.provider.register(world.gateway.origin, {
    client_id: 'machine', client_secret: SECRET, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  });
});
after(async () => {
  await browser?.close();
  await world?.stop();
});

/** An access token of the machine's, by client credentials; `kind` is an algorithm or `opaque`. */
async function machineToken(kind, scope = 'read') {
  const answer = await request(`${world.provider.issuer}/token`, {
    method: 'POST',
    ca: world.certificates.pem.ca,
    headers: {
      'Content-Type': 'application/x-www-form-urlencoded',
      Authorization: `Basic ${Buffer.from(`machine:${SECRET}`).toString('base64')}`,
    },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: `${API}/${kind}`, scope }).toString(),
  });
  assert.equal(answer.status, 200, answer.text);
  return answer.json().access_token;
}

const ask = (path, token) => world.gateway.get(path, { Authorization: `Bearer ${token}` });

for (const algorithm of Object.keys(ALGORITHMS)) {
  test(`a person whose ID token is signed with ${algorithm} signs in`, async () => {
    const person = await newPerson(browser);
    const page = await person.newPage();
    await signIn(page, world.gateway.url(`/${algorithm}/page`));
    assert.equal(world.target.request(`/${algorithm}/page`).headers['x-amzn-oidc-identity'], 'alice');
    await person.close();
  });

  test(`a machine's access token signed with ${algorithm} passes, and with one bit changed does not`, async () => {
    const token = await machineToken(algorithm);
    assert.equal(JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).typ, 'at+jwt');
    for (const path of [`/api/${algorithm}`, `/jwt/${algorithm}`]) {
      assert.equal((await ask(path, token)).status, 200, path);
      const [header, payload, signature] = token.split('.');
      const bytes = Buffer.from(signature, 'base64url');
      bytes[9] ^= 1;
      const forged = await ask(path, [header, payload, bytes.toString('base64url')].join('.'));
      assert.equal(forged.status, 401);
      assert.match(forged.headers['www-authenticate'], /error="invalid_token"/);
    }
    assert.equal(world.target.request(`/api/${algorithm}`).headers['x-amzn-oidc-identity'], 'machine');
    assert.equal(world.target.request(`/jwt/${algorithm}`).headers.authorization, `Bearer ${token}`);
  });
}

test('a token without the scope is refused by both rules', async () => {
  const token = await machineToken('ES256', 'write');
  const refused = await ask('/api/x', token);
  assert.equal(refused.status, 403);
  assert.match(refused.headers['www-authenticate'], /error="insufficient_scope".*scope="read"/);
  assert.equal((await ask('/jwt/x', token)).status, 401);
});

test('an opaque token is asked about, passes, and stops when it is revoked', async () => {
  const token = await machineToken('opaque');
  const before = world.provider.calls('/token/introspection');
  for (let i = 0; i < 3; i++) assert.equal((await ask('/api/opaque', token)).status, 200);
  assert.equal(world.provider.calls('/token/introspection'), before + 1);
  assert.equal((await ask('/jwt/opaque', token)).status, 401, 'jwt_validation asks nobody');
  const revoked = await request(`${world.provider.issuer}/token/revocation`, {
    method: 'POST',
    ca: world.certificates.pem.ca,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: `Basic ${Buffer.from(`machine:${SECRET}`).toString('base64')}` },
    body: new URLSearchParams({ token }).toString(),
  });
  assert.equal(revoked.status, 200);
  await eventually('the revoked token is refused', async () => (await ask('/api/opaque', token)).status === 401);
});

test('keys that rotate are found at the first token of the new ones, and tokens of the old ones end', async () => {
  const old = await machineToken('PS256');
  assert.equal((await ask('/jwt/old', old)).status, 200);
  // A rotation throws every key away; the cool-down after the last look may still run.
  world.provider.rotateKeys();
  const fresh = await machineToken('PS256');
  await eventually('a token of the new keys passes', async () => (await ask('/jwt/new', fresh)).status === 200);
  assert.equal((await ask('/jwt/old', old)).status, 401, 'a token of a key that is gone');
});

test('no log holds a token', () => {
  const logs = world.gateway.logs();
  for (const secret of world.provider.issued) assert.ok(!logs.includes(secret));
  assert.ok(!logs.includes(SECRET));
  assert.ok(!/eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+/.test(logs), 'a JWT');
});
