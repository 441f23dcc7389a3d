// Engine.IO spoken by hand, on either transport, so that wrong packets can be sent too.
import assert from 'node:assert/strict';
import { OP, RawWebSocket, frame } from './frames.mjs';

export const SEPARATOR = '\x1e';

/** Splits a payload of protocol 3 as text: lengths are in UTF-16 units. */
export function splitV3(payload) {
    const packets = [];
    for (let rest = payload; rest !== ''; ) {
        const colon = rest.indexOf(':');
        const end = colon + 1 + Number(rest.slice(0, colon));
        assert.ok(colon > 0 && end <= rest.length, `not a payload: ${payload}`);
        packets.push(rest.slice(colon + 1, end));
        rest = rest.slice(end);
    }
    return packets;
}

export const joinV3 = (...packets) => packets.map((packet) => `${packet.length}:${packet}`).join('');

/** One session over HTTP long-polling. */
export class Polling {
    constructor(server, { path = '/engine.io/', version = 4, query = '' } = {}) {
        this.url = `${server.url}${path}?EIO=${version}&transport=polling${query}`;
        this.version = version;
    }

    /** Opens a session; `opened` is the handshake's object. */
    static async open(server, options) {
        const session = new Polling(server, options);
        const response = await session.get();
        assert.equal(response.status, 200, response.text);
        const [packet] = session.split(response.text);
        assert.equal(packet[0], '0');
        session.handshake = response;
        session.opened = JSON.parse(packet.slice(1));
        session.sid = session.opened.sid;
        session.url += `&sid=${session.sid}`;
        return session;
    }

    split(payload) {
        return this.version === 3 ? splitV3(payload) : payload.split(SEPARATOR);
    }

    join(...packets) {
        return this.version === 3 ? joinV3(...packets) : packets.join(SEPARATOR);
    }

    async request(options) {
        const response = await fetch(this.url, options);
        const bytes = Buffer.from(await response.arrayBuffer());
        return { status: response.status, headers: response.headers, bytes, text: bytes.toString() };
    }

    get(options) {
        return this.request(options);
    }

    post(body, headers = { 'content-type': 'text/plain;charset=UTF-8' }) {
        return this.request({ method: 'POST', body, headers });
    }

    /** Sends packets; the answer must be the usual one. */
    async send(...packets) {
        const response = await this.post(this.join(...packets));
        assert.equal(response.status, 200, response.text);
        assert.equal(response.text, 'ok');
    }

    /** The packets of one poll. */
    async poll() {
        const response = await this.get();
        assert.equal(response.status, 200, response.text);
        return this.split(response.text);
    }

    /** Polls until n packets came, heartbeats answered and left out. */
    async take(n) {
        const packets = [];
        while (packets.length < n) {
            for (const packet of await this.poll()) {
                if (packet === '2') {
                    await this.send('3');
                } else if (packet !== '6') {
                    packets.push(packet);
                }
            }
        }
        return packets;
    }

    /** The session must be over. */
    async gone() {
        const response = await this.get();
        assert.equal(response.status, 400);
        assert.deepEqual(JSON.parse(response.text), { code: 1, message: 'Session ID unknown' });
    }
}

/** One WebSocket: a session of its own, or the upgrade of one that polls. */
export class EngineSocket {
    static async open(server, { path = '/engine.io/', version = 4, query = '', sid, headers } = {}) {
        const socket = new EngineSocket();
        const target = `${path}?EIO=${version}&transport=websocket${sid ? `&sid=${sid}` : ''}${query}`;
        socket.raw = await RawWebSocket.open(server.port, target, { headers, greeting: false });
        if (!sid) {
            const packet = await socket.next();
            assert.equal(packet[0], '0');
            socket.opened = JSON.parse(packet.slice(1));
            socket.sid = socket.opened.sid;
        }
        return socket;
    }

    /** The next message: a string, or a Buffer when it was binary. */
    async next() {
        const { opcode, fin, payload } = await this.raw.frame();
        assert.equal(fin, true);
        if (opcode === OP.CLOSE) {
            throw new Error('the server closed');
        }
        assert.ok(opcode === OP.TEXT || opcode === OP.BINARY, `opcode ${opcode}`);
        return opcode === OP.TEXT ? payload.toString() : payload;
    }

    /** The next message that is no heartbeat; those are answered. */
    async take() {
        for (;;) {
            const message = await this.next();
            if (message !== '2') {
                return message;
            }
            await this.send('3');
        }
    }

    send(message) {
        return this.raw.send(typeof message === 'string' ? OP.TEXT : OP.BINARY, message);
    }

    /** The server closes, in order: with this code (1005: none), after the close frame is answered. */
    async closed(code = 1005) {
        const closing = await this.raw.closeFrame();
        assert.equal(closing.code, code);
        await this.raw.client.write(frame(OP.CLOSE));
        await this.raw.client.closed();
    }

    /** Ends it without a word. */
    drop() {
        this.raw.close();
    }
}

/** A WebSocket on which Socket.IO is spoken by hand, CONNECT included: `reply` is what the server said to it. */
export async function connectNamespace(t, server, { connect = '40', ...options } = {}) {
    const socket = await EngineSocket.open(server, { path: '/socket.io/', ...options });
    t.after(() => socket.drop());
    await socket.send(connect);
    socket.reply = await socket.next();
    return socket;
}

/** As connectNamespace for / and /custom, which greet with an event `auth`. */
export async function connectGreeted(t, server, options) {
    const socket = await connectNamespace(t, server, options);
    socket.greeting = await socket.next();
    return socket;
}
