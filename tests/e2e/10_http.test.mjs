// HTTP/1.1 as well-behaved clients use it.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { RawClient, exchange, get, request } from './support/raw.mjs';
import { startServer } from './support/server.mjs';
import { ISO, assertError } from './support/shapes.mjs';

const server = await startServer({ after });
const JSON_TYPE = { 'Content-Type': 'application/json' };
const ECHO = JSON.stringify({ message: 'hello', context: {} });

const post = (headers = {}, body = ECHO) =>
    request('POST', '/api/chat', { ...JSON_TYPE, 'Content-Length': Buffer.byteLength(body), ...headers }, body);
const chunked = (parts, end = '0\r\n\r\n') =>
    parts.map((part) => `${Buffer.byteLength(part).toString(16)}\r\n${part}\r\n`).join('') + end;
const chunkedPost = (body) =>
    request('POST', '/api/chat', { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' }, body);

test('keep-alive: many requests on one connection', async (t) => {
    const client = await RawClient.connect(server.port);
    t.after(() => client.close());
    for (let i = 0; i < 20; i++) {
        const response = await client.request(get('/health'));
        assert.equal(response.status, 200);
        assert.equal(response.headers['content-type'], 'application/json; charset=utf-8');
        assert.match(response.body.timestamp, ISO);
        assert.notEqual(response.headers.connection, 'close');
    }
});

test('pipelining: answers come in order', async (t) => {
    const client = await RawClient.connect(server.port);
    t.after(() => client.close());
    const count = 30;
    let bytes = '';
    for (let i = 0; i < count; i++) {
        bytes += i % 3 === 0 ? get('/health/live') : post({}, JSON.stringify({ message: `m${i}`, context: {} }));
    }
    await client.write(bytes);
    for (let i = 0; i < count; i++) {
        const response = await client.response();
        assert.equal(response.status, 200);
        if (i % 3 !== 0) {
            assert.equal(response.body.message, `Echo: m${i}`);
        }
    }
});

test('Connection: close is obeyed, HTTP/1.0 closes by default', async (t) => {
    for (const bytes of [get('/health', { Connection: 'close' }), 'GET /health HTTP/1.0\r\n\r\n']) {
        const client = await RawClient.connect(server.port);
        t.after(() => client.close());
        const response = await client.request(bytes);
        assert.equal(response.status, 200);
        await client.closed();
    }
});

test('HTTP/1.0 with keep-alive stays open', async (t) => {
    const client = await RawClient.connect(server.port);
    t.after(() => client.close());
    for (let i = 0; i < 2; i++) {
        const response = await client.request('GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
        assert.equal(response.status, 200);
        assert.match(response.headers.connection, /keep-alive/i);
    }
});

test('a head that dribbles in byte by byte is read', async (t) => {
    const client = await RawClient.connect(server.port);
    t.after(() => client.close());
    for (const byte of get('/health/live')) {
        await client.write(byte);
    }
    assert.equal((await client.response()).status, 200);
});

test('empty lines before a request are skipped', async () => {
    assert.equal((await exchange(server.port, `\r\n\r\n${get('/health')}`)).status, 200);
});

test('chunked request bodies, in any split, with extensions and trailers', async (t) => {
    const whole = await exchange(server.port, chunkedPost(chunked([ECHO])));
    assert.equal(whole.body.message, 'Echo: hello');
    const bytewise = await exchange(server.port, chunkedPost(chunked([...ECHO])));
    assert.equal(bytewise.body.message, 'Echo: hello');
    const size = ECHO.length.toString(16);
    const fancy = `${size.toUpperCase()};name="value"\r\n${ECHO}\r\n0\r\nX-Trailer: 1\r\n\r\n`;
    assert.equal((await exchange(server.port, chunkedPost(fancy))).body.message, 'Echo: hello');

    const client = await RawClient.connect(server.port);
    t.after(() => client.close());
    for (const byte of chunkedPost(chunked([ECHO]))) {
        await client.write(byte);
    }
    assert.equal((await client.response()).body.message, 'Echo: hello');
    assert.equal((await client.request(get('/health'))).status, 200, 'the connection is still in step');
});

test('wrong chunked bodies are refused and the connection closed', async () => {
    for (const body of ['zz\r\nabc\r\n0\r\n\r\n', '3\r\nabcd\r\n0\r\n\r\n', 'fffffffffffffffff\r\n', '-1\r\n', '3 \n\nabc']) {
        const client = await RawClient.connect(server.port);
        const response = await client.request(chunkedPost(body));
        assert.ok([400, 413].includes(response.status), `${JSON.stringify(body)}: ${response.status}`);
        await client.closed();
    }
});

test('Expect: 100-continue is answered before the body, only when the body is wanted', async (t) => {
    const client = await RawClient.connect(server.port);
    t.after(() => client.close());
    const whole = post({ Expect: '100-continue' });
    const at = whole.indexOf('\r\n\r\n') + 4;
    await client.write(whole.slice(0, at));
    assert.equal((await client.head()).status, 100);
    await client.write(whole.slice(at));
    assert.equal((await client.response()).body.message, 'Echo: hello');

    const huge = await exchange(
        server.port,
        request('POST', '/api/chat', { ...JSON_TYPE, 'Content-Length': 60 << 20, Expect: '100-continue' }),
    );
    assert.equal(huge.status, 413);
});

test('HEAD answers as GET does, without a body', async (t) => {
    const client = await RawClient.connect(server.port);
    t.after(() => client.close());
    const response = await client.request(request('HEAD', '/health'), { head: true });
    assert.equal(response.status, 200);
    assert.ok(Number(response.headers['content-length']) > 0);
    const next = await client.request(get('/health'));
    assert.equal(next.status, 200);
    assert.equal(next.body.status, 'healthy');
});

test('percent-decoding of paths', async () => {
    const same = await exchange(server.port, get('/%68ealth/l%69ve'));
    assert.equal(same.status, 200);
    const unknown = await exchange(server.port, get('/api/conversations/a%20b%C3%A9'));
    assertError(unknown, 404, 'Conversation not found', 'CONVERSATION_NOT_FOUND');
    for (const wrong of ['/health%', '/health%4', '/%zz', '/a%00b', '/%ff']) {
        assert.ok([400, 404].includes((await exchange(server.port, get(wrong))).status), wrong);
    }
});

test('unknown paths: 404 in the union of all dialects', async () => {
    const response = await exchange(server.port, get('/no/such/thing?x=1'));
    assert.equal(response.status, 404);
    assert.equal(response.body.error, 'Endpoint not found');
    assert.equal(response.body.path, '/no/such/thing');
    assert.equal(response.body.detail, 'Not Found');
});

test('known path, other method: 405 with Allow', async () => {
    const chat = await exchange(server.port, request('PUT', '/api/chat', { 'Content-Length': 0 }));
    assertError(chat, 405);
    assert.match(chat.headers.allow, /\bPOST\b/);
    assert.doesNotMatch(chat.headers.allow, /\bPUT\b/);
    const health = await exchange(server.port, request('DELETE', '/health'));
    assert.equal(health.status, 405);
    assert.match(health.headers.allow, /\bGET\b/);
    assert.match(health.headers.allow, /\bHEAD\b/);
    const odd = await exchange(server.port, request('BREW', '/health'));
    assert.ok([405, 501].includes(odd.status));
});

test('absolute and asterisk forms', async () => {
    assert.equal((await exchange(server.port, get('http://example.test/health'))).status, 200);
    const star = await exchange(server.port, request('OPTIONS', '*'));
    assert.ok([200, 204].includes(star.status));
});

test('/api/v1 answers as /api does', async () => {
    for (const path of ['/api/v1/status', '/api/v1/health', '/api/v1/conversations']) {
        assert.equal((await exchange(server.port, get(path))).status, 200, path);
    }
    const response = await server.json('POST', '/api/v1/chat', { message: 'hi', context: {} });
    assert.equal(response.body.message, 'Echo: hi');
});

test('every response has a request id; a sane one from the client is kept, another not', async () => {
    const made = await exchange(server.port, get('/health'));
    assert.match(made.headers['x-request-id'], /^[A-Za-z0-9_-]{8,}$/);
    const kept = await exchange(server.port, get('/health', { 'X-Request-Id': 'trace-0123456789' }));
    assert.equal(kept.headers['x-request-id'], 'trace-0123456789');
    const odd = await exchange(server.port, get('/health', { 'X-Request-Id': `bad id"${'x'.repeat(300)}` }));
    assert.match(odd.headers['x-request-id'], /^[A-Za-z0-9_-]{8,128}$/);
    const missing = await exchange(server.port, get('/nothing'));
    assert.ok(missing.headers['x-request-id']);
});

test('half-closed client still gets its answer', async () => {
    const client = await RawClient.connect(server.port, { allowHalfOpen: true });
    await client.write(get('/health', { Connection: 'close' }));
    client.socket.end();
    assert.equal((await client.response()).status, 200);
    client.close();
});

test('a body may contain any UTF-8, escapes and NUL in JSON', async () => {
    const message = 'Grüße 🌍 "quoted" \\ back\u0001 \u2028 end';
    const response = await server.json('POST', '/api/chat', { message, context: {} });
    assert.equal(response.body.message, `Echo: ${message}`);
});
