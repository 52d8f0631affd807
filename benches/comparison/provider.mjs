// A certified OpenID Provider that nobody here wrote (npm `oidc-provider`), which knows one person and asks nothing; and tokens signed
// with its keys, as many as a run needs.
//   node provider.mjs keys OUT                        makes its keys
//   node provider.mjs public KEYS ALGORITHM OUT       writes one of them as PEM
//   node provider.mjs serve SETTINGS                  runs it: {port, keys, clients}
//   node provider.mjs tokens SETTINGS                 writes tokens: {keys, algorithm, claims, first, count, slot, out}
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';

const [action, file, ...rest] = process.argv.slice(2);
const read = (path) => JSON.parse(readFileSync(path));

function makeKeys(out) {
  const key = (type, alg, options) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomBytes(8).toString('hex') });
  const keys = [key('rsa', 'RS256', { modulusLength: 2048 }), key('ec', 'ES256', { namedCurve: 'P-256' })];
  writeFileSync(out, JSON.stringify({ keys }), { mode: 0o600 });
}

function writePublicKey(keys, algorithm, out) {
  const key = createPublicKey({ key: read(keys).keys.find(({ alg }) => alg === algorithm), format: 'jwk' });
  writeFileSync(out, key.export({ type: 'spki', format: 'pem' }));
}

async function serve({ port, keys, clients }) {
  const installed = createRequire(new URL('../../tests/e2e/package.json', import.meta.url));
  const { default: Provider } = await import(installed.resolve('oidc-provider'));
  const person = { sub: 'alice', name: 'Alice Liddell', email: 'alice@example.com', email_verified: true, groups: ['staff', 'admins'] };
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    jwks: read(keys),
    clients,
    cookies: { keys: [randomBytes(24).toString('base64url')] },
    scopes: ['openid', 'email', 'profile', 'groups', 'offline_access'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    conformIdTokenClaims: false,
    clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
    // Some of those that are measured know no PKCE.
    pkce: { required: () => false },
    findAccount: (context, id) => ({ accountId: id, claims: () => person }),
    interactions: { url: (context, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: async (context) => {
      const { client, session, params } = context.oidc;
      const grant = new context.oidc.provider.Grant({ accountId: session.accountId, clientId: client.clientId });
      grant.addOIDCScope(params.scope);
      await grant.save();
      return grant;
    },
    // A run takes half an hour, and nobody's session may need new tokens in it.
    ttl: { AccessToken: 86_400, AuthorizationCode: 60, Grant: 86_400, IdToken: 86_400, Interaction: 3600, RefreshToken: 86_400, Session: 86_400 },
    // Not all of those that are measured push their requests, and who does asks the provider twice.
    features: { devInteractions: { enabled: false }, pushedAuthorizationRequests: { enabled: false } },
  });
  const handle = provider.callback();
  const server = http.createServer(async (request, response) => {
    if (!request.url.startsWith('/interaction/')) return handle(request, response);
    try {
      return await provider.interactionFinished(request, response, { login: { accountId: 'alice' } }, { mergeWithLastSubmission: false });
    } catch (error) {
      return response.writeHead(500).end(String(error));
    }
  });
  server.keepAliveTimeout = 3_600_000;
  server.listen(port, '127.0.0.1');
}

/** A slot each: its length in four bytes, then the header's line; what is left is nothing. */
function writeTokens({ keys, algorithm, claims, first, count, slot, out }) {
  const jwk = read(keys).keys.find((key) => key.alg === algorithm);
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const header = encode({ alg: algorithm, kid: jwk.kid, typ: 'at+jwt' });
  const descriptor = openSync(out, 'w', 0o600);
  for (let index = first; index < first + count; index += 1) {
    const input = `${header}.${encode({ ...claims, jti: `token-${String(index).padStart(12, '0')}` })}`;
    const signature = sign('sha256', Buffer.from(input), algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key).toString('base64url');
    const line = Buffer.from(`Authorization: Bearer ${input}.${signature}\r\n`);
    if (line.length + 4 > slot) throw new Error(`a token of ${line.length} bytes does not fit into a slot of ${slot}`);
    const record = Buffer.alloc(slot);
    record.writeUInt32LE(line.length, 0);
    line.copy(record, 4);
    writeSync(descriptor, record);
  }
  closeSync(descriptor);
}

if (action === 'keys') makeKeys(file);
else if (action === 'public') writePublicKey(file, ...rest);
else if (action === 'serve') await serve(read(file));
else if (action === 'tokens') writeTokens(read(file));
else throw new Error(`no such action: ${action}`);
