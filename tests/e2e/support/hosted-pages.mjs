// What moto lacks of Amazon Cognito: the pool's domain with /oauth2/authorize, /token, /userInfo and /logout.
// People, claims and keys are moto's; this only carries them through the authorization-code flow. Nobody is asked for a password.
import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey, randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import https from 'node:https';
import path from 'node:path';
import { formOf } from './https.mjs';
import { python } from './paths.mjs';

// The key with which moto signs the tokens of every pool; it publishes the other half.
const PRINT_KEY = `
import gzip, importlib.resources, json, joserfc.jwk
compressed = (importlib.resources.files("moto.cognitoidp") / "resources/jwks-private.json.gz").read_bytes()
print(joserfc.jwk.RSAKey.import_key(json.loads(gzip.decompress(compressed))).as_pem(private=True).decode())`;

export class HostedPages {
  /** Every request to /logout, as its parameters. */
  signOuts = [];
  #codes = new Map();
  #server;
  #moto;
  #pool;
  #key = createPrivateKey(execFileSync(path.join(python, 'python'), ['-c', PRINT_KEY]));

  static async start(moto, pool, certificates) {
    const pages = new HostedPages();
    pages.#moto = moto;
    pages.#pool = pool;
    const { cert, key } = certificates.pem;
    pages.#server = https.createServer({ cert, key }, (request, response) => {
      pages.#answer(request, response).catch((error) => response.writeHead(500).end(String(error)));
    });
    pages.#server.listen(0, '127.0.0.1');
    await once(pages.#server, 'listening');
    return pages;
  }

  /** As `user_pool_domain` wants it: without a scheme. */
  get domain() {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  async #answer(request, response) {
    const url = new URL(request.url, `https://${this.domain}`);
    const parameters = Object.fromEntries(url.searchParams);
    const json = (status, body) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    const redirect = (location) => response.writeHead(302, { Location: location }).end();
    switch (`${request.method} ${url.pathname}`) {
      case 'GET /oauth2/authorize': {
        const code = randomUUID();
        this.#codes.set(code, parameters);
        return redirect(`${parameters.redirect_uri}?${new URLSearchParams({ code, state: parameters.state })}`);
      }
      case 'POST /oauth2/token': {
        const form = await formOf(request);
        const authorization = this.#codes.get(form.get('code'));
        this.#codes.delete(form.get('code'));
        if (!authorization || !this.#isClient(request, form)) return json(400, { error: 'invalid_client' });
        const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
        if (challenge !== authorization.code_challenge || form.get('redirect_uri') !== authorization.redirect_uri) return json(400, { error: 'invalid_grant' });
        const { idToken, accessToken } = await this.#moto.tokens(this.#pool);
        return json(200, { id_token: this.#withNonce(idToken, authorization.nonce), access_token: accessToken, token_type: 'Bearer', expires_in: 3600 });
      }
      case 'GET /oauth2/userInfo': {
        const AccessToken = request.headers.authorization?.replace(/^Bearer /, '');
        const { UserAttributes, Username } = await this.#moto.call('GetUser', { AccessToken });
        // Values are text, also those that are yes or no; groups are not among them.
        return json(200, { ...Object.fromEntries(UserAttributes.map(({ Name, Value }) => [Name, Value])), username: Username });
      }
      case 'GET /logout':
        this.signOuts.push(parameters);
        return redirect(parameters.logout_uri);
      default:
        return json(404, { error: 'not_found' });
    }
  }

  #isClient(request, form) {
    const { clientId, clientSecret } = this.#pool;
    const basic = `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`;
    return request.headers.authorization === basic || (form.get('client_id') === clientId && form.get('client_secret') === clientSecret);
  }

  /** moto's ID token knows nothing of the authorization request. The signature is by moto's key, and without `typ`, as Cognito's. */
  #withNonce(token, nonce) {
    const [header, claims] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
    const signed = [{ kid: header.kid, alg: header.alg }, { ...claims, nonce }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${signed}.${sign('sha256', Buffer.from(signed), this.#key).toString('base64url')}`;
  }

  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
