// TLS on our own ports: versions, certificates, reloading, handshakes that go wrong, large bodies.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { startUpstream } from '../fake/upstream.mjs';
import { Authority } from './support/certificates.mjs';
import { RawClient, get, request } from './support/raw.mjs';
import { run, startServer, temporaryFolder } from './support/server.mjs';
import { JsonSocket } from './support/socket.mjs';

const folder = await temporaryFolder();
after(() => rm(folder, { recursive: true, force: true }));
const ca = await Authority.make(folder);
const own = await ca.issue('own');
const env = { TLS_CERT: own.certFile, TLS_KEY: own.keyFile };
const upstream = await startUpstream();
after(() => upstream.close());
const server = await startServer({ after }, { env: { ...env, ...upstream.openaiEnv } });

async function call(port, pathname, { method = 'GET', headers = {}, body, ...options } = {}) {
    const rq = https.request({ host: '127.0.0.1', port, path: pathname, method, headers, ca: ca.pem, ...options });
    rq.end(body);
    const [response] = await once(rq, 'response');
    const { socket } = response;
    const chunks = [];
    for await (const chunk of response) {
        chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString();
    return { status: response.statusCode, headers: response.headers, text, socket };
}

/** A connection whose handshake is done; rejects with its error. */
async function connect(port, options = {}) {
    const socket = tls.connect({ host: '127.0.0.1', port, ca: ca.pem, ...options });
    await once(socket, 'secureConnect');
    return socket;
}

for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`${version}: requests, and HTTP/1.1 by ALPN`, async () => {
        const socket = await connect(server.port, {
            minVersion: version,
            maxVersion: version,
            ALPNProtocols: ['h2', 'http/1.1'],
        });
        assert.equal(socket.getProtocol(), version);
        assert.equal(socket.alpnProtocol, 'http/1.1');
        const client = new RawClient(socket);
        for (let i = 0; i < 3; i++) {
            const response = await client.request(get('/health'));
            assert.equal(response.status, 200);
            assert.match(response.headers['strict-transport-security'], /^max-age=\d{7,}/);
        }
        client.close();
    });
}

test('TLS 1.1 and older ciphers are refused', async () => {
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
    await assert.rejects(connect(server.port, old), /version|alert|disconnected|reset/i);
    for (const ciphers of ['AES128-SHA', 'ECDHE-ECDSA-AES128-SHA']) {
        await assert.rejects(connect(server.port, { maxVersion: 'TLSv1.2', ciphers }), /handshake failure|alert/i);
    }
    assert.equal((await call(server.port, '/health')).status, 200);
});

test('curl verifies and talks', async () => {
    const { stdout } = await promisify(execFile)('curl', [
        ...['-sS', '--http2', '--cacert', ca.file, '-w', '\n%{http_version} %{ssl_verify_result}'],
        `https://127.0.0.1:${server.port}/health`,
    ]);
    assert.match(stdout, /"status":"healthy"[^]*\n1\.1 0$/);
});

test('one connection carries many requests, in both directions large ones', async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set();
    for (let i = 0; i < 30; i++) {
        const message = 'ä'.repeat(1 + i * 8000);
        const body = JSON.stringify({ messages: [{ role: 'user', content: message }] });
        const headers = { 'content-type': 'application/json' };
        const answer = await call(server.port, '/api/chat', { method: 'POST', headers, body, agent });
        assert.equal(answer.status, 200);
        assert.ok(answer.text.includes('data: [DONE]'));
        sockets.add(answer.socket);
    }
    assert.equal(sockets.size, 1);
    agent.destroy();
});

test('wss on every path', async () => {
    for (const pathname of ['/ws/audio', '/']) {
        const socket = await JsonSocket.open(`wss://127.0.0.1:${server.port}${pathname}`, { ca: ca.pem });
        await socket.expect('connection');
        const echo = await socket.ask({ type: 'test', message: 'é'.repeat(100000) }, 'test_response');
        assert.equal(echo.originalMessage.length, 100000);
        await socket.close();
    }
    const socket = await JsonSocket.open(`wss://127.0.0.1:${server.port}/ws`, { ca: ca.pem });
    await socket.ask({ type: 'GET_CHATS' }, 'CHAT_LIST');
    await socket.close();
});

test('files that cannot be used stop the start with their name', async () => {
    const other = await ca.issue('other');
    const garbage = path.join(folder, 'garbage.pem');
    await writeFile(garbage, 'not a certificate\n');
    const missing = path.join(folder, 'missing.pem');
    for (const [cert, key, says] of [
        [missing, own.keyFile, missing],
        [own.certFile, missing, missing],
        [garbage, own.keyFile, garbage],
        [own.certFile, garbage, garbage],
        [own.certFile, other.keyFile, other.keyFile],
        [own.certFile, undefined, 'TLS_KEY'],
        [undefined, own.keyFile, 'TLS_CERT'],
    ]) {
        const result = await run(['serve'], { env: { PORT: '0', TLS_CERT: cert, TLS_KEY: key } });
        assert.notEqual(result.code, 0);
        assert.notEqual(result.code, null);
        assert.ok(result.stderr.includes(says), result.stderr);
        assert.doesNotMatch(result.stderr, /event=listening/);
    }
});

test('SIGHUP: new connections get the new certificate, old ones live on', async (t) => {
    const [cert, key] = ['live.pem', 'live.key'].map((name) => path.join(folder, name));
    const put = async (issued) => {
        await copyFile(issued.certFile, cert);
        await copyFile(issued.keyFile, key);
    };
    const [first, second] = [await ca.issue('first'), await ca.issue('second')];
    await put(first);
    const reloading = await startServer(t, { env: { TLS_CERT: cert, TLS_KEY: key, THREADS: '2' } });
    const nameOf = (socket) => socket.getPeerCertificate().subject.CN;
    const old = await connect(reloading.port);
    const client = new RawClient(old);
    assert.equal(nameOf(old), 'first');
    assert.equal((await client.request(get('/health'))).status, 200);

    await put(second);
    reloading.child.kill('SIGHUP');
    await reloading.logged(/event=reloaded/);
    const fresh = await connect(reloading.port);
    assert.equal(nameOf(fresh), 'second');
    assert.equal((await client.request(get('/health'))).status, 200);

    await writeFile(key, 'torn');
    reloading.child.kill('SIGHUP');
    await reloading.logged(/event=reload_failed\b.*live\.key/);
    const still = await connect(reloading.port);
    assert.equal(nameOf(still), 'second');
    assert.equal((await client.request(get('/health'))).status, 200);
    for (const socket of [old, fresh, still]) {
        socket.destroy();
    }
});

test('resumed sessions survive, also across loops', async (t) => {
    const several = await startServer(t, { env: { ...env, THREADS: '3' } });
    let session;
    let reused = 0;
    for (let i = 0; i < 12; i++) {
        const socket = await connect(several.port, { session, maxVersion: 'TLSv1.2' });
        reused += socket.isSessionReused() ? 1 : 0;
        session = socket.getSession();
        assert.equal((await new RawClient(socket).request(get('/health'))).status, 200);
        socket.destroy();
    }
    assert.equal(reused, 11);
});

test('plain HTTP and garbage on the TLS port end the connection at once', async () => {
    for (const bytes of [get('/health'), 'x'.repeat(4000), Buffer.from([0x16, 0x03, 0x01, 0xff, 0xff, 0x01])]) {
        const client = await RawClient.connect(server.port);
        await client.write(bytes);
        if (typeof bytes === 'string') {
            await client.closed();
        }
        assert.doesNotMatch(client.received.toString('latin1'), /HTTP\/1\.1 200/);
        client.close();
    }
    assert.equal((await call(server.port, '/health')).status, 200);
});

test('handshakes that do not come to an end are cut off by HEADER_TIMEOUT', async (t) => {
    const strict = await startServer(t, { env: { ...env, HEADER_TIMEOUT: '400ms', IDLE_TIMEOUT: '1h' } });
    const hello = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);
    await Promise.all(
        ['nothing', 'begins', 'trickles'].map(async (kind) => {
            const socket = net.connect(strict.port, '127.0.0.1');
            const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
            if (kind !== 'nothing') {
                socket.write(hello);
            }
            const drip = kind === 'trickles' ? setInterval(() => socket.write('\0'), 50) : undefined;
            socket.resume();
            await closed;
            clearInterval(drip);
        }),
    );
    assert.equal((await call(strict.port, '/health')).status, 200);
});

async function bufferedBytes(port) {
    const { text } = await call(port, '/metrics');
    return Number(/^parley_connection_buffer_bytes (\d+)/m.exec(text)[1]);
}

test('a slow reader over TLS is held back: memory stays bounded, nothing is lost', async (t) => {
    const plain = await startServer(t, { env });
    const socket = await connect(plain.port);
    const greedy = new RawClient(socket);
    t.after(() => greedy.close());
    const message = 'x'.repeat(100000);
    const body = JSON.stringify({ message, context: {} });
    const bytes = request('POST', '/api/chat', { 'Content-Length': body.length, 'Content-Type': 'application/json' }, body);
    assert.equal((await greedy.request(bytes)).status, 200);
    socket.pause();
    for (let i = 0; i < 300; i++) {
        socket.write(bytes);
    }
    for (let i = 0; i < 30; i++) {
        assert.ok((await bufferedBytes(plain.port)) < 2 << 20);
    }
    socket.resume();
    for (let i = 0; i < 300; i++) {
        const response = await greedy.response();
        assert.equal(response.status, 200);
        assert.equal(response.body.message, `Echo: ${message}`);
    }
});

test('SIGTERM says farewell on TLS connections', async (t) => {
    const leaving = await startServer(t, { env: { ...env, THREADS: '2' } });
    const idle = await connect(leaving.port);
    const ended = once(idle, 'end');
    const socket = await JsonSocket.open(`wss://127.0.0.1:${leaving.port}/ws`, { ca: ca.pem });
    idle.resume();
    leaving.child.kill('SIGTERM');
    await ended;
    assert.deepEqual(await socket.closed, { code: 1000, reason: 'Server shutting down' });
    idle.destroy();
    assert.equal((await leaving.exited).code, 0);
});
