// Upstreams over TLS and through proxies: whom we trust, and which way calls take.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { Authority } from './support/certificates.mjs';
import { run, startServer, temporaryFolder } from './support/server.mjs';

const folder = await temporaryFolder();
after(() => rm(folder, { recursive: true, force: true }));
const ca = await Authority.make(folder);
const good = await ca.issue('good');
const elsewhere = await ca.issue('elsewhere', 'DNS:elsewhere.example');
const upstream = await startUpstream();
after(() => upstream.close());

/** TLS in front of the stand-in: { port, env }; it speaks HTTP/1.1. */
async function front(t, issued, target = upstream) {
    const server = https.createServer({ cert: issued.cert, key: issued.key }, (req, res) => {
        const { method, url, headers } = req;
        const onward = http.request({ host: '127.0.0.1', port: target.port, method, path: url, headers }, (answer) => {
            res.writeHead(answer.statusCode, answer.headers);
            answer.pipe(res);
        });
        onward.on('error', () => res.destroy());
        res.on('close', () => onward.destroy());
        req.pipe(onward);
    });
    server.on('tlsClientError', () => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    const { port } = server.address();
    const env = { OPENAI_API_KEY: target.key, OPENAI_BASE_URL: `https://127.0.0.1:${port}/v1`, UPSTREAM_RETRIES: '0' };
    return { port, env };
}

/** A proxy for both kinds of use; `seen` has what it was asked. */
async function startProxy(t) {
    const seen = [];
    const sockets = new Set();
    const proxy = http.createServer((req, res) => {
        seen.push(`${req.method} ${req.url}`);
        const { hostname, port: to, pathname } = new URL(req.url);
        const onward = http.request({ hostname, port: to, method: req.method, path: pathname, headers: req.headers });
        onward.on('response', (answer) => {
            res.writeHead(answer.statusCode, answer.headers);
            answer.pipe(res);
        });
        onward.on('error', () => res.destroy());
        req.pipe(onward);
    });
    proxy.on('connect', (req, socket) => {
        seen.push(`CONNECT ${req.url}`);
        const onward = net.connect(Number(req.url.split(':').at(-1)), '127.0.0.1', () => {
            socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
            socket.pipe(onward).pipe(socket);
        });
        sockets.add(onward.on('error', () => socket.destroy())).add(socket.on('error', () => onward.destroy()));
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    t.after(() => {
        sockets.forEach((socket) => socket.destroy());
        proxy.closeAllConnections();
        proxy.close();
    });
    return { seen, url: `http://127.0.0.1:${proxy.address().port}` };
}

const ask = (server) =>
    server.json('POST', '/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: 'Which tram?' }] });
const answered = ({ status, body, text }) => {
    assert.equal(status, 200, text);
    assert.equal(body.choices[0].message.content, 'You said: Which tram?');
};
const refused = ({ status, text }) => {
    assert.ok(status >= 500, text);
    assert.ok(!text.includes(upstream.key));
};

test('a private authority is refused unless UPSTREAM_CA_FILE names it', async (t) => {
    const { env } = await front(t, good);
    const before = upstream.requests.length;
    refused(await ask(await startServer(t, { env })));
    assert.equal(upstream.requests.length, before, 'not a byte of the request went out');
    answered(await ask(await startServer(t, { env: { ...env, UPSTREAM_CA_FILE: ca.file } })));
});

test('the system\'s authorities are still trusted beside it', async (t) => {
    const { env } = await front(t, good);
    const apart = path.join(folder, 'another');
    await mkdir(apart);
    const another = await Authority.make(apart);
    const both = { ...env, UPSTREAM_CA_FILE: another.file, SSL_CERT_FILE: ca.file };
    answered(await ask(await startServer(t, { env: both })));
});

test('a certificate for another host is refused', async (t) => {
    const { env } = await front(t, elsewhere);
    refused(await ask(await startServer(t, { env: { ...env, UPSTREAM_CA_FILE: ca.file } })));
});

test('an authority file that is missing is told, and nothing goes out', async (t) => {
    const { env } = await front(t, good);
    const missing = path.join(ca.folder, 'missing.pem');
    const result = await run(['check'], { env: { ...env, UPSTREAM_CA_FILE: missing } });
    assert.notEqual(result.code, 0);
    assert.match(result.stdout + result.stderr, /missing\.pem|certificate|CA/);
});

test('calls at once to an HTTP/1.1 upstream over TLS do not wait for each other', async (t) => {
    const own = await startUpstream();
    t.after(() => own.close());
    const { env } = await front(t, good, own);
    const server = await startServer(t, { env: { ...env, UPSTREAM_CA_FILE: ca.file } });
    const hold = gate();
    own.always = { text: 'done', holdAfter: 0, gate: hold.promise };
    const calls = Array.from({ length: 12 }, () => ask(server));
    await own.request(12);
    hold.open();
    for (const call of calls) {
        assert.equal((await call).body.choices[0].message.content, 'done');
    }
});

for (const name of ['HTTPS_PROXY', 'https_proxy']) {
    test(`${name}: a tunnel to the upstream, verified end to end`, async (t) => {
        const { env, port } = await front(t, good);
        const proxy = await startProxy(t);
        const server = await startServer(t, { env: { ...env, [name]: proxy.url, UPSTREAM_CA_FILE: ca.file } });
        answered(await ask(server));
        assert.deepEqual(proxy.seen, [`CONNECT 127.0.0.1:${port}`]);
        const distrusting = await startServer(t, { env: { ...env, [name]: proxy.url } });
        refused(await ask(distrusting));
    });
}

for (const name of ['HTTP_PROXY', 'http_proxy']) {
    test(`${name}: plain upstreams are asked through it`, async (t) => {
        const proxy = await startProxy(t);
        const server = await startServer(t, { env: { ...upstream.openaiEnv, [name]: proxy.url } });
        answered(await ask(server));
        assert.deepEqual(proxy.seen, [`POST ${upstream.url}/v1/chat/completions`]);
    });
}

test('NO_PROXY: hosts that are reached directly', async (t) => {
    const proxy = await startProxy(t);
    const env = { ...upstream.openaiEnv, HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url };
    for (const [list, direct] of [
        ['127.0.0.1', true],
        ['example.com, 127.0.0.1', true],
        ['*', true],
        ['example.com', false],
    ]) {
        proxy.seen.length = 0;
        answered(await ask(await startServer(t, { env: { ...env, NO_PROXY: list } })));
        assert.equal(proxy.seen.length, direct ? 0 : 1, list);
    }
});

test('a proxy that is not there is an honest failure, not a way round it', async (t) => {
    const dead = 'http://127.0.0.1:1';
    const before = upstream.requests.length;
    refused(await ask(await startServer(t, { env: { ...upstream.openaiEnv, HTTP_PROXY: dead, UPSTREAM_RETRIES: '0' } })));
    assert.equal(upstream.requests.length, before);
});
