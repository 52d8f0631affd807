// A service of gRPC's own library, and its client. Messages are JSON: what is inside is not the gateway's business.
import grpc from '@grpc/grpc-js';
import { GATEWAY_HOST } from './certificates.mjs';

const serialize = (message) => Buffer.from(JSON.stringify(message));
const deserialize = (octets) => JSON.parse(octets.toString());
const method = (name, requestStream, responseStream) => ({
  path: `/vestibule.test.Chat/${name}`, requestStream, responseStream,
  requestSerialize: serialize, requestDeserialize: deserialize, responseSerialize: serialize, responseDeserialize: deserialize,
});
const SERVICE = {
  say: method('Say', false, false),
  count: method('Count', false, true),
  sum: method('Sum', true, false),
  talk: method('Talk', true, true),
};

/** Names of metadata that came with a call. */
const seen = (call) => Object.fromEntries(Object.entries(call.metadata.getMap()).map(([name, value]) => [name, value.toString()]));

export class GrpcTarget {
  calls = [];
  cancelled = 0;
  #server = new grpc.Server();

  static async start() {
    const target = new GrpcTarget();
    target.#server.addService(SERVICE, target.#service());
    target.port = await new Promise((resolve, reject) => {
      target.#server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port)));
    });
    return target;
  }

  #note(call) {
    this.calls.push(seen(call));
    call.on('cancelled', () => { this.cancelled += 1; });
  }

  #service() {
    return {
      say: (call, done) => {
        this.#note(call);
        const { text, code, silent } = call.request;
        if (silent) return;
        const first = new grpc.Metadata();
        first.set('x-first', 'headers');
        call.sendMetadata(first);
        const last = new grpc.Metadata();
        last.set('x-last', 'trailers');
        last.set('x-octets-bin', Buffer.from([0, 255, 10]));
        if (code) done({ code, details: 'no, and für ever', metadata: last });
        else done(null, { text, metadata: seen(call) }, last);
      },
      count: (call) => {
        this.#note(call);
        for (let number = 0; number < call.request.to; number += 1) call.write({ number });
        if (!call.request.endless) call.end();
      },
      sum: (call, done) => {
        this.#note(call);
        let sum = 0;
        call.on('data', ({ number }) => { sum += number; });
        call.on('end', () => done(null, { sum }));
      },
      talk: (call) => {
        this.#note(call);
        call.on('data', ({ text }) => call.write({ text: text.toUpperCase() }));
        call.on('end', () => call.end());
      },
    };
  }

  stop() {
    this.#server.forceShutdown();
  }
}

export function grpcClient(gateway) {
  const Client = grpc.makeGenericClientConstructor(SERVICE, 'vestibule.test.Chat');
  return new Client(`127.0.0.1:${gateway.port}`, grpc.credentials.createSsl(Buffer.from(gateway.certificates.pem.ca)), {
    'grpc.ssl_target_name_override': GATEWAY_HOST,
    'grpc.default_authority': `${GATEWAY_HOST}:${gateway.port}`,
  });
}

/** Metadata with these entries. */
export function metadata(entries) {
  const made = new grpc.Metadata();
  for (const [name, value] of Object.entries(entries)) made.set(name, value);
  return made;
}

/** What a call with one answer came to. */
export function answer(call) {
  return new Promise((resolve) => {
    const came = {};
    const done = (error, message) => Object.assign(came, { error, message });
    const started = call(done);
    started.on('metadata', (headers) => { came.headers = headers; });
    started.on('status', (status) => { setImmediate(() => resolve({ ...came, status })); });
  });
}

/** What a call with a stream of answers came to. */
export function stream(call) {
  return new Promise((resolve) => {
    const messages = [];
    call.on('data', (message) => messages.push(message));
    call.on('error', () => {});
    call.on('status', (status) => resolve({ messages, status }));
  });
}

export const status = grpc.status;
