// What stands in deploy/: read, held against the schemas of Kubernetes and of Compose, and against what the gateway needs there.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeCertificates } from './certificates.mjs';
import { binary, freshFolder, python, supportFolder } from './paths.mjs';

export const deploy = path.resolve(supportFolder, '../../../deploy');
export const read = (...parts) => readFileSync(path.join(deploy, ...parts), 'utf8');

/** Arguments of manifests.py. */
const SCHEMAS = { none: [], kubernetes: ['kubernetes', '1.37'], compose: ['compose'] };

/** The documents of a YAML text; with a schema (`kubernetes` or `compose`) also what it objects to. */
export function parse(text, schema = 'none') {
  const known = `${schema}: ${text}`;
  if (!parsed.has(known)) parsed.set(known, parseAnew(text, schema));
  return structuredClone(parsed.get(known));
}

// Python takes a second to read all of the schemas.
const parsed = new Map();

function parseAnew(text, schema) {
  const { status, stdout, stderr } = spawnSync(path.join(python, 'python'), [path.join(supportFolder, 'manifests.py'), ...SCHEMAS[schema]], { input: text, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** JSON is YAML. */
export const asText = (documents) => documents.map((document) => JSON.stringify(document)).join('\n---\n');

/**
 * The files that a configuration names, made as deploy/README.md says, and what `vestibule check` says of it all.
 * `from`: where the configuration looks for secrets, if not beside itself.
 */
export function check(text, { folder = 'config', from = '../secrets' } = {}) {
  const root = freshFolder('deploy');
  for (const part of [folder, 'secrets', 'tls', path.join(folder, 'tls')]) mkdirSync(path.join(root, part), { recursive: true });
  const secrets = path.join(root, 'secrets');
  execFileSync(path.join(deploy, 'secrets'), [secrets], { stdio: 'ignore' });
  writeFileSync(path.join(secrets, 'client-secret'), 'of the provider\n', { mode: 0o600 });
  const made = makeCertificates(root);
  copyFileSync(made.authority, path.join(secrets, 'redis-ca.pem'));
  for (const tls of [path.join(root, 'tls'), path.join(root, folder, 'tls')]) {
    copyFileSync(made.certificate, path.join(tls, 'tls.crt'));
    copyFileSync(made.privateKey, path.join(tls, 'tls.key'));
  }
  const file = path.join(root, folder, 'vestibule.yaml');
  writeFileSync(file, text.replaceAll(`${from}/`, `${secrets}/`));
  const { status, stdout, stderr } = spawnSync(binary, ['check', '--config', file], { env: { ...process.env, NO_COLOR: '1' }, encoding: 'utf8' });
  return { status, report: stdout + stderr, secrets };
}

const seconds = (duration) => Number.parseInt(duration, 10);
const port = (address) => Number(address.split(':').at(-1));
const selects = (selector, labels) => Object.entries(selector).every(([name, value]) => labels[name] === value);

/** What the schemas know nothing of: each fault in a line. */
export function faultsOfKubernetes(documents) {
  const faults = [];
  const expect = (condition, fault) => { if (!condition) faults.push(fault); };
  const one = (kind, name = '') => documents.find((document) => document.kind === kind && document.metadata.name.endsWith(name)) ?? {};
  const pod = one('Deployment').spec.template;
  const configuration = parse(one('ConfigMap').data['vestibule.yaml']).documents[0];
  const gateway = pod.spec.containers.find(({ name }) => name === 'gateway');
  const others = pod.spec.containers.filter((container) => container !== gateway);

  const { runAsNonRoot, runAsUser, fsGroup, seccompProfile } = pod.spec.securityContext;
  expect(runAsNonRoot && runAsUser > 0, 'a pod runs as root');
  expect(seccompProfile?.type === 'RuntimeDefault', 'any system call is allowed');
  expect(pod.spec.automountServiceAccountToken === false, 'a token for the cluster lies about');
  for (const { name, securityContext, resources } of pod.spec.containers) {
    expect(securityContext?.readOnlyRootFilesystem === true, `${name} may write to its file system`);
    expect(securityContext?.allowPrivilegeEscalation === false, `${name} may become more than it is`);
    expect(securityContext?.capabilities?.drop?.includes('ALL'), `${name} has capabilities`);
    expect(resources?.requests?.cpu && resources?.requests?.memory && resources?.limits?.memory, `${name} has no bounds`);
  }

  for (const volume of pod.spec.volumes.filter(({ secret }) => secret)) {
    expect(volume.secret.defaultMode === 0o400, `everybody may read the secret ${volume.name}`);
    expect(fsGroup === pod.spec.securityContext.runAsGroup, 'the gateway may not read its secrets');
    const mounts = pod.spec.containers.filter(({ volumeMounts = [] }) => volumeMounts.some(({ name }) => name === volume.name));
    expect(mounts.length === 1 && mounts[0] === gateway, `not the gateway alone has the secret ${volume.name}`);
  }
  expect(!gateway.env && !gateway.envFrom, 'a secret in the environment');

  const named = (wanted) => gateway.ports.find(({ name }) => name === wanted)?.containerPort;
  const adminPort = port(configuration.admin.address);
  expect(!configuration.admin.address.startsWith('127.'), 'the kubelet cannot reach the admin address');
  for (const [probe, at] of [['livenessProbe', '/livez'], ['readinessProbe', '/readyz']]) {
    const asked = gateway[probe]?.httpGet;
    expect(asked?.path === at && named(asked.port) === adminPort, `${probe} does not ask for ${at} at the admin address`);
  }
  const listeners = configuration.listeners.map(({ address }) => port(address));
  for (const { name, targetPort } of one('Service').spec.ports) expect(listeners.includes(named(targetPort)), `${name} leads to no listener`);
  expect(selects(one('Service').spec.selector, pod.metadata.labels), 'the service leads nowhere');

  const sleep = (container) => container.lifecycle?.preStop?.sleep?.seconds ?? 0;
  const end = sleep(gateway) + seconds(configuration.drain_timeout);
  expect(sleep(gateway) > 0, 'the gateway drains while requests are still sent to it');
  expect(pod.spec.terminationGracePeriodSeconds > end, 'the gateway is killed while it drains');
  for (const other of others) expect(sleep(other) > end && sleep(other) < pod.spec.terminationGracePeriodSeconds, `${other.name} ends before the gateway`);

  const open = one('NetworkPolicy', pod.metadata.labels['app.kubernetes.io/name']);
  expect(open.spec && selects(open.spec.podSelector.matchLabels, pod.metadata.labels), 'no policy for the pod');
  expect(open.spec?.policyTypes.includes('Ingress'), 'the policy lets everything in');
  for (const { from, ports } of open.spec?.ingress ?? []) {
    for (const { port: opened } of ports ?? [{}]) {
      expect(from ? opened === adminPort : listeners.includes(opened), `port ${opened} is open past the gateway`);
    }
  }

  for (const { targets } of Object.values(configuration.target_groups)) {
    for (const target of targets) {
      const own = target.startsWith('127.0.0.1:');
      expect(own === others.length > 0, `${target} is not where the application is`);
      if (own) expect(others.every(({ command }) => command.includes('127.0.0.1')), 'the application listens on more than loopback');
      else expect(guardsTarget(documents, target, pod), `${target} can be reached past the gateway`);
    }
  }
  expect(one('Deployment').spec.replicas >= 2, 'one pod is no pod while it is replaced');
  return faults;
}

/** A policy in the target's namespace that lets the gateway's pods in and nobody else. */
function guardsTarget(documents, target, pod) {
  const [host, targetPort] = target.split(':');
  const [name, namespace] = host.split('.');
  const policy = documents.find(({ kind, metadata, spec }) => kind === 'NetworkPolicy' && metadata.namespace === namespace
    && spec.podSelector.matchLabels['app.kubernetes.io/name'] === name && spec.policyTypes.includes('Ingress'));
  return policy !== undefined && policy.spec.ingress.every(({ from, ports }) => ports?.every((open) => open.port === Number(targetPort))
    && from?.every(({ namespaceSelector, podSelector }) => namespaceSelector && podSelector && selects(podSelector.matchLabels, pod.metadata.labels)));
}

/** The same for Compose. */
export function faultsOfCompose({ services, networks, secrets }, configuration) {
  const faults = [];
  const expect = (condition, fault) => { if (!condition) faults.push(fault); };
  for (const [name, service] of Object.entries(services)) {
    expect(service.read_only === true, `${name} may write to its file system`);
    expect(service.cap_drop?.includes('ALL'), `${name} has capabilities`);
    expect(service.security_opt?.includes('no-new-privileges:true'), `${name} may become more than it is`);
    expect(!service.environment && !service.env_file, `${name} has an environment`);
    expect(name === 'gateway' || service.user?.match(/^[1-9]\d*:[1-9]\d*$/), `${name} runs as root`);
    expect(name === 'gateway' || !service.ports, `${name} can be reached past the gateway`);
    expect(name === 'gateway' || service.networks.every((network) => networks[network].internal), `${name} can be reached past the gateway`);
  }
  const { gateway, redis, application } = services;
  expect(!application.networks.some((network) => redis.networks.includes(network)), 'the application can reach Redis');
  expect(seconds(gateway.stop_grace_period) > seconds(configuration.drain_timeout), 'the gateway is killed while it drains');
  const listeners = configuration.listeners.map(({ address }) => port(address));
  for (const published of gateway.ports) expect(listeners.includes(port(published)), `${published} leads to no listener`);
  const mounted = gateway.secrets.map(({ source, target }) => { expect(secrets[source], `there is no secret ${source}`); return target; });
  for (const [, file] of JSON.stringify(configuration).matchAll(/"\.\.\/((?:secrets|tls)\/[^"]+)"/g)) {
    expect(mounted.includes(`/etc/vestibule/${file}`), `${file} is not there`);
  }
  return faults;
}
