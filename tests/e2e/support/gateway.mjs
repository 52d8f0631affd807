// `vestibule serve` with a configuration of its own, on free ports.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { GATEWAY_HOST, makeSigningKey } from './certificates.mjs';
import { eventually } from './eventually.mjs';
import { request } from './https.mjs';
import { binary, freshFolder } from './paths.mjs';
import { freePort, Process } from './processes.mjs';

export const SIGNER = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/50dc6c495c0c9188';

export class Gateway {
  #process;

  /**
   * `identityProvider` is the entry of that name in the configuration; `edit` may change the whole of it.
   * `port` may be chosen before, where the provider has to know the redirect URI.
   */
  constructor({ port, adminPort, certificates, targetAddress, identityProvider, edit = (configuration) => configuration }) {
    this.port = port;
    this.origin = `https://${GATEWAY_HOST}:${port}`;
    this.folder = freshFolder('gateway');
    this.certificates = certificates;
    this.adminOrigin = `http://127.0.0.1:${adminPort}`;
    this.configurationFile = path.join(this.folder, 'vestibule.yaml');
    const configuration = edit(this.#configuration(adminPort, targetAddress, identityProvider));
    // JSON is YAML.
    writeFileSync(this.configurationFile, JSON.stringify(configuration, null, 2), { mode: 0o600 });
  }

  #file(name) {
    return path.join(this.folder, name);
  }

  #configuration(adminPort, targetAddress, identityProvider) {
    writeFileSync(this.#file('session.key'), randomBytes(32).toString('base64'), { mode: 0o600 });
    const rule = (priority, pathPattern, ...actions) => ({ priority, conditions: [{ path_pattern: [pathPattern] }], actions });
    const forward = { forward: 'app' };
    return {
      listeners: [{
        address: `127.0.0.1:${this.port}`,
        protocol: 'https',
        certificates: [{ certificate: this.certificates.certificate, private_key: this.certificates.privateKey }],
        rules: [
          rule(10, '/allow*', authenticate('allow'), forward),
          rule(20, '/deny*', authenticate('deny'), forward),
          rule(30, '/public*', forward),
        ],
        default_actions: [authenticate('authenticate'), forward],
      }],
      identity_providers: { provider: identityProvider },
      target_groups: { app: { protocol: 'http', targets: [targetAddress], health_check: { path: '/health' } } },
      sessions: { keys: [{ file: this.#file('session.key') }], store: 'cookie' },
      identity_headers: {
        signer: SIGNER,
        signing_key: { file: makeSigningKey(this.#file('signing.key')) },
        data_padding: true,
        claims: { 'X-Auth-Email': 'email', 'X-Auth-Groups': 'groups' },
      },
      admin: { address: `127.0.0.1:${adminPort}` },
      access_log: { format: 'json', path: this.#file('access.log') },
      // The most talkative level: what must not be logged must not be logged there either.
      log: { level: 'trace' },
    };
  }

  url(pathAndQuery = '/') {
    return this.origin + pathAndQuery;
  }

  async start({ probe = '/readyz' } = {}) {
    this.#process = new Process(binary, ['serve', '--config', this.configurationFile], { cwd: this.folder, outputFile: this.#file('gateway.log') });
    await eventually(`the gateway answers 200 on ${probe}`, async () => {
      this.#process.ensureRunning();
      return (await this.admin(probe).catch(() => undefined))?.status === 200;
    });
    return this;
  }

  admin(pathAndQuery) {
    return request(this.adminOrigin + pathAndQuery);
  }

  /** Ends every session that there is, one by one, as an operator does. */
  async endSessions() {
    for (const { id } of (await this.admin('/sessions')).json().sessions) {
      const { status, text } = await request(`${this.adminOrigin}/sessions/${id}`, { method: 'DELETE' });
      if (status !== 200) throw new Error(`session ${id}: ${status} ${text}`);
    }
  }

  /** A request of a program's, without cookies. */
  get(pathAndQuery, headers = {}) {
    return request(this.url(pathAndQuery), { headers, ca: this.certificates.pem.ca });
  }

  /** `vestibule check` on this configuration. */
  check(...options) {
    return new Promise((resolve) => {
      execFile(binary, ['check', '--config', this.configurationFile, ...options], { cwd: this.folder, env: { ...process.env, NO_COLOR: '1' } },
        (error, stdout, stderr) => resolve({ status: error ? error.code : 0, output: stdout + stderr }));
    });
  }

  accessLog() {
    const file = this.#file('access.log');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line)) : [];
  }

  /** Everything that was written to any log. */
  logs() {
    return [this.#file('gateway.log'), this.#file('access.log')].filter(existsSync).map((file) => readFileSync(file, 'utf8')).join('\n');
  }

  async stop() {
    await this.#process?.stop();
  }
}

/** An authenticate action for the one provider of these tests. */
export function authenticate(mode) {
  return { authenticate: { identity_provider: 'provider', on_unauthenticated_request: mode, scope: 'openid email profile groups' } };
}

export async function freePorts() {
  return { port: await freePort(), adminPort: await freePort() };
}
