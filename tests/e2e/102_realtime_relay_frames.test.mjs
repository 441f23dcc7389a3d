// What the realtime relay does to frames: nothing. And how much of them it holds when one side reads slowly.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, beforeEach, test } from 'node:test';
import WebSocket from 'ws';
import { startRealtime } from '../fake/realtime.mjs';
import { OP, RawWebSocket, closeFrame } from './support/frames.mjs';
import { startRawService } from './support/realtime.mjs';
import { startServer } from './support/server.mjs';

const realtime = await startRealtime();
after(() => realtime.close());
beforeEach(() => realtime.forget());
const server = await startServer({ after }, { env: realtime.openaiEnv });
const raw = await startRawService({ after });
const rawServer = await startServer({ after }, { env: { ...realtime.openaiEnv, OPENAI_BASE_URL: `${raw.url}/v1` } });

let peers = 0;
/** Both ends of a relayed socket: { client, peer }. */
async function pair(t, path = '/v1/realtime') {
    const client = await RawWebSocket.open(rawServer.port, path, { greeting: false });
    t.after(() => client.close());
    const peer = await raw.peer(++peers);
    await peer.sendJson({ type: 'session.created' });
    assert.equal((await client.json()).type, 'session.created');
    return { client, peer };
}

const { TEXT, BINARY, CONTINUATION, PING, PONG } = OP;
const word = 'Zürich 🌍 ';
const long = Buffer.from(word.repeat(1200)).subarray(0, 16384 - (16384 % 15)); // whole characters; passes in one piece
const random = Buffer.from(Array.from({ length: 16384 }, (_, i) => (i * 7919) & 255));
const FRAMES = [
    [TEXT, 'a', true],
    [TEXT, '', true],
    [BINARY, random.subarray(0, 125), true],
    [BINARY, random.subarray(0, 126), true],
    [TEXT, '{"type":"x', false],
    [CONTINUATION, '","a":"', false],
    [CONTINUATION, '', false],
    [CONTINUATION, '"}', true],
    [TEXT, Buffer.from('🌍').subarray(0, 1), false],
    [CONTINUATION, Buffer.from('🌍').subarray(1, 3), false],
    [CONTINUATION, Buffer.from('🌍').subarray(3), true],
    [BINARY, random, false],
    [CONTINUATION, random.subarray(0, 1), false],
    [CONTINUATION, random.subarray(0, 16384), true],
    [TEXT, '', false],
    [CONTINUATION, '', true],
    [TEXT, long, true],
    [TEXT, '{"type":"error","error":{"code":"later"}}', true],
    [TEXT, '{"type":"response.done","response":{"status":"cancelled"}}', true],
];

async function passes(from, to) {
    for (const [opcode, payload, fin] of FRAMES) {
        await from.send(opcode, payload, { fin });
    }
    for (const [i, [opcode, payload, fin]] of FRAMES.entries()) {
        const got = await to.frame();
        assert.deepEqual([got.opcode, got.fin, got.payload.length], [opcode, fin, Buffer.byteLength(payload)], `${i}`);
        assert.ok(got.payload.equals(Buffer.from(payload)), `${i}`);
    }
}

test('every frame arrives as it was, from the client', async (t) => {
    const { client, peer } = await pair(t);
    await passes(client, peer);
});

test('every frame arrives as it was, from the service', async (t) => {
    const { client, peer } = await pair(t);
    await passes(peer, client);
});

test('byte by byte', async (t) => {
    const { client, peer } = await pair(t);
    const text = Buffer.from(word);
    for (const [from, to] of [
        [client, peer],
        [peer, client],
    ]) {
        for (let i = 0; i < text.length; i++) {
            await from.send(i ? CONTINUATION : TEXT, text.subarray(i, i + 1), { fin: i === text.length - 1 });
        }
        for (let i = 0; i < text.length; i++) {
            const got = await to.frame();
            assert.deepEqual([got.opcode, got.fin, got.payload[0]], [i ? CONTINUATION : TEXT, i === text.length - 1, text[i]]);
        }
    }
});

test('pings between fragments are answered where they arrive', async (t) => {
    const { client, peer } = await pair(t);
    await peer.send(TEXT, 'one', { fin: false });
    await peer.send(PING, 'service');
    assert.deepEqual(await peer.frame(), { fin: true, opcode: PONG, payload: Buffer.from('service') });
    await client.send(TEXT, 'two', { fin: false });
    await client.send(PING, 'client');
    await peer.send(CONTINUATION, '', { fin: true });
    assert.equal((await client.frame()).payload.toString(), 'one');
    const next = [await client.frame(), await client.frame()].map(({ opcode, payload }) => [opcode, payload.toString()]);
    assert.deepEqual(new Map(next), new Map([[PONG, 'client'], [CONTINUATION, '']]));
    assert.equal((await peer.frame()).payload.toString(), 'two');
});

test('on the dialect, names are added behind whole messages only', async (t) => {
    const client = await RawWebSocket.open(rawServer.port, '/api/realtime', { greeting: false });
    t.after(() => client.close());
    const peer = await raw.peer(++peers);
    const update = await peer.frame();
    assert.equal(JSON.parse(update.payload.toString()).type, 'session.update');
    const delta = JSON.stringify({ delta: 'x"type":"y', type: 'conversation.item.input_audio_transcription.delta', n: {} });
    await peer.sendJson({ type: 'session.created' });
    for (const at of [1, 20, 30, 60, delta.length - 1]) {
        await peer.send(TEXT, delta.slice(0, at), { fin: false });
        await peer.send(CONTINUATION, delta.slice(at), { fin: true });
    }
    await peer.send(TEXT, ` { "a" : [ {"type":"error"} , "}" ] , "type" : "response.done", "response":{"status":"cancelled"}}`);
    await peer.send(TEXT, '["type"]');
    await peer.send(TEXT, '{"type":7}');
    assert.equal((await client.json()).type, 'session.created');
    for (const at of [1, 20, 30, 60, delta.length - 1]) {
        assert.equal((await client.frame()).payload.toString(), delta.slice(0, at));
        assert.equal((await client.frame()).payload.toString(), delta.slice(at));
        assert.equal((await client.frame()).payload.toString(), delta.replace('transcription', 'transcript'));
    }
    assert.equal((await client.json()).type, 'response.done');
    assert.deepEqual((await client.json()).a, [{ type: 'error' }, '}']);
    assert.equal((await client.frame()).payload.toString(), '["type"]');
    assert.equal((await client.frame()).payload.toString(), '{"type":7}');
});

test('a service that breaks off inside of a message, or breaks the protocol', async (t) => {
    const first = await pair(t);
    await first.peer.send(TEXT, '{"type":', { fin: false });
    first.peer.client.close();
    assert.equal((await first.client.frame()).payload.toString(), '{"type":');
    assert.equal((await first.client.closeFrame()).code, 1011);
    const wrong = [Buffer.from([0xc1, 0x00]), Buffer.from([0x81, 0x01, 0xff]), Buffer.from([0x81, 0x80, 0, 0, 0, 0])];
    for (const bytes of wrong) {
        const { client, peer } = await pair(t);
        await peer.client.write(bytes);
        assert.equal((await client.json()).type, 'error');
        assert.equal((await client.closeFrame()).code, 1011);
        await peer.client.closed();
    }
});

test('a client that breaks the protocol, and one that closes inside of a message', async (t) => {
    const wrong = await pair(t);
    await wrong.client.client.write(Buffer.from([0x81, 0x01, 0x41]));
    assert.equal((await wrong.client.closeFrame()).code, 1002);
    assert.equal((await wrong.peer.frame()).opcode, OP.CLOSE);
    const half = await pair(t);
    await half.client.send(TEXT, 'half', { fin: false });
    await half.client.client.write(closeFrame(1000));
    assert.equal((await half.peer.frame()).payload.toString(), 'half');
    assert.deepEqual((await half.peer.frame()).payload.subarray(0, 2), Buffer.from([0x03, 0xe8]));
});

// ---- slow readers ----

const MANY = 48 << 20; // more than the kernel takes on the way: its buffers grow to some 20 MB
const PIECE = 1 << 16;

const ROOM = 8192; // KiB; what is held of it, with what a checked build adds

async function residentKib() {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${server.pid}/status`, 'utf8'))[1]);
}

/** Nothing like what is under way is held: of each side's output there is a mark, and reading stops beyond it. */
async function staysSmall(before) {
    const grown = (await residentKib()) - before;
    assert.ok(grown < ROOM, `grown by ${grown} KiB`);
    const metrics = await (await server.fetch('/metrics')).text();
    const held = Number(/^parley_connection_buffer_bytes (\S+)$/m.exec(metrics)[1]);
    assert.ok(held < 1 << 20, `${held} bytes are held`);
}

/** Until what the socket could not send yet stays the same: the way is full. */
async function stalled(ws) {
    let closed;
    ws.once('close', (code, reason) => (closed = `${code} ${reason}`));
    for (let before = -1; ws.bufferedAmount !== before || before === 0; ) {
        before = ws.bufferedAmount;
        await sleep(250);
        assert.equal(closed, undefined, 'it stays open');
    }
}

const pieces = Array.from({ length: MANY / PIECE }, (_, i) => Buffer.alloc(PIECE, i & 255));
const whole = createHash('sha256');
pieces.forEach((piece) => whole.update(piece));
const digest = whole.digest('hex');

/** The digest of so many bytes that arrive. */
function digestOf(ws, bytes) {
    const hash = createHash('sha256');
    return new Promise((resolve, reject) => {
        let left = bytes;
        ws.on('message', (data, binary) => {
            if (binary) {
                hash.update(data);
                left -= data.length;
            }
            if (left <= 0) {
                resolve(hash.digest('hex'));
            }
        });
        ws.on('close', (code) => reject(new Error(`closed: ${code}`)));
    });
}

/** A client and its session, and nothing under way. */
async function open(t) {
    const ws = new WebSocket(`${server.wsUrl}/v1/realtime`);
    t.after(() => ws.terminate());
    await once(ws, 'message');
    const session = realtime.sessions.at(-1);
    session.plan.hang = 'events'; // it takes whatever comes
    return { ws, session };
}

for (const [name, piecesOf] of [
    ['in many messages', () => pieces],
    ['in one message', () => [Buffer.concat(pieces)]],
]) {
    test(`48 MB ${name}, to a client that does not read for a while`, async (t) => {
        const { ws, session } = await open(t);
        const arrived = digestOf(ws, MANY);
        ws._socket.pause();
        const before = await residentKib();
        piecesOf().forEach((piece) => session.ws.send(piece));
        await stalled(session.ws);
        assert.ok(session.ws.bufferedAmount > 1 << 20, `only ${session.ws.bufferedAmount} wait at the service`);
        await staysSmall(before);
        ws._socket.resume();
        assert.equal(await arrived, digest);
    });

    test(`48 MB ${name}, to a service that does not read for a while`, async (t) => {
        const { ws, session } = await open(t);
        const arrived = digestOf(session.ws, MANY);
        session.stall(true);
        const before = await residentKib();
        piecesOf().forEach((piece) => ws.send(piece));
        await stalled(ws);
        assert.ok(ws.bufferedAmount > 1 << 20, `only ${ws.bufferedAmount} wait at the client`);
        await staysSmall(before);
        session.stall(false);
        assert.equal(await arrived, digest);
    });
}

test('both ways at once, and neither reads for a while', async (t) => {
    const { ws, session } = await open(t);
    const arrived = Promise.all([digestOf(ws, MANY), digestOf(session.ws, MANY)]);
    ws._socket.pause();
    session.stall(true);
    pieces.forEach((piece) => [ws, session.ws].forEach((end) => end.send(piece)));
    await Promise.all([stalled(ws), stalled(session.ws)]);
    ws._socket.resume();
    session.stall(false);
    assert.deepEqual(await arrived, [digest, digest]);
});

test('a client that never reads leaves, and nothing stays', async (t) => {
    const { ws, session } = await open(t);
    ws._socket.pause();
    pieces.forEach((piece) => session.ws.send(piece));
    await stalled(session.ws);
    ws._socket.destroy();
    await session.closed;
});

test('the front end gets many deltas as fast as they come', async (t) => {
    const ws = new WebSocket(`${server.wsUrl}/api/realtime`);
    t.after(() => ws.terminate());
    const got = [];
    ws.on('message', (data) => got.push(JSON.parse(data.toString())));
    await once(ws, 'message');
    const session = await realtime.session(1);
    const delta = 'A'.repeat(100000);
    for (let i = 0; i < 100; i++) {
        session.send({ type: 'response.output_audio.delta', delta, i });
        session.send({ type: 'conversation.item.input_audio_transcription.delta', delta: `${i}` });
    }
    session.send({ type: 'response.done', response: { status: 'completed' } });
    while (!got.some((event) => event.type === 'response.done')) {
        await once(ws, 'message');
    }
    const audio = got.filter((event) => event.type === 'response.output_audio.delta');
    const names = got.filter((event) => event.type === 'conversation.item.input_audio_transcript.delta');
    assert.deepEqual(audio.map((event) => event.i), Array.from({ length: 100 }, (_, i) => i));
    assert.deepEqual(names.map((event) => event.delta), Array.from({ length: 100 }, (_, i) => `${i}`));
});
