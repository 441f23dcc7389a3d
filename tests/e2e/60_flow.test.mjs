// Slow readers and writers, many idle sockets: the server stays small and serves the others.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startUpstream } from '../fake/upstream.mjs';
import { OP, RawWebSocket, frame, json } from './support/frames.mjs';
import { RawClient, get, request } from './support/raw.mjs';
import { startServer } from './support/server.mjs';
import { EventStream } from './support/sse.mjs';

const run = promisify(execFile);

/* Memory that was freed counts as soon as possible where AddressSanitizer is built in: it keeps much of it otherwise. */
const MEASURED = {
    ACCESS_LOG: 'off',
    ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? 'detect_leaks=1'}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64`,
};

async function residentBytes(server) {
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) * 1024;
}

test('a client that pipelines without reading is held back, others are served', async (t) => {
    const server = await startServer(t, { env: MEASURED });
    const greedy = await RawClient.connect(server.port);
    t.after(() => greedy.close());
    greedy.socket.pause();
    const body = JSON.stringify({ message: 'x'.repeat(100000), context: {} });
    const bytes = request('POST', '/api/chat', { 'Content-Length': body.length, 'Content-Type': 'application/json' }, body);
    for (let i = 0; i < 400; i++) {
        greedy.socket.write(bytes);
    }
    const before = await residentBytes(server);
    for (let i = 0; i < 50; i++) {
        assert.equal((await server.json('GET', '/health')).status, 200);
    }
    assert.ok((await residentBytes(server)) - before < 24 << 20);
    greedy.socket.resume();
    for (let i = 0; i < 400; i++) {
        assert.equal((await greedy.response()).status, 200);
    }
});

test('a client that never reads its answer is cut after WRITE_TIMEOUT', async (t) => {
    const server = await startServer(t, { env: { WRITE_TIMEOUT: '300ms' } });
    const socket = net.connect({ port: server.port, host: '127.0.0.1' });
    const gone = new Promise((resolve) => socket.once('error', resolve).once('close', resolve));
    socket.pause();
    const body = JSON.stringify({ message: 'x', context: { echoed: 'x'.repeat(9 << 20) } });
    for (let i = 0; i < 4; i++) {
        socket.write(request('POST', '/api/chat', { 'Content-Length': body.length }, body));
    }
    await gone;
});

test('a WebSocket that sends and never reads is bounded', async (t) => {
    const server = await startServer(t, { env: MEASURED });
    const socket = await RawWebSocket.open(server.port, '/ws/audio');
    t.after(() => socket.close());
    socket.client.socket.pause();
    const message = json({ type: 'test', message: 'y'.repeat(50000) });
    const before = await residentBytes(server);
    for (let i = 0; i < 1000 && !socket.client.socket.destroyed; i++) {
        socket.client.socket.write(message);
    }
    const other = await RawWebSocket.open(server.port, '/ws/audio');
    t.after(() => other.close());
    for (let i = 0; i < 50; i++) {
        await other.sendJson({ type: 'ping' });
        assert.equal((await other.json()).type, 'pong');
    }
    assert.ok((await residentBytes(server)) - before < 40 << 20);
});

test('a follower that reads slowly loses nothing it can resume', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const server = await startServer(t, { env: upstream.openaiEnv });
    const { id } = (await server.json('POST', '/api/conversations', { title: 'x' })).body;
    const slow = await EventStream.open(`${server.url}/api/conversations/${id}/events`);
    await slow.expect('reset');
    const { body } = await server.json('POST', '/api/chat', { message: '[[words=3000]]', conversationId: id });
    let text = '';
    for (;;) {
        const event = await slow.next();
        assert.ok(event);
        text = event.event === 'reset' ? (event.data.running?.text ?? '') : text;
        text += event.event === 'delta' ? event.data.text : '';
        if (event.event === 'reply_finished') {
            break;
        }
        if (event.event === 'reset' && event.data.conversation.messages[1]?.status === 'complete') {
            text = event.data.conversation.messages[1].content;
            break;
        }
    }
    assert.equal(text, body.message.content);
    slow.close();
});

test('slow writers beside quick ones', async (t) => {
    const server = await startServer(t);
    const slow = await Promise.all(
        Array.from({ length: 50 }, async () => {
            const client = await RawClient.connect(server.port);
            await client.write('POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n{"message"');
            return client;
        }),
    );
    for (let i = 0; i < 100; i++) {
        assert.equal((await server.json('GET', '/health')).status, 200);
    }
    for (const client of slow) {
        await client.write(':"slow but fine!!!"}');
        assert.equal((await client.response()).body.message, 'Echo: slow but fine!!!');
        client.close();
    }
});

test('10,000 idle WebSockets (or as many as the machine lets a process open)', async (t) => {
    const limit = Number((await run('sh', ['-c', 'ulimit -Hn'])).stdout) || Infinity;
    const target = Math.min(10000, limit - 500);
    assert.ok(target >= 500, `the limit of open files is ${limit}`);
    t.diagnostic(`${target} sockets`);
    const shell = `ulimit -n ${Number.isFinite(limit) ? limit : 20000} && exec "$0" "$@"`;
    const server = await startServer(t, {
        wrapper: ['sh', '-c', shell],
        env: { WS_PING_INTERVAL: '0', ACCESS_LOG: 'off' },
    });
    const sockets = [];
    t.after(() => sockets.forEach((socket) => socket.close()));
    while (sockets.length < target) {
        const batch = Math.min(200, target - sockets.length);
        sockets.push(...(await Promise.all(Array.from({ length: batch }, () => RawWebSocket.open(server.port, '/ws/audio')))));
    }
    assert.equal((await server.json('GET', '/api/status')).body.activeConnections, target);
    for (let i = 0; i < target; i += Math.max(1, target >> 6)) {
        await sockets[i].send(OP.TEXT, JSON.stringify({ type: 'ping' }));
        assert.equal((await sockets[i].json()).type, 'pong');
    }
    assert.equal((await server.json('GET', '/health')).status, 200);
});

test('the largest messages allowed pass, one byte more does not', async (t) => {
    const server = await startServer(t);
    const large = 'z'.repeat(900000);
    const { status, body } = await server.json('POST', '/api/chat', { message: large, context: {} });
    assert.equal(status, 200);
    assert.equal(body.message.length, large.length + 'Echo: '.length);
    const socket = await RawWebSocket.open(server.port, '/ws/audio');
    t.after(() => socket.close());
    const audio = 'A'.repeat(20 << 20);
    await socket.client.write(frame(OP.TEXT, JSON.stringify({ type: 'audio', data: audio })));
    assert.equal((await socket.json()).dataSize, audio.length);
});

test('connections come and go without leaving anything behind', async (t) => {
    const server = await startServer(t, { env: MEASURED });
    const burst = async (n) => {
        for (let i = 0; i < n; i++) {
            const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(server.port)));
            await Promise.all(clients.map((client) => client.request(get('/health'))));
            clients.forEach((client, k) => (k % 2 ? client.close() : client.socket.resetAndDestroy()));
        }
    };
    await burst(10);
    const before = await residentBytes(server);
    await burst(40);
    assert.ok((await residentBytes(server)) - before < 16 << 20);
    for (;;) {
        const { text } = await server.json('GET', '/metrics', undefined, { connection: 'close' });
        if (Number(/^parley_connections\{kind="http"\} (\d+)$/m.exec(text)[1]) <= 1) {
            break;
        }
    }
});
