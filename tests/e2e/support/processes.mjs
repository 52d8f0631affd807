// Child processes: free ports, output kept in a file, ended by their own id.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// A test that is cut short leaves nothing running.
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
process.once('SIGTERM', () => process.exit(143));

export class Process {
  #child;
  #outputFile;
  #exited;

  constructor(command, args, { cwd, outputFile, environment = {} }) {
    this.#outputFile = outputFile;
    const output = openSync(outputFile, 'a');
    this.#child = spawn(command, args, {
      cwd,
      stdio: ['ignore', output, output],
      env: { ...process.env, NO_COLOR: '1', ...environment },
    });
    closeSync(output);
    running.add(this.#child);
    this.#child.once('exit', () => running.delete(this.#child));
    this.#exited = once(this.#child, 'exit');
    // A command that does not exist is reported by `ensureRunning`, not as an unhandled rejection.
    this.#exited.catch((error) => { this.failure = error; });
  }

  output() {
    return readFileSync(this.#outputFile, 'utf8');
  }

  ensureRunning() {
    if (this.failure) throw this.failure;
    if (this.#child.exitCode === null && this.#child.signalCode === null) return;
    throw new Error(`ended with ${this.#child.exitCode ?? this.#child.signalCode}:\n${this.output().slice(-2000)}`);
  }

  async stop(signal = 'SIGTERM') {
    if (this.failure || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    const late = new AbortController();
    const stopped = await Promise.race([
      this.#exited.then(() => true),
      pause(10_000, false, { signal: late.signal }).catch(() => false),
    ]);
    late.abort();
    if (!stopped) {
      this.#child.kill('SIGKILL');
      await this.#exited;
      throw new Error('did not stop within 10 s of SIGTERM');
    }
  }
}
