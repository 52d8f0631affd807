// A certified OpenID Provider that nobody here wrote (npm `oidc-provider`), on loopback, over https.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import https from 'node:https';
import Provider from 'oidc-provider';
import { formOf } from './https.mjs';
import { consentPage, errorPage, signedOutPage, signInPage, signOutPage } from './provider-pages.mjs';
import { ProviderStore } from './provider-store.mjs';
import { freePort } from './processes.mjs';

export const ACCOUNTS = {
  alice: { password: 'wonderland', claims: { name: 'Alice Liddell', email: 'alice@example.com', email_verified: true, groups: ['staff', 'admins'] } },
  bob: { password: 'builder', claims: { name: 'Bob the Builder', email: 'bob@example.com', email_verified: true, groups: ['staff'] } },
};

/** Options of a provider whose access tokens end after `lifetime` seconds; every client gets refresh tokens, each of which works once. */
export const rotating = (lifetime) => (made) => ({
  ...made,
  issueRefreshToken: () => true,
  rotateRefreshToken: () => true,
  ttl: { ...made.ttl, AccessToken: lifetime },
});

export class IdentityProvider {
  clientId = 'gateway';
  // Everything that form encoding and HTTP Basic could mistake for their own (RFC 6749 section 2.3.1).
  clientSecret = `${randomBytes(12).toString('hex')}%:&+= ~/`;
  #store = new ProviderStore();
  #cookieKeys = [randomBytes(24).toString('base64url')];
  #calls = new Map();
  #faults = new Map();
  #connections = new Set();
  #certificates;
  #edit;
  #requestsCertificates;
  #signIn;
  #ownPages;
  #server;
  #provider;
  #handle;

  /**
   * `options` may change what the provider is made with; `requestsCertificates` makes it ask clients for theirs; `signIn` says with
   * which `acr` and `amr` a user has signed in for an authorization request. Without `ownPages` the pages are those that oidc-provider has
   * for development: every password is the right one.
   */
  static async start(certificates, { running = true, options = (made) => made, requestsCertificates = false, signIn = () => ({}), ownPages = true } = {}) {
    const provider = new IdentityProvider();
    provider.#edit = options;
    provider.#requestsCertificates = requestsCertificates;
    provider.#signIn = signIn;
    provider.#ownPages = ownPages;
    provider.#certificates = certificates;
    provider.port = await freePort();
    provider.issuer = `https://127.0.0.1:${provider.port}`;
    provider.rotateKeys();
    if (running) await provider.up();
    return provider;
  }

  /** Registers the gateway as a client; `metadata` overrides, e.g. the client's way to authenticate. */
  register(gatewayOrigin, metadata = {}) {
    this.#store.addClient({
      client_id: this.clientId,
      client_secret: this.clientSecret,
      redirect_uris: [`${gatewayOrigin}/oauth2/idpresponse`],
      post_logout_redirect_uris: [`${gatewayOrigin}/oauth2/logout`],
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_basic',
      ...metadata,
    });
  }

  /** This provider's entry in the gateway's configuration. */
  configuration(overrides = {}) {
    return {
      type: 'oidc',
      issuer: this.issuer,
      client_id: this.clientId,
      client_secret: this.clientSecret,
      ca_certificates: this.#certificates.authority,
      ...overrides,
    };
  }

  /** New signing keys at once, the old ones gone; sessions and clients stay. */
  rotateKeys() {
    this.#provider = new Provider(this.issuer, this.#edit(this.#options()));
    this.#handle = this.#provider.callback();
  }

  /** How often an endpoint was called, by its path. */
  calls(path) {
    return this.#calls.get(path) ?? 0;
  }

  /** Every code and token given out so far. */
  get issued() {
    return this.#store.issued;
  }

  /** As an administrator would: grants and refresh tokens are gone. */
  endEverything() {
    this.#store.endGrants();
  }

  /** From now on `path` is answered by `answer(request, response, provider)`, the last being its own answer; `undefined` puts the endpoint back. */
  fault(path, answer) {
    if (answer) this.#faults.set(path, answer);
    else this.#faults.delete(path);
  }

  async up() {
    const { ca, cert, key } = this.#certificates.pem;
    const asks = this.#requestsCertificates ? { ca, requestCert: true, rejectUnauthorized: false } : {};
    this.#server = https.createServer({ cert, key, ...asks }, (request, response) => this.#answer(request, response));
    this.#server.on('secureConnection', (socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Gone, as when the machine is: connections end, new ones are refused. */
  async down() {
    if (!this.#server?.listening) return;
    this.#server.close();
    for (const socket of this.#connections) socket.destroy();
    await once(this.#server, 'close');
  }

  #answer(request, response) {
    const { pathname } = new URL(request.url, this.issuer);
    this.#calls.set(pathname, this.calls(pathname) + 1);
    const fault = this.#faults.get(pathname);
    if (fault) return fault(request, response, () => this.#handle(request, response));
    if (!this.#ownPages || !pathname.startsWith('/interaction/')) return this.#handle(request, response);
    return this.#interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
  }

  async #interact(request, response) {
    const { uid, prompt, params, session, grantId } = await this.#provider.interactionDetails(request, response);
    const show = (html) => response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(html);
    if (request.method !== 'POST') return show(prompt.name === 'login' ? signInPage(uid) : consentPage(uid, params.client_id));
    const form = await formOf(request);
    if (form.has('cancel')) {
      const refusal = { error: 'access_denied', error_description: '<script>alert(1)</script> the person said no' };
      return this.#provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
    }
    if (prompt.name === 'login') {
      const user = form.get('user');
      if (!Object.hasOwn(ACCOUNTS, user) || ACCOUNTS[user].password !== form.get('password')) return show(signInPage(uid, 'Wrong user or password.'));
      const login = { accountId: user, ...this.#signIn(user, params) };
      return this.#provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
    }
    const grant = (grantId && await this.#provider.Grant.find(grantId))
      || new this.#provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    grant.addOIDCClaims(prompt.details.missingOIDCClaims ?? []);
    return this.#provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true });
  }

  #options() {
    return {
      adapter: this.#store.adapter(),
      jwks: { keys: [signingKey('rsa', 'RS256', { modulusLength: 2048 }), signingKey('ec', 'ES256', { namedCurve: 'P-256' })] },
      cookies: { keys: this.#cookieKeys },
      scopes: ['openid', 'email', 'profile', 'groups', 'offline_access'],
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
      // Claims in the ID token as well as at the user-info endpoint.
      conformIdTokenClaims: false,
      clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
      pkce: { required: () => true },
      findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id, ...ACCOUNTS[id].claims }) }),
      ...(this.#ownPages && { interactions: { url: (context, interaction) => `/interaction/${interaction.uid}` } }),
      renderError: (context, out) => { context.type = 'html'; context.body = errorPage(out); },
      ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 86_400, IdToken: 3600, Interaction: 3600, RefreshToken: 86_400, Session: 86_400 },
      features: {
        devInteractions: { enabled: !this.#ownPages },
        revocation: { enabled: true },
        rpInitiatedLogout: {
          enabled: true,
          logoutSource: (context, form) => { context.body = signOutPage(form); },
          postLogoutSuccessSource: (context) => { context.body = signedOutPage(); },
        },
      },
    };
  }
}

export function signingKey(type, alg, options) {
  const key = generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
  return { ...key, alg, use: 'sig', kid: randomBytes(8).toString('hex') };
}
