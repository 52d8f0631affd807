// A certificate authority and a server certificate, made for one run with the openssl command line.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The gateway's name in tests. Provider and gateway have different hosts, so that the browser keeps their cookies apart. */
export const GATEWAY_HOST = 'app.test';

const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];

export function makeCertificates(folder) {
  const file = (name) => path.join(folder, name);
  openssl('req', '-x509', ...NEW_KEY, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-days', '365', '-subj', '/CN=End-to-end tests',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
  openssl('req', ...NEW_KEY, '-keyout', file('server.key'), '-out', file('server.csr'), '-subj', `/CN=${GATEWAY_HOST}`,
    '-addext', `subjectAltName=DNS:${GATEWAY_HOST},DNS:localhost,IP:127.0.0.1`, '-addext', 'extendedKeyUsage=serverAuth');
  openssl('x509', '-req', '-in', file('server.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial',
    '-days', '365', '-copy_extensions', 'copyall', '-out', file('server.pem'));
  return {
    authority: file('ca.pem'),
    certificate: file('server.pem'),
    privateKey: file('server.key'),
    get pem() {
      return { ca: readFileSync(file('ca.pem')), cert: readFileSync(file('server.pem')), key: readFileSync(file('server.key')) };
    },
  };
}

/** A certificate for a client, by the authority of `makeCertificates` or, without it, by itself. */
export function makeClientCertificate(folder, name, subject, authority) {
  const file = (extension) => path.join(folder, `${name}.${extension}`);
  if (authority) {
    openssl('req', ...NEW_KEY, '-keyout', file('key'), '-out', file('csr'), '-subj', subject, '-addext', 'extendedKeyUsage=clientAuth');
    openssl('x509', '-req', '-in', file('csr'), '-CA', authority, '-CAkey', authority.replace(/pem$/, 'key'), '-CAcreateserial',
      '-days', '365', '-copy_extensions', 'copyall', '-out', file('pem'));
  } else {
    openssl('req', '-x509', ...NEW_KEY, '-keyout', file('key'), '-out', file('pem'), '-days', '365', '-subj', subject);
  }
  return { certificate: file('pem'), private_key: file('key') };
}

/** A private key in PKCS#8: `RSA`, `EC` or `ED25519`. */
export function makePrivateKey(file, algorithm, ...options) {
  openssl('genpkey', '-algorithm', algorithm, ...options, '-out', file);
  return file;
}

/** A P-256 key in PKCS#8, as `identity_headers.signing_key` wants it. */
export function makeSigningKey(file) {
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file);
  return file;
}
