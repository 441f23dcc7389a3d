// WebSocket frames by hand (RFC 6455), so that wrong ones can be sent too.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { RawClient, get } from './raw.mjs';

export const OP = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = true, length } = {}) {
    const data = Buffer.from(payload);
    const size = length ?? data.length;
    const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
    if (size < 126) {
        head.push((mask ? 0x80 : 0) | size);
    } else if (size < 65536) {
        head.push((mask ? 0x80 : 0) | 126, size >> 8, size & 255);
    } else {
        const wide = Buffer.alloc(8);
        wide.writeBigUInt64BE(BigInt(size));
        head.push((mask ? 0x80 : 0) | 127, ...wide);
    }
    if (!mask) {
        return Buffer.concat([Buffer.from(head), data]);
    }
    const key = randomBytes(4);
    const masked = Buffer.from(data.map((byte, i) => byte ^ key[i & 3]));
    return Buffer.concat([Buffer.from(head), key, masked]);
}

export function closeFrame(code, reason = '', options = {}) {
    const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
    payload.writeUInt16BE(code);
    payload.write(reason, 2);
    return frame(OP.CLOSE, payload, options);
}

export const json = (value, options) => frame(OP.TEXT, JSON.stringify(value), options);

/** The handshake's headers; override or remove (undefined) any of them. */
export function upgradeHeaders(more = {}) {
    const headers = {
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
        'Sec-WebSocket-Version': '13',
        ...more,
    };
    return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
}

/** Answer to a handshake that should not succeed. */
export async function refusedUpgrade(port, path, headers = {}) {
    const client = await RawClient.connect(port);
    const response = await client.request(get(path, upgradeHeaders(headers)));
    client.close();
    return response;
}

export class RawWebSocket {
    /** Connects and checks the handshake; takes the greeting frame unless told not to. */
    static async open(port, path, { headers = {}, greeting = path !== '/ws' } = {}) {
        const socket = new RawWebSocket();
        socket.client = await RawClient.connect(port);
        const sent = upgradeHeaders(headers);
        await socket.client.write(get(path, sent));
        socket.head = await socket.client.head();
        assert.equal(socket.head.status, 101);
        assert.equal(socket.head.headers.upgrade.toLowerCase(), 'websocket');
        assert.match(socket.head.headers.connection, /^upgrade$/i);
        assert.equal(
            socket.head.headers['sec-websocket-accept'],
            createHash('sha1').update(`${sent['Sec-WebSocket-Key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64'),
        );
        if (greeting) {
            assert.equal((await socket.json()).type, 'connection');
        }
        return socket;
    }

    send(opcode, payload, options) {
        return this.client.write(frame(opcode, payload, options));
    }

    sendJson(value) {
        return this.client.write(json(value));
    }

    /** The next frame as it is; a server never masks. */
    async frame() {
        const [first, second] = await this.client.bytes(2);
        assert.equal(second & 0x80, 0, 'a server frame must not be masked');
        let length = second & 0x7f;
        if (length === 126) {
            length = (await this.client.bytes(2)).readUInt16BE();
        } else if (length === 127) {
            length = Number((await this.client.bytes(8)).readBigUInt64BE());
        }
        const payload = Buffer.from(await this.client.bytes(length));
        return { fin: (first & 0x80) !== 0, rsv: (first >> 4) & 7, opcode: first & 15, payload };
    }

    async json() {
        const got = await this.frame();
        assert.equal(got.opcode, OP.TEXT);
        assert.equal(got.fin, true);
        return JSON.parse(got.payload.toString());
    }

    /** Reads frames until the close frame: { code, reason }. */
    async closeFrame() {
        for (;;) {
            const got = await this.frame();
            if (got.opcode === OP.CLOSE) {
                return got.payload.length === 0
                    ? { code: 1005, reason: '' }
                    : { code: got.payload.readUInt16BE(), reason: got.payload.subarray(2).toString() };
            }
        }
    }

    close() {
        this.client.close();
    }
}
