// deploy/: every manifest against the schema of its kind and against what a gateway needs there, every configuration through
// `vestibule check`; and each of these checks against something broken, because one that never fails shows nothing.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { describe, test } from 'node:test';
import { asText, check, deploy, faultsOfCompose, faultsOfKubernetes, parse, read } from './support/manifests.mjs';
import { binary, freshFolder, python } from './support/paths.mjs';

const run = (command, args, options) => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (error) throw error;
  return { status, output: stdout + stderr };
};

describe('Kubernetes', () => {
  const folder = (kind) => path.join(deploy, 'kubernetes', kind);
  const manifests = (kind) => readdirSync(folder(kind)).filter((file) => file !== 'kustomization.yaml');
  const all = (kind) => parse(manifests(kind).map((file) => read('kubernetes', kind, file)).join('\n---\n'), 'kubernetes');
  const configuration = (documents) => documents.find((document) => document.kind === 'ConfigMap').data['vestibule.yaml'];

  for (const kind of ['sidecar', 'edge']) {
    test(`${kind}: manifests satisfy the schemas, and what a gateway needs`, () => {
      const { documents, faults } = all(kind);
      assert.deepEqual(faults, []);
      assert.deepEqual(faultsOfKubernetes(documents), []);
    });

    test(`${kind}: the kustomization names every manifest`, () => {
      assert.deepEqual(parse(read('kubernetes', kind, 'kustomization.yaml')).documents[0].resources.toSorted(), manifests(kind).toSorted());
    });

    test(`${kind}: vestibule check has nothing to say about the configuration`, () => {
      const { status, report } = check(configuration(all(kind).documents));
      assert.match(report, /vestibule\.yaml is usable\n$/);
      assert.equal(status, 0, report);
    });
  }

  const pod = (documents) => documents.find(({ kind }) => kind === 'Deployment').spec.template.spec;
  const gateway = (documents) => pod(documents).containers.find(({ name }) => name === 'gateway');
  const policy = (documents, name) => documents.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === name).spec;
  const reconfigure = (from, to) => (documents) => {
    const { data } = documents.find(({ kind }) => kind === 'ConfigMap');
    assert.ok(data['vestibule.yaml'].includes(from));
    data['vestibule.yaml'] = data['vestibule.yaml'].replace(from, to);
  };

  for (const [what, kind, edit, fault] of [
    ['a key that nobody knows', 'edge', (all) => { pod(all).restartPolicie = 'Always'; }, /restartPolicie/],
    ['a port that is a word', 'edge', (all) => { gateway(all).ports[0].containerPort = 'https'; }, /https/],
    ['a kind of another version', 'edge', (all) => { all.find(({ kind }) => kind === 'PodDisruptionBudget').apiVersion = 'policy/v1beta1'; }, /policy\/v1beta1/],
    ['root', 'edge', (all) => { pod(all).securityContext.runAsUser = 0; }, /runs as root/],
    ['a writable file system', 'sidecar', (all) => { gateway(all).securityContext.readOnlyRootFilesystem = false; }, /may write/],
    ['capabilities', 'sidecar', (all) => { delete gateway(all).securityContext.capabilities; }, /capabilities/],
    ['secrets for everybody', 'edge', (all) => { delete pod(all).volumes.find(({ name }) => name === 'secrets').secret.defaultMode; }, /may read the secret/],
    ['secrets for the application', 'sidecar', (all) => { pod(all).containers[1].volumeMounts = [{ name: 'secrets', mountPath: '/x' }]; }, /not the gateway alone/],
    ['a probe of another port', 'edge', (all) => { gateway(all).readinessProbe.httpGet.port = 'https'; }, /readinessProbe/],
    ['an admin address on loopback', 'edge', reconfigure('0.0.0.0:9901', '127.0.0.1:9901'), /kubelet/],
    ['too short a grace', 'edge', (all) => { pod(all).terminationGracePeriodSeconds = 30; }, /killed while it drains/],
    ['a longer drain than the grace', 'edge', reconfigure('drain_timeout: 30s', 'drain_timeout: 50s'), /killed while it drains/],
    ['an application that ends first', 'sidecar', (all) => { delete pod(all).containers[1].lifecycle; }, /ends before the gateway/],
    ['an application on every address', 'sidecar', (all) => { pod(all).containers[1].command[5] = '0.0.0.0'; }, /more than loopback/],
    ['a port past the gateway', 'sidecar', (all) => { policy(all, 'app').ingress[0].ports.push({ protocol: 'TCP', port: 3000 }); }, /3000 is open/],
    ['a policy for other pods', 'sidecar', (all) => { policy(all, 'app').podSelector.matchLabels = { app: 'other' }; }, /no policy for the pod/],
    ['an application for everybody', 'edge', (all) => { delete policy(all, 'app-from-vestibule-only').ingress[0].from; }, /past the gateway/],
    ['an application for a whole namespace', 'edge', (all) => { delete policy(all, 'app-from-vestibule-only').ingress[0].from[0].podSelector; }, /past the gateway/],
    ['a service that leads elsewhere', 'edge', (all) => { all.find(({ kind }) => kind === 'Service').spec.ports[0].targetPort = 'admin'; }, /leads to no listener/],
    ['a single pod', 'edge', (all) => { all.find(({ kind }) => kind === 'Deployment').spec.replicas = 1; }, /one pod/],
  ]) {
    test(`is refused: ${what}`, () => {
      const { documents } = all(kind);
      edit(documents);
      const { faults } = parse(asText(documents), 'kubernetes');
      assert.match([...faults, ...faultsOfKubernetes(documents)].join('\n'), fault);
    });
  }

  test('is refused: a configuration with a mistake in it', () => {
    const broken = configuration(all('edge').documents).replace('forward: app', 'forward: ap');
    const { status, report } = check(broken);
    assert.equal(status, 2);
    assert.match(report, /did you mean "app"/);
  });
});

describe('Compose', () => {
  const configuration = () => read('compose/config/vestibule.yaml');
  const file = () => parse(read('compose/compose.yaml'), 'compose');

  test('the file satisfies the schema, and what a gateway needs', () => {
    const { documents, faults } = file();
    assert.deepEqual(faults, []);
    assert.deepEqual(faultsOfCompose(documents[0], parse(configuration()).documents[0]), []);
  });

  test('what it names is there', () => {
    const { gateway, redis } = file().documents[0].services;
    for (const volume of [...gateway.volumes, ...redis.volumes]) assert.ok(statSync(path.join(deploy, 'compose', volume.split(':')[0])), volume);
    assert.ok(statSync(path.join(deploy, 'compose', gateway.build.context, gateway.build.dockerfile)).isFile());
  });

  test('vestibule check reminds of the Redis without TLS, and of nothing else', () => {
    const { status, report } = check(configuration());
    assert.match(report, /vestibule\.yaml is usable: 1 warning\n/);
    assert.match(report, /redis:\/\/ is not encrypted/);
    assert.equal(status, 0, report);
  });

  for (const [what, edit, fault] of [
    ['a key that nobody knows', ({ services }) => { services.gateway.restrat = 'always'; }, /restrat/],
    ['a port of the application', ({ services }) => { services.application.ports = ['3000:3000']; }, /application can be reached/],
    ['an application on an open network', ({ networks }) => { networks.application = {}; }, /application can be reached/],
    ['Redis where the application is', ({ services }) => { services.redis.networks.push('application'); }, /reach Redis/],
    ['too short a grace', ({ services }) => { services.gateway.stop_grace_period = '10s'; }, /killed while it drains/],
    ['a secret that is missing', ({ services }) => { services.gateway.secrets.pop(); }, /redis\.password is not there/],
    ['root', ({ services }) => { delete services.redis.user; }, /redis runs as root/],
  ]) {
    test(`is refused: ${what}`, () => {
      const { documents } = file();
      edit(documents[0]);
      const { faults } = parse(asText(documents), 'compose');
      assert.match([...faults, ...faultsOfCompose(documents[0], parse(configuration()).documents[0])].join('\n'), fault);
    });
  }
});

describe('systemd', () => {
  const unit = () => read('systemd/vestibule.service');

  /** With a program and a user that this machine has. */
  function judged(text) {
    const file = path.join(freshFolder('systemd'), 'vestibule.service');
    writeFileSync(file, text.replaceAll('/usr/local/bin/vestibule', '/bin/true').replace('User=vestibule', 'User=daemon'));
    const verified = run('systemd-analyze', ['verify', '--man=no', file]);
    // Tenths: 0 is nothing at all, 96 a unit without a word about security.
    const secure = run('systemd-analyze', ['security', '--offline=true', '--threshold=20', file]);
    return { verified, secure };
  }

  test('the unit is good, and what it may do is little', () => {
    const { verified, secure } = judged(unit());
    assert.deepEqual(verified, { status: 0, output: '' });
    assert.equal(secure.status, 0, secure.output);
  });

  test('is refused: a unit with a mistake in it, and one that may do more', () => {
    const mistaken = judged(unit().replace('ProtectSystem=strict', 'ProtectSytem=strict'));
    assert.match(mistaken.verified.output, /ProtectSytem/);
    const open = judged(unit().replace(/^(SystemCallFilter|CapabilityBoundingSet|Protect\w+|Private\w+)=.*\n/gm, ''));
    assert.notEqual(open.secure.status, 0, open.secure.output);
  });

  test('it stops later than the gateway has drained, and knows that a bad configuration does not get better', () => {
    const value = (name) => unit().match(new RegExp(`^${name}=(.*)$`, 'm'))[1];
    const { drain_timeout: drain } = parse(read('systemd/vestibule.yaml')).documents[0];
    assert.ok(Number(value('TimeoutStopSec')) > Number.parseInt(drain, 10));
    assert.equal(value('RestartPreventExitStatus'), '2');
  });

  test('vestibule check has nothing to say about the configuration, whose secrets the unit loads', () => {
    const credentials = '/run/credentials/vestibule.service';
    const text = read('systemd/vestibule.yaml');
    const wanted = [...text.matchAll(new RegExp(`${credentials}/([\\w.-]+)`, 'g'))].map(([, name]) => name);
    const loaded = [...unit().matchAll(/^LoadCredential=([\w.-]+):/gm)].map(([, name]) => name);
    assert.deepEqual(wanted.toSorted(), loaded.toSorted());
    const { status, report } = check(text, { from: credentials });
    assert.match(report, /vestibule\.yaml is usable\n$/);
    assert.equal(status, 0, report);
  });
});

describe('container', () => {
  const dockerfile = () => read('container/Dockerfile');

  function linted(text) {
    const file = path.join(freshFolder('container'), 'Dockerfile');
    writeFileSync(file, text);
    return run(path.join(python, 'hadolint'), ['--no-color', '--failure-threshold=info', file]);
  }

  test('hadolint has nothing to say about the Dockerfile', () => {
    assert.deepEqual(linted(dockerfile()), { status: 0, output: '' });
  });

  test('is refused: a Dockerfile with a mistake in it', () => {
    assert.match(linted(dockerfile().replace('rust:1.95-bookworm', 'rust')).output, /DL3006/);
    assert.match(linted(dockerfile().replace('ENTRYPOINT', 'ENTRYPONT')).output, /unexpected 'E'/);
  });

  test('the image runs as a number that is not root\'s, and needs no shell', () => {
    const last = dockerfile().slice(dockerfile().lastIndexOf('\nFROM '));
    assert.match(last, /^USER [1-9]\d*:[1-9]\d*$/m);
    for (const form of ['ENTRYPOINT', 'CMD']) assert.match(last, new RegExp(`^${form} \\[`, 'm'));
    assert.doesNotMatch(last, /^RUN /m);
  });

  test('builder and image are of the same Debian', () => {
    assert.match(dockerfile(), /^FROM rust:[\d.]+-bookworm AS build$/m);
    assert.match(dockerfile(), /^FROM \S*debian12\S*$/m);
  });

  test('the compiler is new enough for Cargo.toml', () => {
    const minor = (text, pattern) => Number(text.match(pattern)[1]);
    const wanted = minor(readFileSync(path.join(deploy, '../Cargo.toml'), 'utf8'), /^rust-version = "1\.(\d+)"/m);
    assert.ok(minor(dockerfile(), /^FROM rust:1\.(\d+)/m) >= wanted);
  });

  test('its health check is a command of the program, which asks whether the gateway is ready', async (context) => {
    const [program, command, address] = JSON.parse(dockerfile().match(/^HEALTHCHECK .* CMD (\[.*\])$/m)[1]);
    assert.deepEqual([program, command, address], ['/usr/local/bin/vestibule', 'health', '127.0.0.1:9901']);
    let answer = 200;
    const asked = [];
    const admin = createServer((request, response) => { asked.push(request.url); response.writeHead(answer).end(); }).listen(0, '127.0.0.1');
    await once(admin, 'listening');
    context.after(() => admin.close());
    const here = `127.0.0.1:${admin.address().port}`;
    const health = (at) => new Promise((resolve) => {
      execFile(binary, [command, at], (error, stdout, stderr) => resolve({ status: error?.code ?? 0, output: stdout + stderr }));
    });
    assert.deepEqual(await health(here), { status: 0, output: '' });
    answer = 503;
    assert.deepEqual(await health(here), { status: 1, output: `${here} is not ready: /readyz answers 503\n` });
    assert.deepEqual(asked, ['/readyz', '/readyz']);
    const nobody = await health('127.0.0.1:1');
    assert.equal(nobody.status, 1);
    assert.match(nobody.output, /^127\.0\.0\.1:1 does not answer: /);
  });
});

test('every image has a tag, and ours is the version of Cargo.toml', () => {
  const [, version] = readFileSync(path.join(deploy, '../Cargo.toml'), 'utf8').match(/^version = "(.*)"$/m);
  const files = ['compose/compose.yaml', 'kubernetes/sidecar/deployment.yaml', 'kubernetes/edge/deployment.yaml'];
  const images = files.flatMap((file) => [...read(file).matchAll(/^\s+image: (\S+)$/gm)].map(([, image]) => image));
  assert.equal(images.length, 6);
  for (const image of images) assert.match(image, image.startsWith('vestibule') ? new RegExp(`^vestibule:${version}$`) : /:\d/, image);
  for (const kind of ['sidecar', 'edge']) {
    assert.equal(parse(read('kubernetes', kind, 'kustomization.yaml')).documents[0].images[0].newTag, version);
  }
});

describe('deploy/secrets', () => {
  test('makes secrets that only their owner may read, and keeps what is there', () => {
    const folder = path.join(freshFolder('secrets'), 'made');
    const secrets = () => Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]));
    const make = () => execFileSync(path.join(deploy, 'secrets'), [folder], { stdio: 'ignore' });
    make();
    const made = secrets();
    assert.deepEqual(Object.keys(made).toSorted(), ['redis-users.acl', 'redis.password', 'session.key', 'signing.key']);
    for (const name of Object.keys(made)) assert.equal(statSync(path.join(folder, name)).mode & 0o777, 0o600, name);
    make();
    assert.deepEqual(secrets(), made);
  });

  test('says how it is used', () => {
    for (const args of [[], ['--help'], ['a', 'b']]) assert.equal(run(path.join(deploy, 'secrets'), args).status, 2);
  });

  test('gives Redis the user of docs/sessions.md', () => {
    const [, rights] = readFileSync(path.join(deploy, '../docs/sessions.md'), 'utf8').match(/^ACL SETUSER vestibule on >PASSWORD (.*)$/m);
    assert.ok(read('secrets').replaceAll(/" \\\n\s*"/g, ' ').includes(rights), rights);
  });
});
