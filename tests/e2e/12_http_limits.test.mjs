// Slow, idle and too many clients; rate limits.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RawClient, get, request } from './support/raw.mjs';
import { startServer } from './support/server.mjs';

test('slow headers are cut with 408', async (t) => {
    const server = await startServer(t, { env: { HEADER_TIMEOUT: '300ms' } });
    const client = await RawClient.connect(server.port);
    await client.write('GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    assert.equal((await client.response()).status, 408);
    await client.closed();
});

test('headers that dribble in are cut too: the time is for the whole head', async (t) => {
    const server = await startServer(t, { env: { HEADER_TIMEOUT: '300ms' } });
    const client = await RawClient.connect(server.port);
    await client.write('GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    const drip = setInterval(() => client.socket.writable && client.socket.write('a'), 50);
    t.after(() => clearInterval(drip));
    assert.equal((await client.response()).status, 408);
    await client.closed();
});

test('a slow body is cut with 408', async (t) => {
    const server = await startServer(t, { env: { BODY_TIMEOUT: '300ms' } });
    const client = await RawClient.connect(server.port);
    await client.write(request('POST', '/api/chat', { 'Content-Length': 100 }, '{"mess'));
    assert.equal((await client.response()).status, 408);
    await client.closed();
});

test('idle connections are closed, without a word', async (t) => {
    const server = await startServer(t, { env: { IDLE_TIMEOUT: '300ms' } });
    const client = await RawClient.connect(server.port);
    assert.equal((await client.request(get('/health'))).status, 200);
    assert.equal((await client.rest()).length, 0);
});

test('connections that never say anything are closed', async (t) => {
    const server = await startServer(t, { env: { IDLE_TIMEOUT: '300ms', HEADER_TIMEOUT: '300ms' } });
    const client = await RawClient.connect(server.port);
    await client.closed();
});

/** Whether one more connection is served; a refused one gets 503 or nothing at all. */
async function served(port) {
    const client = await RawClient.connect(port);
    try {
        await client.write(get('/health'));
        const response = await client.response();
        if (response.status === 200) {
            return client;
        }
        await client.closed();
        return response.status;
    } catch {
        return 503;
    }
}

for (const name of ['MAX_CONNECTIONS', 'MAX_CONNECTIONS_PER_ADDRESS']) {
    test(`${name} bounds connections and frees their place`, async (t) => {
        const server = await startServer(t, { env: { [name]: '4' } });
        const clients = [];
        t.after(() => clients.forEach((client) => client.close()));
        for (let i = 0; i < 4; i++) {
            clients.push(await served(server.port));
        }
        assert.ok(clients.every((client) => client instanceof RawClient));
        assert.equal(await served(server.port), 503);
        clients.pop().close();
        while (!/^parley_connections\{kind="http"\} 3$/m.test((await clients[0].request(get('/metrics'))).text)) {
            // until the server saw all the others go
        }
        const again = await served(server.port);
        assert.ok(again instanceof RawClient);
        clients.push(again);
    });
}

test('the rate limit is told in headers, then answered 429', async (t) => {
    const server = await startServer(t, { env: { RATE_LIMIT_MAX_REQUESTS: '3', RATE_LIMIT_WINDOW_MS: '60000' } });
    for (let i = 0; i < 3; i++) {
        const response = await server.json('GET', '/api/conversations');
        assert.equal(response.status, 200);
        assert.equal(response.headers.get('ratelimit-limit'), '3');
        assert.equal(response.headers.get('ratelimit-remaining'), String(2 - i));
        assert.ok(Number(response.headers.get('ratelimit-reset')) <= 60);
    }
    const response = await server.json('GET', '/api/conversations');
    assert.equal(response.status, 429);
    assert.equal(response.body.message, 'Too many requests from this IP');
    assert.equal(response.body.code, 'RATE_LIMIT_EXCEEDED');
    const wait = Number(response.headers.get('retry-after'));
    assert.ok(wait > 0 && wait <= 60);
    assert.equal((await server.json('GET', '/health')).status, 200, 'only /api/ and /v1/ are limited');
    const headers = { origin: 'http://localhost:5173' };
    const cors = await server.json('GET', '/api/conversations', undefined, headers);
    assert.equal(cors.headers.get('access-control-allow-origin'), 'http://localhost:5173', 'a page may read the 429');
});

test('the rate limit window passes', async (t) => {
    const server = await startServer(t, { env: { RATE_LIMIT_MAX_REQUESTS: '1', RATE_LIMIT_WINDOW_MS: '1000' } });
    let refused = 0;
    assert.equal((await server.json('GET', '/api/health')).status, 200);
    for (;;) {
        const { status } = await server.json('GET', '/api/health');
        if (status === 200) {
            break;
        }
        assert.equal(status, 429);
        refused++;
    }
    assert.ok(refused > 0);
});

test('without a setting, development has no rate limit', async (t) => {
    const server = await startServer(t);
    for (let i = 0; i < 300; i++) {
        assert.equal((await server.json('GET', '/api/status')).status, 200);
    }
});

test('clients behind a trusted proxy are told apart, others cannot pretend', async (t) => {
    const env = { RATE_LIMIT_MAX_REQUESTS: '1', RATE_LIMIT_WINDOW_MS: '60000' };
    const from = (server, address) =>
        server.json('GET', '/api/status', undefined, { 'x-forwarded-for': address }).then((r) => r.status);
    const trusting = await startServer(t, { env: { ...env, TRUST_PROXY: '1' } });
    assert.equal(await from(trusting, '203.0.113.1'), 200);
    assert.equal(await from(trusting, '203.0.113.2'), 200);
    assert.equal(await from(trusting, '203.0.113.1'), 429);
    assert.equal(await from(trusting, '198.51.100.9, 203.0.113.1'), 429, 'the nearest hop counts');
    const wary = await startServer(t, { env });
    assert.equal(await from(wary, '203.0.113.1'), 200);
    assert.equal(await from(wary, '203.0.113.2'), 429);
});
