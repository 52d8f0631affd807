// HTTP without a browser. A request: nothing followed, no cookie kept.
import http from 'node:http';
import https from 'node:https';
import { GATEWAY_HOST } from './certificates.mjs';

// The gateway's test name is in no DNS; everything is on loopback.
const lookup = (name, options, done) => (name === GATEWAY_HOST
  ? done(null, options.all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4)
  : done(new Error(`a test may not ask for ${name}`)));

export function request(url, { method = 'GET', headers = {}, body, ca } = {}) {
  const { protocol, hostname } = new URL(url);
  return new Promise((resolve, reject) => {
    const outgoing = (protocol === 'https:' ? https : http).request(url, {
      method, headers, ca, agent: false, timeout: 15_000, ...(hostname === GATEWAY_HOST && { lookup }),
    }, (incoming) => {
      const chunks = [];
      incoming.on('data', (chunk) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: incoming.statusCode, headers: incoming.headers, text, json: () => JSON.parse(text) });
      });
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer from ${url}`)));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** What Chromium says of itself when a person follows a link or types an address. */
export const NAVIGATION = {
  Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Sec-Fetch-Mode': 'navigate',
  'Sec-Fetch-Dest': 'document',
  'Sec-Fetch-Site': 'none',
};

/** The form that an incoming request brings. */
export async function formOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
