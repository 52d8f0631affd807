// Amazon Cognito as moto knows it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gatewayCookies, launchBrowser, newPerson } from './support/browser.mjs';
import { makeCertificates } from './support/certificates.mjs';
import { freePorts, Gateway } from './support/gateway.mjs';
import { HostedPages } from './support/hosted-pages.mjs';
import { NAVIGATION } from './support/https.mjs';
import { Moto, PERSON } from './support/moto.mjs';
import { freshFolder } from './support/paths.mjs';
import { Target } from './support/target.mjs';

let browser;
let certificates;
let gateway;
let hostedPages;
let moto;
let pool;
let target;
before(async () => {
  certificates = makeCertificates(freshFolder('certificates'));
  browser = await launchBrowser();
  moto = await Moto.start();
  target = await Target.start();
  pool = await moto.makeUserPool();
  hostedPages = await HostedPages.start(moto, pool, certificates);
  gateway = await makeGateway({ user_pool_domain: hostedPages.domain });
  await gateway.start();
});
after(async () => {
  await browser?.close();
  await gateway?.stop();
  await hostedPages?.stop();
  await target?.stop();
  await moto?.stop();
});

async function makeGateway(overrides) {
  return new Gateway({
    ...await freePorts(),
    certificates,
    targetAddress: target.address,
    identityProvider: {
      type: 'cognito',
      user_pool_arn: pool.arn,
      user_pool_client_id: pool.clientId,
      user_pool_domain: 'people',
      client_secret: pool.clientSecret,
      endpoint: moto.endpoint,
      ca_certificates: certificates.authority,
      ...overrides,
    },
    edit(configuration) {
      const { identity_headers: { claims }, listeners: [{ rules, default_actions: defaultActions }] } = configuration;
      claims['X-Auth-Groups'] = 'cognito:groups';
      // Cognito knows no scope called groups.
      for (const { authenticate } of [...rules.flatMap(({ actions }) => actions), ...defaultActions]) {
        if (authenticate) authenticate.scope = 'openid email';
      }
      rules.push({
        priority: 40,
        conditions: [{ path_pattern: ['/api/*'] }],
        actions: [{ authenticate: { identity_provider: 'provider', bearer_tokens: { client_ids: [pool.clientId] } } }, { forward: 'app' }],
      });
      return configuration;
    },
  });
}

test('check --online reaches the pool\'s discovery document and key set and is content', async () => {
  const { status, output } = await gateway.check('--online');
  assert.equal(status, 0, output);
});

test('check --online says so when there is no such pool, and check alone asks nobody', async () => {
  await using(await makeGateway({ endpoint: 'http://127.0.0.1:1' }), async (missing) => {
    const offline = await missing.check();
    assert.equal(offline.status, 0, offline.output);
    const { status, output } = await missing.check('--online');
    assert.equal(status, 1, output);
    assert.match(output, /identity_providers\.provider/);
  });
});

test('the prefix of a domain stands for Amazon\'s hosted pages, and a navigation goes there with this client', async () => {
  await using(await makeGateway(), async (prefixed) => {
    await prefixed.start();
    const answer = await prefixed.get('/page?x=1', NAVIGATION);
    assert.equal(answer.status, 302);
    const address = new URL(answer.headers.location);
    assert.equal(address.origin + address.pathname, 'https://people.auth.eu-west-1.amazoncognito.com/oauth2/authorize');
    const { state, nonce, code_challenge: challenge, ...parameters } = Object.fromEntries(address.searchParams);
    assert.ok(state && nonce && challenge);
    assert.deepEqual(parameters, {
      client_id: pool.clientId,
      redirect_uri: prefixed.url('/oauth2/idpresponse'),
      response_type: 'code',
      scope: 'openid email',
      code_challenge_method: 'S256',
    });
  });
});

test('a person of the pool arrives at the target with groups, and leaves through the pool\'s own /logout', async () => {
  const person = await newPerson(browser);
  const page = await person.newPage();
  await page.goto(gateway.url('/page?x=1'));
  assert.equal(page.url(), gateway.url('/page?x=1'));

  const { headers } = target.request('/page?x=1');
  const claims = JSON.parse(Buffer.from(headers['x-amzn-oidc-data'].split('.')[1], 'base64url'));
  assert.equal(headers['x-amzn-oidc-identity'], claims.sub);
  assert.equal(headers['x-auth-email'], PERSON.email);
  assert.deepEqual(headers['x-auth-groups'].split(',').sort(), PERSON.groups.toSorted());
  assert.deepEqual(claims['cognito:groups'].toSorted(), PERSON.groups.toSorted(), 'from the ID token: user info has none');
  assert.equal(claims.iss, `https://cognito-idp.eu-west-1.amazonaws.com/${pool.id}`);

  await page.getByRole('link', { name: 'Sign out' }).click();
  await page.getByText('You are signed out.').waitFor();
  assert.deepEqual(hostedPages.signOuts, [{ client_id: pool.clientId, logout_uri: gateway.url('/oauth2/logout') }]);
  assert.deepEqual((await gatewayCookies(person, gateway.origin)).filter(({ name }) => name.startsWith('AWSELB')), []);
  await person.close();
});

test('the pool\'s access tokens pass by their client, its ID tokens do not, and groups arrive', async () => {
  const { idToken, accessToken } = await moto.tokens(pool);
  const claims = JSON.parse(Buffer.from(accessToken.split('.')[1], 'base64url'));
  assert.ok(!('aud' in claims) && claims.client_id === pool.clientId && claims.token_use === 'access', 'as Cognito writes them');
  const ask = (token) => gateway.get('/api/x', { Authorization: `Bearer ${token}` });
  assert.equal((await ask(accessToken)).status, 200);
  const { headers } = target.request('/api/x');
  assert.equal(headers['x-amzn-oidc-identity'], claims.sub);
  assert.deepEqual(headers['x-auth-groups'].split(',').sort(), PERSON.groups.toSorted());
  const refused = await ask(idToken);
  assert.equal(refused.status, 401);
  assert.match(refused.headers['www-authenticate'], /^Bearer .*error="invalid_token"/);
});

async function using(made, story) {
  try {
    await story(made);
  } finally {
    await made.stop();
  }
}
