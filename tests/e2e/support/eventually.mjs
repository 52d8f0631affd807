// Waiting for a condition, with a bound; no test sleeps and hopes.
import { setTimeout as pause } from 'node:timers/promises';

/** Calls `probe` until it answers something truthy, and gives that back. */
export async function eventually(what, probe, withinSeconds = 20) {
  const end = Date.now() + withinSeconds * 1000;
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${withinSeconds} s: ${what}`);
    await pause(50);
  }
}
