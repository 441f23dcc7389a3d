// The WebSocket handshake: paths, origins, versions, compression; keep-alive afterwards.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import WebSocket from 'ws';
import { OP, RawWebSocket, frame, refusedUpgrade, upgradeHeaders } from './support/frames.mjs';
import { RawClient, exchange, get, request } from './support/raw.mjs';
import { startServer } from './support/server.mjs';
import { JsonSocket } from './support/socket.mjs';

const server = await startServer({ after });

test('paths: /ws, /ws/audio and / are sockets, others 404', async (t) => {
    for (const path of ['/ws/audio', '/', '/ws']) {
        const socket = await RawWebSocket.open(server.port, path);
        t.after(() => socket.close());
    }
    for (const path of ['/nope', '/ws/nope', '/api/nope']) {
        assert.equal((await refusedUpgrade(server.port, path)).status, 404, path);
    }
});

test('a path that has no socket, only a resource', async () => {
    const response = await refusedUpgrade(server.port, '/health');
    assert.ok([400, 404, 426, 200].includes(response.status));
    assert.notEqual(response.status, 101);
});

test('a plain GET on a socket-only path says what is missing', async () => {
    const response = await exchange(server.port, get('/ws'));
    assert.equal(response.status, 426);
    assert.match(response.headers.upgrade, /websocket/i);
});

test('other versions: 426 with the one we speak', async () => {
    for (const version of ['8', '12', '14', 'x']) {
        const response = await refusedUpgrade(server.port, '/ws', { 'Sec-WebSocket-Version': version });
        assert.equal(response.status, 426);
        assert.equal(response.headers['sec-websocket-version'], '13');
    }
});

test('wrong handshakes are 400', async () => {
    for (const headers of [
        { 'Sec-WebSocket-Key': undefined },
        { 'Sec-WebSocket-Key': 'short' },
        { 'Sec-WebSocket-Key': 'not base64 at all !!!!!=' },
        { 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAAAAAAAA' },
    ]) {
        assert.equal((await refusedUpgrade(server.port, '/ws', headers)).status, 400, JSON.stringify(headers));
    }
    const post = await exchange(server.port, request('POST', '/ws', { ...upgradeHeaders(), 'Content-Length': 0 }));
    assert.ok([400, 405].includes(post.status));
});

test('upgrade tokens are matched as lists, without regard to case', async (t) => {
    const socket = await RawWebSocket.open(server.port, '/ws/audio', {
        headers: { Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' },
    });
    t.after(() => socket.close());
});

test('a frame sent along with the handshake is not lost', async (t) => {
    const client = await RawClient.connect(server.port);
    t.after(() => client.close());
    const ping = frame(OP.PING, 'early');
    await client.write(Buffer.concat([Buffer.from(get('/ws', upgradeHeaders())), ping]));
    assert.equal((await client.head()).status, 101);
    const pong = await client.bytes(7);
    assert.equal(pong[0], 0x80 | OP.PONG);
    assert.equal(pong.subarray(2).toString(), 'early');
});

test('an origin that is not allowed is refused with 403', async () => {
    for (const path of ['/ws', '/ws/audio', '/']) {
        const response = await refusedUpgrade(server.port, path, { Origin: 'https://evil.example' });
        assert.equal(response.status, 403, path);
    }
});

test('an allowed origin, and none at all, may connect', async () => {
    for (const origin of ['http://localhost:5173', undefined]) {
        const socket = await JsonSocket.open(`${server.wsUrl}/ws/audio`, { origin });
        await socket.expect('connection');
        await socket.close();
    }
});

test('compression is not offered unless configured', async () => {
    const ws = new WebSocket(`${server.wsUrl}/ws/audio`, { perMessageDeflate: true });
    await once(ws, 'open');
    assert.equal(ws.extensions, '');
    ws.close();
    await once(ws, 'close');
});

for (const context of ['false', 'true']) {
    test(`permessage-deflate with ws, context takeover ${context}`, async (t) => {
        const compressing = await startServer(t, {
            env: { WS_COMPRESSION: 'true', WS_COMPRESSION_CONTEXT: context },
        });
        const socket = await JsonSocket.open(`${compressing.wsUrl}/ws/audio`, {
            perMessageDeflate: { threshold: 0 },
        });
        assert.match(socket.ws.extensions, /permessage-deflate/);
        await socket.expect('connection');
        for (const size of [1, 100, 1000, 100000, 1000000]) {
            const message = 'compressible '.repeat(size / 10 + 1).slice(0, size);
            const answer = await socket.ask({ type: 'test', message }, 'test_response');
            assert.equal(answer.originalMessage, message);
        }
        await socket.close();
    });
}

test('a small message that inflates beyond the limit: 1009', async (t) => {
    const compressing = await startServer(t, { env: { WS_COMPRESSION: 'true' } });
    const ws = new WebSocket(`${compressing.wsUrl}/ws`, { perMessageDeflate: { threshold: 0 } });
    await once(ws, 'open');
    ws.on('error', () => {});
    ws.send('a'.repeat(60 << 20));
    const [code] = await once(ws, 'close');
    assert.equal(code, 1009);
});

test('a compressed frame that was never negotiated: 1002', async (t) => {
    const socket = await RawWebSocket.open(server.port, '/ws/audio');
    t.after(() => socket.close());
    await socket.send(OP.TEXT, 'x', { rsv: 4 });
    assert.equal((await socket.closeFrame()).code, 1002);
});

test('compressed garbage: 1007 or 1002', async (t) => {
    const compressing = await startServer(t, { env: { WS_COMPRESSION: 'true' } });
    const socket = await RawWebSocket.open(compressing.port, '/ws/audio', {
        headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate' },
        greeting: false,
    });
    t.after(() => socket.close());
    await socket.send(OP.TEXT, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]), { rsv: 4 });
    assert.ok([1002, 1007].includes((await socket.closeFrame()).code));
});

test('a quiet socket is pinged, and closed when no pong comes', async (t) => {
    const pinging = await startServer(t, { env: { WS_PING_INTERVAL: '200ms', WS_PONG_TIMEOUT: '200ms' } });
    const answering = await JsonSocket.open(`${pinging.wsUrl}/ws/audio`);
    const dead = await RawWebSocket.open(pinging.port, '/ws/audio');
    assert.equal((await dead.frame()).opcode, OP.PING);
    await dead.client.closed();
    await once(answering.ws, 'ping');
    await answering.expect('connection');
    await answering.ask({ type: 'ping' }, 'pong');
    await answering.close();
});

test('idle time limits of HTTP do not touch sockets', async (t) => {
    const strict = await startServer(t, {
        env: {
            IDLE_TIMEOUT: '100ms',
            HEADER_TIMEOUT: '100ms',
            BODY_TIMEOUT: '100ms',
            WS_PING_INTERVAL: '300ms',
            WS_PONG_TIMEOUT: '300ms',
        },
    });
    const socket = await JsonSocket.open(`${strict.wsUrl}/ws/audio`);
    await socket.expect('connection');
    await once(socket.ws, 'ping');
    await once(socket.ws, 'ping');
    await socket.ask({ type: 'ping' }, 'pong');
    await socket.close();
});
