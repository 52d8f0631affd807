// The application behind the gateway: remembers every request as it arrived and answers with a small page.
import { once } from 'node:events';
import http from 'node:http';
import { WebSocketServer } from 'ws';

// Without an icon of its own the browser would ask for one, at a moment of its own choosing.
const PAGE = `<!doctype html><html lang="en"><title>The application</title><link rel="icon" href="data:,">
<h1>The application</h1><p><a href="/oauth2/logout">Sign out</a></p></html>`;

const FORM = `<!doctype html><html lang="en"><title>A form</title><link rel="icon" href="data:,">
<h1>A form</h1><form method="post" action="/save?draft=1" enctype="multipart/form-data">
<p><label>Note <textarea name="note"></textarea></label></p><p><label>File <input type="file" name="file"></label></p><button>Save</button></form></html>`;

export class Target {
  requests = [];
  #pages = new Map();
  #server = http.createServer(async (incoming, response) => {
    const body = [];
    for await (const chunk of incoming) body.push(chunk);
    const { method, url, headers, rawHeaders } = incoming;
    // Health checks are the gateway's own traffic.
    if (url !== '/health') this.requests.push({ method, url, headers, rawHeaders, body: Buffer.concat(body).toString(), bytes: Buffer.concat(body) });
    const { status, headers: fields, text } = this.#pages.get(url.split('?')[0]) ?? { status: 200, headers: {}, text: url === '/form' ? FORM : PAGE };
    response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8', ...fields }).end(text);
  });

  // Says whatever it is told.
  #sockets = new WebSocketServer({ server: this.#server }).on('connection', (socket, { method, url, headers, rawHeaders }) => {
    this.requests.push({ method, url, headers, rawHeaders, body: '' });
    socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
  });

  static async start() {
    const target = new Target();
    target.#server.listen(0, '127.0.0.1');
    await once(target.#server, 'listening');
    return target;
  }

  get address() {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  /** From now on `path` answers this. */
  say(path, text, { status = 200, ...headers } = {}) {
    this.#pages.set(path, { status, headers, text });
  }

  /** The last request for exactly this path and query. */
  request(url) {
    return this.requests.findLast((request) => request.url === url);
  }

  /** Sockets that are open now. */
  get sockets() {
    return this.#sockets.clients.size;
  }

  async stop() {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
