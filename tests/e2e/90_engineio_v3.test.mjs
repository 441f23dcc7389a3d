// Engine.IO 3, which clients of Socket.IO 2 speak, byte by byte: parley, and the original as a control.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { everywhere } from './support/conformance.mjs';
import { EngineSocket, Polling } from './support/engineio.mjs';

const FAST = { pingInterval: 300, pingTimeout: 200 };
const B64 = { version: 3, query: '&b64=1' };
const XHR2 = { version: 3 };
const BYTES = { 'content-type': 'application/octet-stream' };

/** A payload in bytes: [kind, length digits, 255, packet] each. */
function binaryPayload(...packets) {
    return Buffer.concat(
        packets.map((packet) => {
            const bytes = typeof packet === 'string' ? Buffer.from(packet) : Buffer.concat([Buffer.from([4]), packet]);
            const digits = [...String(bytes.length)].map(Number);
            return Buffer.concat([Buffer.from([typeof packet === 'string' ? 0 : 1, ...digits, 255]), bytes]);
        }),
    );
}

await everywhere(async (it, target) => {
    const server = await target.start({ after });
    const quick = await target.start({ after }, FAST);
    const openSocket = async (t, options) => {
        const socket = await EngineSocket.open(server, { version: 3, ...options });
        t.after(() => socket.drop());
        return socket;
    };

    it('a poll opens a session', async () => {
        for (const options of [B64, XHR2]) {
            const { opened, handshake } = await Polling.open(server, options);
            assert.match(opened.sid, /^[\w-]{20}$/);
            assert.deepEqual(opened.upgrades, ['websocket']);
            assert.equal(opened.pingInterval, 25000);
            assert.equal(opened.pingTimeout, 20000);
            assert.equal(handshake.headers.get('content-type'), 'text/plain; charset=UTF-8');
            const packet = `0${JSON.stringify(opened)}`;
            assert.equal(handshake.text, `${packet.length}:${packet}`);
        }
    });

    it('a query without a protocol means this one', async () => {
        for (const query of ['transport=polling', 'EIO=2&transport=polling', 'EIO=abc&transport=polling']) {
            const response = await fetch(`${server.url}/engine.io/?${query}`);
            assert.equal(response.status, 200);
            assert.match(await response.text(), /^\d+:0\{/);
        }
    });

    it('it can be switched off', async () => {
        const modern = await target.start({ after }, { allowEio3: false });
        const response = await fetch(`${modern.url}/engine.io/?EIO=3&transport=polling`);
        assert.equal(response.status, 400);
        assert.deepEqual(await response.json(), { code: 5, message: 'Unsupported protocol version' });
    });

    it('sessions of one protocol are not served by the other', async () => {
        const session = await Polling.open(server, XHR2);
        const response = await fetch(session.url.replace('EIO=3', 'EIO=4'));
        assert.equal(response.status, 400);
        assert.deepEqual(await response.json(), { code: 3, message: 'Bad request' });
    });

    it('text, its length counted in UTF-16 units', async () => {
        const session = await Polling.open(server, XHR2);
        const response = await session.post('6:4hello');
        assert.equal(response.text, 'ok');
        assert.equal((await session.get()).text, '6:4hello');
        await session.post('6:4test16:4test26:4test3');
        assert.equal((await session.get()).text, '6:4test16:4test26:4test3');
        await session.post('4:4€\u{1F600}1:45:4üñ;:');
        assert.equal((await session.get()).text, '4:4€\u{1F600}1:45:4üñ;:');
    });

    it('binary messages in base64', async () => {
        const session = await Polling.open(server, B64);
        await session.post('6:4hello10:b4AQIDBA==');
        session.url = session.url.replace('&b64=1', ''); // it was said at the handshake
        const poll = await session.get();
        assert.equal(poll.text, '6:4hello10:b4AQIDBA==');
        assert.equal(poll.headers.get('content-type'), 'text/plain; charset=UTF-8');
    });

    it('binary messages as bytes, both ways', async () => {
        const session = await Polling.open(server, XHR2);
        for (const [body, headers] of [
            ['6:4hello10:b4AQIDBA==', undefined],
            [binaryPayload('4hello', Buffer.from([1, 2, 3, 4])), BYTES],
        ]) {
            const response = await session.post(body, headers);
            assert.equal(response.status, 200, response.text);
            assert.equal(response.text, 'ok');
            const poll = await session.get();
            assert.equal(poll.headers.get('content-type'), 'application/octet-stream');
            assert.deepEqual([...poll.bytes], [0, 6, 255, 52, 104, 101, 108, 108, 111, 1, 5, 255, 4, 1, 2, 3, 4]);
        }
        const large = Buffer.from(Array.from({ length: 123456 }, (_, i) => i & 255));
        await session.post(binaryPayload(large, '4ü'), BYTES);
        assert.deepEqual((await session.get()).bytes, binaryPayload(large, '4ü'));
    });

    it('what is no payload ends the session', async () => {
        const wrong = [['abc'], ['6:4hel'], ['-1:4'], ['1:7'], ['6:4hello3:']];
        const unnoticed = [['0:'], [Buffer.from([7, 1, 255, 52]), BYTES], [Buffer.from([0, 9, 255, 52]), BYTES]];
        // the original takes some of them for an empty or a shorter payload
        for (const [body, headers] of target.name === 'original' ? wrong : [...wrong, ...unnoticed]) {
            const session = await Polling.open(server, XHR2);
            await session.post(body, headers).catch(() => {});
            await session.gone();
        }
    });

    it('a WebSocket: text, and bytes behind a 4', async (t) => {
        const socket = await openSocket(t);
        assert.deepEqual(socket.opened.upgrades, []);
        for (const message of ['4hello', '4', Buffer.from([4, 1, 2, 3, 4]), Buffer.from([4]), '4\u{1F600}']) {
            await socket.send(message);
            assert.deepEqual(await socket.next(), message);
        }
    });

    it('a WebSocket without binary: base64 in text', async (t) => {
        const socket = await openSocket(t, { query: '&b64=1' });
        await socket.send('b4AQIDBA==');
        assert.equal(await socket.next(), 'b4AQIDBA==');
    });

    it('what is no packet closes a WebSocket', async () => {
        for (const message of ['abc', '7', '3']) {
            const socket = await EngineSocket.open(server, { version: 3 });
            await socket.send(message);
            await socket.closed();
        }
    });

    it('the client asks for heartbeats', async (t) => {
        const session = await Polling.open(server, XHR2);
        for (let i = 0; i < 3; i++) {
            await session.send('2');
            assert.deepEqual(await session.poll(), ['3']);
        }
        const socket = await openSocket(t);
        for (let i = 0; i < 3; i++) {
            await socket.send('2');
            assert.equal(await socket.next(), '3');
        }
    });

    it('a client that asks stays, the server never asks', async () => {
        const session = await Polling.open(quick, XHR2);
        const socket = await EngineSocket.open(quick, { version: 3 });
        for (let i = 0; i < 8; i++) {
            await session.send('2');
            await socket.send('2');
            assert.deepEqual(await session.poll(), ['3']);
            assert.equal(await socket.next(), '3');
            await sleep(FAST.pingInterval / 2);
        }
        assert.equal((await socket.raw.closeFrame()).code, 1005);
        socket.drop();
        await session.gone();
    });

    it('upgrade', async (t) => {
        const session = await Polling.open(server, XHR2);
        const held = session.poll();
        const socket = await openSocket(t, { sid: session.sid });
        await socket.send('2probe');
        assert.equal(await socket.next(), '3probe');
        assert.deepEqual(await held, ['6']);
        await session.send('4early');
        await socket.send('5');
        assert.equal(await socket.next(), '4early');
        await socket.send('2');
        assert.equal(await socket.next(), '3');
        const refused = await session.get();
        assert.equal(refused.status, 400);
        const second = await EngineSocket.open(server, { version: 3, sid: session.sid });
        await second.closed();
        await socket.send(Buffer.from([4, 9]));
        assert.deepEqual(await socket.next(), Buffer.from([4, 9]));
    });

    it('the client closes', async () => {
        const session = await Polling.open(server, XHR2);
        const held = session.poll();
        await session.send('1');
        assert.deepEqual(await held, ['6']);
        await session.gone();
    });

    it('a second poll ends the session', async () => {
        const session = await Polling.open(server, B64);
        const [first, second] = await Promise.all([session.get(), sleep(50).then(() => session.get())]);
        assert.equal(first.text, '1:1');
        assert.equal(second.status, 400);
        await session.gone();
    });
});
