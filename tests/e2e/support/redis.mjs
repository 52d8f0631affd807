// Redis, which nobody here wrote, on a free port, keeping nothing.
import { connect } from 'node:net';
import path from 'node:path';
import { eventually } from './eventually.mjs';
import { freshFolder } from './paths.mjs';
import { freePort, Process } from './processes.mjs';

export async function startRedis() {
  const folder = freshFolder('redis');
  const port = await freePort();
  const options = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no'];
  const process = new Process('redis-server', options, { cwd: folder, outputFile: path.join(folder, 'redis.log') });
  await eventually('Redis takes connections', async () => {
    process.ensureRunning();
    return reachable(port);
  });
  return { url: `redis://127.0.0.1:${port}`, stop: () => process.stop() };
}

function reachable(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}
