// Bytes on a TCP connection, and a strict reading of what comes back.
import { once } from 'node:events';
import net from 'node:net';

export class RawClient {
    constructor(socket) {
        this.socket = socket;
        this.received = Buffer.alloc(0);
        this.ended = false;
        this.waiters = new Set();
        socket.on('data', (chunk) => {
            this.received = Buffer.concat([this.received, chunk]);
            this.#wake();
        });
        const end = () => {
            this.ended = true;
            this.#wake();
        };
        socket.on('end', end);
        socket.on('close', end);
        socket.on('error', end);
    }

    static async connect(port, options = {}) {
        const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, ...options });
        await once(socket, 'connect');
        return new RawClient(socket);
    }

    #wake() {
        for (const wake of this.waiters) {
            wake();
        }
    }

    /** Waits until check() gives something other than undefined, or throws when the peer ended before that. */
    async until(check) {
        for (;;) {
            const value = check();
            if (value !== undefined) {
                return value;
            }
            if (this.ended) {
                throw new Error(`connection ended; received: ${JSON.stringify(this.received.toString('latin1'))}`);
            }
            await new Promise((resolve) => {
                const wake = () => {
                    this.waiters.delete(wake);
                    resolve();
                };
                this.waiters.add(wake);
            });
        }
    }

    write(bytes) {
        return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
    }

    take(n) {
        const bytes = this.received.subarray(0, n);
        this.received = this.received.subarray(n);
        return bytes;
    }

    async bytes(n) {
        await this.until(() => (this.received.length >= n ? true : undefined));
        return this.take(n);
    }

    async line() {
        const end = await this.until(() => {
            const at = this.received.indexOf('\r\n');
            return at < 0 ? undefined : at;
        });
        const text = this.take(end).toString('latin1');
        this.take(2);
        return text;
    }

    /** Everything until the server closes its side. */
    async rest() {
        await this.until(() => (this.ended ? true : undefined)).catch(() => {});
        return this.take(this.received.length);
    }

    /** Resolves once the server closed; { reset } tells nothing about how. */
    async closed() {
        if (!this.ended) {
            await this.rest();
        }
    }

    async head() {
        const [version, status, ...reason] = (await this.line()).split(' ');
        const headers = {};
        const names = [];
        for (;;) {
            const line = await this.line();
            if (line === '') {
                return { version, status: Number(status), reason: reason.join(' '), headers, names };
            }
            const colon = line.indexOf(':');
            const name = line.slice(0, colon).toLowerCase();
            names.push(name);
            const value = line.slice(colon + 1).trim();
            headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
        }
    }

    /** One chunk of a chunked body; empty at the end (trailers read too). */
    async chunk() {
        const size = parseInt(await this.line(), 16);
        if (size === 0) {
            while ((await this.line()) !== '') {
                // a trailer
            }
            return Buffer.alloc(0);
        }
        const data = Buffer.from(await this.bytes(size));
        await this.bytes(2);
        return data;
    }

    /** One whole response. `head`: it answers a HEAD request, so there is no body. */
    async response({ head = false } = {}) {
        const response = await this.head();
        const length = response.headers['content-length'];
        let body = Buffer.alloc(0);
        if (head || response.status === 204 || response.status === 304 || response.status < 200) {
            // no body
        } else if (response.headers['transfer-encoding'] === 'chunked') {
            const parts = [];
            for (let part = await this.chunk(); part.length > 0; part = await this.chunk()) {
                parts.push(part);
            }
            body = Buffer.concat(parts);
        } else if (length !== undefined) {
            body = Buffer.from(await this.bytes(Number(length)));
        } else {
            body = Buffer.from(await this.rest());
        }
        response.bytes = body;
        response.text = body.toString();
        try {
            response.body = JSON.parse(response.text);
        } catch {
            response.body = undefined;
        }
        return response;
    }

    async request(bytes, options) {
        await this.write(bytes);
        return this.response(options);
    }

    close() {
        this.socket.destroy();
    }
}

/** Sends bytes on a connection of their own and gives the response. */
export async function exchange(port, bytes, options) {
    const client = await RawClient.connect(port);
    try {
        return await client.request(bytes, options);
    } finally {
        client.close();
    }
}

export function get(path, headers = {}) {
    return request('GET', path, headers);
}

export function request(method, path, headers = {}, body = '') {
    const all = { Host: 'localhost', ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}
