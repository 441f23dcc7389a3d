// Clients and services of realtime voice: the official SDK with its events in line, and raw WebSockets whose frames can be
// seen as they are.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { OP, frame } from './frames.mjs';
import { RawClient } from './raw.mjs';

/** The events of an SDK's realtime socket, taken one by one. */
export class Talk {
    constructor(connection) {
        this.connection = connection;
        this.events = [];
        this.errors = [];
        this.at = 0;
        this.waiters = [];
        const wake = () => this.waiters.splice(0).forEach((resolve) => resolve());
        connection.on('event', (event) => {
            this.events.push(event);
            wake();
        });
        connection.on('error', (error) => {
            this.errors.push(error);
            wake();
        });
        this.closed = new Promise((resolve) => {
            connection.socket.on('close', (code, reason) => {
                resolve({ code, reason: reason.toString() });
                this.over = true;
                wake();
            });
        });
    }

    send(event) {
        this.connection.send(event);
    }

    /** The events up to and with the next one of this type. */
    async until(type) {
        for (const from = this.at; ; ) {
            const found = this.events.findIndex((event, i) => i >= from && event.type === type);
            if (found >= 0) {
                this.at = found + 1;
                return this.events.slice(from, found + 1);
            }
            const seen = this.events.slice(from).map((event) => event.type);
            assert.ok(!this.over, `closed before ${type}; seen: ${seen.join(' ')}`);
            await new Promise((resolve) => this.waiters.push(resolve));
        }
    }

    async event(type) {
        return (await this.until(type)).at(-1);
    }

    /** Resolves with the status of a refused upgrade. */
    async refused() {
        const [, response] = await once(this.connection.socket, 'unexpected-response');
        response.resume();
        return response.statusCode;
    }

    async close() {
        this.connection.close();
        return this.closed;
    }
}

export const types = (events) => events.map((event) => event.type);

/** One WebSocket as the service sees it, frame by frame. */
class RawPeer {
    constructor(client, head) {
        this.client = client;
        this.head = head;
    }

    send(opcode, payload, options = {}) {
        return this.client.write(frame(opcode, payload, { mask: false, ...options }));
    }

    sendJson(value, options) {
        return this.send(OP.TEXT, JSON.stringify(value), options);
    }

    /** The next frame, unmasked; a client always masks. */
    async frame() {
        const [first, second] = await this.client.bytes(2);
        assert.equal(second & 0x80, 0x80, 'a client frame must be masked');
        let length = second & 0x7f;
        if (length === 126) {
            length = (await this.client.bytes(2)).readUInt16BE();
        } else if (length === 127) {
            length = Number((await this.client.bytes(8)).readBigUInt64BE());
        }
        const key = Buffer.from(await this.client.bytes(4));
        const payload = Buffer.from(await this.client.bytes(length));
        for (let i = 0; i < payload.length; i++) {
            payload[i] ^= key[i & 3];
        }
        return { fin: (first & 0x80) !== 0, opcode: first & 15, payload };
    }
}

/** A service that answers upgrades and nothing else: { url, peer(n) }. */
export async function startRawService(t) {
    const peers = [];
    const sockets = new Set();
    const server = net.createServer(async (socket) => {
        sockets.add(socket);
        const client = new RawClient(socket);
        const { headers } = await client.head();
        const accept = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
        await client.write(
            'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
                `Sec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`,
        );
        peers.push(new RawPeer(client, headers));
        server.emit('peer');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
        sockets.forEach((socket) => socket.destroy());
        server.close();
    });
    return {
        url: `http://127.0.0.1:${server.address().port}`,
        async peer(n) {
            while (peers.length < n) {
                await once(server, 'peer');
            }
            return peers[n - 1];
        },
    };
}
