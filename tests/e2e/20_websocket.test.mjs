// RFC 6455 frame by frame, right and wrong ones.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { OP, RawWebSocket, closeFrame, frame } from './support/frames.mjs';
import { startServer } from './support/server.mjs';

const server = await startServer({ after });
const PING = JSON.stringify({ type: 'ping' });
const open = async (t, path = '/ws/audio') => {
    const socket = await RawWebSocket.open(server.port, path);
    t.after(() => socket.close());
    return socket;
};

/** The server answers these bytes with a close frame of this code, and then closes the connection. */
async function closes(t, code, bytes) {
    const socket = await open(t);
    await socket.client.write(bytes);
    assert.equal((await socket.closeFrame()).code, code);
    await socket.client.closed();
}

test('a message in one frame', async (t) => {
    const socket = await open(t);
    await socket.send(OP.TEXT, PING);
    assert.equal((await socket.json()).type, 'pong');
});

test('a binary frame that holds JSON is read too', async (t) => {
    const socket = await open(t);
    await socket.send(OP.BINARY, PING);
    assert.equal((await socket.json()).type, 'pong');
});

test('a message in fragments, with a ping answered in between', async (t) => {
    const socket = await open(t);
    await socket.send(OP.TEXT, PING.slice(0, 3), { fin: false });
    await socket.send(OP.CONTINUATION, PING.slice(3, 7), { fin: false });
    await socket.send(OP.PING, 'in between');
    const pong = await socket.frame();
    assert.equal(pong.opcode, OP.PONG);
    assert.equal(pong.payload.toString(), 'in between');
    await socket.send(OP.CONTINUATION, '', { fin: false });
    await socket.send(OP.CONTINUATION, PING.slice(7));
    assert.equal((await socket.json()).type, 'pong');
});

test('one frame byte by byte', async (t) => {
    const socket = await open(t);
    for (const byte of frame(OP.TEXT, PING)) {
        await socket.client.write(Buffer.from([byte]));
    }
    assert.equal((await socket.json()).type, 'pong');
});

test('many frames in one write are answered in order', async (t) => {
    const socket = await open(t);
    const messages = Array.from({ length: 200 }, (_, i) => ({ type: 'test', message: `m${i}` }));
    await socket.client.write(Buffer.concat(messages.map((m) => frame(OP.TEXT, JSON.stringify(m)))));
    for (const { message } of messages) {
        assert.equal((await socket.json()).originalMessage, message);
    }
});

test('text split inside a UTF-8 sequence is whole again', async (t) => {
    const socket = await open(t);
    const bytes = Buffer.from(JSON.stringify({ type: 'test', message: 'Zürich 🌍' }));
    for (let at = 1; at < bytes.length; at++) {
        await socket.send(OP.TEXT, bytes.subarray(0, at), { fin: false });
        await socket.send(OP.CONTINUATION, bytes.subarray(at));
        assert.equal((await socket.json()).originalMessage, 'Zürich 🌍');
    }
});

for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20]) {
    test(`a payload of ${size} bytes more`, async (t) => {
        const socket = await open(t);
        const message = 'x'.repeat(size);
        await socket.send(OP.TEXT, JSON.stringify({ type: 'test', message }));
        assert.equal((await socket.json()).originalMessage, message);
    });
}

test('ping is answered with the same payload, up to 125 bytes; pongs nobody asked for are ignored', async (t) => {
    const socket = await open(t);
    for (const payload of ['', 'hello', 'p'.repeat(125)]) {
        await socket.send(OP.PONG, 'unasked');
        await socket.send(OP.PING, payload);
        const pong = await socket.frame();
        assert.equal(pong.opcode, OP.PONG);
        assert.equal(pong.payload.toString(), payload);
    }
});

test('close is answered with the same code', async (t) => {
    for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) {
        const socket = await open(t);
        await socket.client.write(closeFrame(code, 'bye'));
        assert.equal((await socket.closeFrame()).code, code);
        await socket.client.closed();
    }
});

test('close without a code is answered', async (t) => {
    const socket = await open(t);
    await socket.send(OP.CLOSE, '');
    assert.ok([1000, 1005].includes((await socket.closeFrame()).code));
    await socket.client.closed();
});

test('nothing is answered behind a close', async (t) => {
    const socket = await open(t);
    await socket.client.write(Buffer.concat([closeFrame(1000), frame(OP.TEXT, PING)]));
    assert.equal((await socket.closeFrame()).code, 1000);
    assert.equal((await socket.client.rest()).length, 0);
});

test('unmasked frame: 1002', (t) => closes(t, 1002, frame(OP.TEXT, PING, { mask: false })));
test('reserved bits: 1002', async (t) => {
    for (const rsv of [1, 2, 4, 7]) {
        await closes(t, 1002, frame(OP.TEXT, PING, { rsv }));
    }
});
test('reserved opcodes: 1002', async (t) => {
    for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
        await closes(t, 1002, frame(opcode, 'x'));
    }
});
test('fragmented control frame: 1002', (t) => closes(t, 1002, frame(OP.PING, 'x', { fin: false })));
test('long control frame: 1002', (t) => closes(t, 1002, frame(OP.PING, 'x'.repeat(126))));
test('continuation of nothing: 1002', (t) => closes(t, 1002, frame(OP.CONTINUATION, 'x')));
test('a new message inside a fragmented one: 1002', (t) =>
    closes(t, 1002, Buffer.concat([frame(OP.TEXT, '{', { fin: false }), frame(OP.TEXT, '}')])));
test('a length with its top bit set: 1002', (t) =>
    closes(t, 1002, Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4])));
test('lengths that are not the shortest form: 1002', async (t) => {
    await closes(t, 1002, Buffer.from([0x81, 0xfe, 0, 2, 0, 0, 0, 0, 0x7b, 0x7d]));
    await closes(t, 1002, Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0x7b, 0x7d]));
});
test('wrong close frames: 1002', async (t) => {
    await closes(t, 1002, frame(OP.CLOSE, 'x'));
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535]) {
        await closes(t, 1002, closeFrame(code));
    }
});
test('a close reason that is not UTF-8: 1007', (t) =>
    closes(t, 1007, frame(OP.CLOSE, Buffer.from([0x03, 0xe8, 0xff, 0xfe]))));

const BAD_UTF8 = {
    'lone continuation': [0x80],
    overlong: [0xc0, 0xaf],
    'overlong in three': [0xe0, 0x80, 0xaf],
    surrogate: [0xed, 0xa0, 0x80],
    'beyond U+10FFFF': [0xf4, 0x90, 0x80, 0x80],
    'cut short': [0xe2, 0x82],
    'never valid': [0xff],
};
for (const [name, bytes] of Object.entries(BAD_UTF8)) {
    test(`text that is not UTF-8 (${name}): 1007`, (t) =>
        closes(t, 1007, frame(OP.TEXT, Buffer.concat([Buffer.from('"ok '), Buffer.from(bytes)]))));
}

test('bad UTF-8 is refused in the fragment it appears in, before the message ends', (t) =>
    closes(t, 1007, frame(OP.TEXT, Buffer.from([0x22, 0xff, 0x22]), { fin: false })));

test('a message beyond the limit: 1009, from the header alone', async (t) => {
    const socket = await open(t, '/ws');
    const header = frame(OP.TEXT, '', { length: 64 * 1024 * 1024 });
    await socket.client.write(header);
    assert.equal((await socket.closeFrame()).code, 1009);
});

test('fragments that add up beyond the limit: 1009', async (t) => {
    const socket = await open(t, '/ws');
    const piece = Buffer.alloc(1 << 20, 'x');
    await socket.send(OP.TEXT, piece, { fin: false });
    for (let i = 0; i < 60 && socket.client.received.length === 0; i++) {
        await socket.send(OP.CONTINUATION, piece, { fin: false });
        await turn(); // what has come is read before more is sent: the server does not listen for ever
    }
    assert.equal((await socket.closeFrame()).code, 1009);
});

test('thousands of empty fragments do no harm', async (t) => {
    const socket = await open(t);
    const parts = [frame(OP.TEXT, '', { fin: false })];
    for (let i = 0; i < 5000; i++) {
        parts.push(frame(OP.CONTINUATION, '', { fin: false }));
    }
    parts.push(frame(OP.CONTINUATION, PING));
    await socket.client.write(Buffer.concat(parts));
    assert.equal((await socket.json()).type, 'pong');
});

test('a client that vanishes in the middle of a frame leaves the others alone', async (t) => {
    const other = await open(t);
    for (let i = 0; i < 20; i++) {
        const socket = await open(t);
        await socket.client.write(frame(OP.TEXT, PING).subarray(0, 5));
        socket.client.socket.resetAndDestroy();
    }
    await other.send(OP.TEXT, PING);
    assert.equal((await other.json()).type, 'pong');
});
