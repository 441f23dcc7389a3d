// JSON over a WebSocket with the npm `ws` client: messages queue up and are taken one by one.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import WebSocket from 'ws';

export class JsonSocket {
    static async open(url, { protocols, ...options } = {}) {
        const socket = new JsonSocket();
        socket.ws = new WebSocket(url, protocols ?? [], options);
        socket.messages = [];
        socket.waiters = [];
        socket.closed = new Promise((resolve) => {
            socket.ws.on('close', (code, reason) => {
                resolve({ code, reason: reason.toString() });
                socket.#wake();
            });
        });
        socket.ws.on('message', (data) => {
            socket.messages.push(JSON.parse(data.toString()));
            socket.#wake();
        });
        await new Promise((resolve, reject) => {
            socket.ws.once('open', resolve);
            socket.ws.once('error', reject);
        });
        socket.ws.on('error', () => {});
        return socket;
    }

    #wake() {
        for (const wake of this.waiters.splice(0)) {
            wake();
        }
    }

    send(value) {
        this.ws.send(typeof value === 'string' ? value : JSON.stringify(value));
    }

    /** The next message, whatever it is. */
    async next() {
        while (this.messages.length === 0) {
            if (this.ws.readyState === WebSocket.CLOSED) {
                throw new Error('the socket closed');
            }
            await new Promise((resolve) => this.waiters.push(resolve));
        }
        return this.messages.shift();
    }

    /** The next message, which must have this type. */
    async expect(type) {
        const message = await this.next();
        assert.equal(message.type, type, JSON.stringify(message));
        return message;
    }

    async ask(value, type) {
        this.send(value);
        return this.expect(type);
    }

    /** Messages up to and with the first that `last` accepts. */
    async collect(last) {
        const all = [];
        do {
            all.push(await this.next());
        } while (!last(all.at(-1)));
        return all;
    }

    async close() {
        if (this.ws.readyState !== WebSocket.CLOSED) {
            this.ws.close();
            await this.closed;
        }
    }
}

/** Status and body of a refused handshake. */
export async function refused(url, options = {}) {
    const ws = new WebSocket(url, options);
    const [, response] = await once(ws, 'unexpected-response');
    let body = '';
    for await (const chunk of response) {
        body += chunk;
    }
    return { status: response.statusCode, headers: response.headers, body };
}
