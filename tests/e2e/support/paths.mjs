// Where things are, and a fresh folder for whatever a test writes (under `target`, so nothing made here can be committed).
import { mkdirSync, mkdtempSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const output = path.join(repository, 'target/e2e');

export const binary = path.join(process.env.CARGO_TARGET_DIR ?? path.join(repository, 'target'), 'debug/vestibule');
export const python = path.join(output, 'python/bin');
export const supportFolder = path.join(repository, 'tests/e2e/support');

/** A file of `docs/`. */
export const document = (name) => path.join(repository, 'docs', name);

export function freshFolder(name) {
  const runs = path.join(output, 'runs');
  mkdirSync(runs, { recursive: true });
  return mkdtempSync(path.join(runs, `${name}-`));
}

export function screenshotFile(name) {
  const folder = path.join(output, 'screenshots');
  mkdirSync(folder, { recursive: true });
  return path.join(folder, `${name}.png`);
}
