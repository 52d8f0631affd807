// Other people's libraries verify what the target receives: AWS's own verifier for Node, and PyJWT.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AlbJwtVerifier } from 'aws-jwt-verify';
import { AlbJwksCache } from 'aws-jwt-verify/alb-cache';
import { AlbJwtInvalidClientIdError, AlbJwtInvalidSignerError, JwtInvalidSignatureError } from 'aws-jwt-verify/error';
import { SimpleFetcher } from 'aws-jwt-verify/https';
import { launchBrowser, newPerson, signIn } from './support/browser.mjs';
import { SIGNER } from './support/gateway.mjs';
import { request } from './support/https.mjs';
import { python, supportFolder } from './support/paths.mjs';
import { ACCOUNTS } from './support/provider.mjs';
import { startWorld } from './support/world.mjs';

let browser;
before(async () => { browser = await launchBrowser(); });
after(() => browser?.close());

/** The same token with another person's name in it, written as the original is. */
function forge(token) {
  const [header, payload, signature] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url'));
  const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'mallory' })).toString('base64url');
  return [header, payload.length % 4 ? forged : forged.padEnd(Math.ceil(forged.length / 4) * 4, '='), signature].join('.');
}

for (const padded of [true, false]) {
  describe(padded ? 'x-amzn-oidc-data with ALB\'s padding' : 'x-amzn-oidc-data as plain JOSE', () => {
    let world;
    let token;
    before(async () => {
      world = await startWorld({
        edit: (configuration) => ({ ...configuration, identity_headers: { ...configuration.identity_headers, data_padding: padded } }),
      });
      const person = await newPerson(browser);
      await signIn(await person.newPage(), world.gateway.url('/verify'));
      token = world.target.request('/verify').headers['x-amzn-oidc-data'];
      await person.close();
    });
    after(() => world?.stop());

    test('is written as configured', () => {
      // A signature of 64 bytes always needs padding.
      assert.match(token, padded ? /^([\w-]+={0,2}\.){2}[\w-]{86}==$/ : /^([\w-]+\.){2}[\w-]{86}$/);
      if (padded) for (const part of token.split('.')) assert.equal(part.length % 4, 0);
    });

    test('passes aws-jwt-verify, which refuses it forged, or for another client or signer', async () => {
      const { gateway, provider, certificates } = world;
      const verifier = (overrides = {}) => AlbJwtVerifier.create({
        albArn: SIGNER,
        issuer: provider.issuer,
        clientId: provider.clientId,
        jwksUri: `https://localhost:${gateway.port}/oauth2/keys`,
        ...overrides,
      }, { jwksCache: new AlbJwksCache({ fetcher: new SimpleFetcher({ defaultRequestOptions: { ca: certificates.pem.ca } }) }) });

      const claims = await verifier().verify(token);
      assert.equal(claims.sub, 'alice');
      assert.equal(claims.email, ACCOUNTS.alice.claims.email);
      assert.deepEqual(claims.groups, ACCOUNTS.alice.claims.groups);
      await assert.rejects(verifier().verify(forge(token)), JwtInvalidSignatureError);
      await assert.rejects(verifier({ clientId: 'another' }).verify(token), AlbJwtInvalidClientIdError);
      await assert.rejects(verifier({ albArn: SIGNER.replace('edge', 'mallory') }).verify(token), AlbJwtInvalidSignerError);
    });

    test('passes PyJWT with the key that AWS\'s sample asks for, and does not when forged', async () => {
      const { gateway, provider, certificates } = world;
      const { kid } = JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
      const key = await request(`https://localhost:${gateway.port}/oauth2/keys/${kid}`, { ca: certificates.pem.ca });
      assert.equal(key.status, 200);
      assert.match(key.text, /^-----BEGIN PUBLIC KEY-----\n/);
      const verify = (data) => spawnSync(path.join(python, 'python'), [path.join(supportFolder, 'verify_data.py')], {
        input: JSON.stringify({ data, public_key: key.text, signer: SIGNER, issuer: provider.issuer }), encoding: 'utf8',
      });

      const good = verify(token);
      assert.equal(good.status, 0, good.stderr);
      assert.equal(JSON.parse(good.stdout).sub, 'alice');
      const bad = verify(forge(token));
      assert.deepEqual([bad.status, bad.stderr.trim()], [1, 'InvalidSignatureError']);
    });

    test('has its key in the JWK Set too', async () => {
      const { gateway } = world;
      const { kid } = JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
      const { keys } = (await gateway.get('/oauth2/jwks.json')).json();
      assert.ok(keys.some((key) => key.kid === kid && key.kty === 'EC' && key.crv === 'P-256' && !('d' in key)));
    });
  });
}
