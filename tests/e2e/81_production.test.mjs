// Production as it is run: what stops the start, what a busy day leaves in logs, metrics and answers.
import assert from 'node:assert/strict';
import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { failures, startUpstream } from '../fake/upstream.mjs';
import { RawClient, get, request } from './support/raw.mjs';
import { run, startServer, temporaryFolder } from './support/server.mjs';
import { JsonSocket, refused } from './support/socket.mjs';
import { EventStream } from './support/sse.mjs';

const KEY = 'sk-live-0123456789abcdefSECRET';
const TOKEN = 'api-token-abcdefghij0123456789';
const JWT = 'and7c2lnbmluZy1zZWNyZXQtb2YtdGhlLXRlc3Q5ODc2NTQz';
const PRIVATE = 'zanzibar-quetzal-private';
const REPLY = 'obsidian-marmalade-reply';
const PRODUCTION = { ENVIRONMENT: 'production', JWT_SECRET: JWT, API_TOKEN: TOKEN };
const AUTH = { authorization: `Bearer ${TOKEN}` };

test('sample secrets of the documents stop the start, whatever surrounds them', async () => {
    for (const [name, value] of [
        ['JWT_SECRET', 'your-production-jwt-secret-0123456789'],
        ['JWT_SECRET', 'your_jwt_secret_here_your_jwt_secret_here'],
        ['JWT_SECRET', 'your-secret-key-your-secret-key-your-secret-key'],
        ['JWT_SECRET', 'abcdefghijklmnopqrstuvwxyz01234'],
        ['JWT_SECRET', 'a'.repeat(64)],
        ['API_TOKEN', 'your_secure_token_here'],
    ]) {
        const { code, stderr, stdout } = await run(['serve'], { env: { ...PRODUCTION, [name]: value } });
        assert.equal(code, 1, `${name}=${value}`);
        assert.ok(stderr.includes(name), stderr);
        assert.doesNotMatch(stderr, /event=listening/);
        assert.ok(!(stdout + stderr).includes(TOKEN) && !(stdout + stderr).includes(JWT));
    }
    const { code } = await run(['check'], { env: { ...PRODUCTION, JWT_SECRET: 'short' } });
    assert.equal(code, 1);
});

test('the rate limit is on by default, and health is not counted', async (t) => {
    const server = await startServer(t, { env: { ...PRODUCTION, LLM_PROVIDER: 'demo' } });
    const first = await server.json('GET', '/api/conversations', undefined, AUTH);
    assert.equal(first.headers.get('ratelimit-limit'), '3000');
    assert.equal((await server.json('GET', '/health/ready')).headers.get('ratelimit-limit'), null);
});

test('origins: pages that are not allowed read nothing and open no socket', async (t) => {
    const env = { ...PRODUCTION, LLM_PROVIDER: 'demo', FRONTEND_URL: 'https://shop.example', OPEN_DIALECTS: 'pichat,aimcs' };
    const server = await startServer(t, { env });
    for (const [origin, allowed] of [
        ['https://shop.example', true],
        ['https://aimcs.net', true],
        ['https://shop.example.evil.example', false],
        ['http://shop.example', false],
        ['https://SHOP.example', true],
        ['null', false],
    ]) {
        const { headers } = await server.json('GET', '/health', undefined, { origin });
        assert.equal(headers.get('access-control-allow-origin') !== null, allowed, origin);
        for (const pathname of ['/ws', '/ws/audio', '/']) {
            if (allowed) {
                const socket = await JsonSocket.open(server.wsUrl + pathname, { headers: { origin } });
                await socket.close();
            } else {
                assert.equal((await refused(server.wsUrl + pathname, { headers: { origin } })).status, 403, origin);
            }
        }
    }
    const native = await JsonSocket.open(`${server.wsUrl}/ws`);
    await native.close();
});

/** Some of everything, going well and going wrong: all that came back. */
async function busyDay(server, upstream) {
    const answers = [];
    const take = ({ headers, text, ...rest }) =>
        answers.push(JSON.stringify([headers instanceof Headers ? [...headers] : headers, rest]), text);
    const call = async (...args) => take(await server.json(...args));
    const { body } = await server.json('POST', '/api/conversations', { title: 'x' }, AUTH);
    const events = await EventStream.open(`${server.url}/api/conversations/${body.id}/events`, { headers: AUTH });
    for (const failure of [
        {},
        failures.badKey(KEY),
        failures.badRequest(`no such thing for key ${KEY}`),
        failures.quota(),
        { status: 500, body: `proxy error: header authorization: Bearer ${KEY}` },
        { errorAfter: 1 },
        { cutAfter: 1 },
    ]) {
        for (const body_ of [
            { message: PRIVATE, conversationId: body.id },
            { message: PRIVATE, context: {} },
            { messages: [{ role: 'user', content: PRIVATE }] },
        ]) {
            upstream.always = { text: `${REPLY} one two`, ...failure };
            await call('POST', '/api/chat', body_, AUTH);
        }
        await call('POST', '/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: PRIVATE }] }, AUTH);
    }
    upstream.always = { text: `${REPLY} one two` };
    for (const [method, pathname, headers] of [
        ['GET', `/api/conversations/${body.id}`, AUTH],
        ['GET', `/api/conversations?token=${TOKEN}`, {}],
        ['GET', `/nothing?token=${TOKEN}&key=${KEY}`, { referer: `https://x.example/?access_token=${TOKEN}` }],
        ['GET', '/v1/models', { authorization: `Bearer ${TOKEN}x` }],
        ['GET', '/v1/models', AUTH],
        ['GET', '/health', {}],
        ['GET', '/api/health', {}],
        ['GET', '/api/status', AUTH],
        ['GET', '/openapi.json', AUTH],
        ['GET', '/metrics', AUTH],
        ['PATCH', '/api/chat', AUTH],
        ['POST', `/api/conversations/${body.id}/cancel`, AUTH],
    ]) {
        await call(method, pathname, undefined, headers);
    }
    const raw = await RawClient.connect(server.port);
    take(await raw.request(request('POST', '/api/chat', { Authorization: `Bearer ${TOKEN}`, 'Content-Length': 3 }, '{"a')));
    take(await raw.request(get('/bad\x01path', { Authorization: `Bearer ${TOKEN}` })));
    raw.close();
    const socket = await JsonSocket.open(`${server.wsUrl}/ws/audio?token=${TOKEN}`);
    await socket.expect('connection');
    take(await socket.ask({ type: 'chat', message: PRIVATE }, 'chat_response'));
    upstream.always = failures.badKey(KEY);
    take(await socket.ask({ type: 'chat', message: PRIVATE }, 'chat_response'));
    await socket.close();
    await refused(`${server.wsUrl}/ws?token=${TOKEN}x`);
    events.close();
    return answers.join('\n\n');
}

for (const level of ['debug', 'info']) {
    test(`a busy run at LOG_LEVEL=${level} leaves no secret anywhere`, async (t) => {
        const upstream = await startUpstream({ key: KEY });
        t.after(() => upstream.close());
        const folder = await temporaryFolder();
        const access = path.join(folder, 'access.log');
        const server = await startServer(t, {
            folder,
            env: {
                ...PRODUCTION,
                ...upstream.openaiEnv,
                LOG_LEVEL: level,
                ACCESS_LOG: 'json',
                ACCESS_LOG_FILE: access,
                UPSTREAM_RETRIES: '1',
                UPSTREAM_BREAKER_FAILURES: '0',
            },
        });
        const answers = await busyDay(server, upstream);
        assert.ok(upstream.requests.length > 20, 'the day was busy');
        assert.ok(answers.includes(REPLY));
        server.child.kill('SIGHUP');
        await server.logged(/event=reloaded/);
        server.child.kill('SIGTERM');
        assert.equal((await server.exited).code, 0);
        const logs = server.stderr + server.stdout + (await readFile(access, 'utf8'));
        assert.ok(logs.split('\n').length > 30);
        for (const [what, secret] of Object.entries({ KEY, TOKEN, JWT })) {
            assert.ok(!logs.includes(secret), `${what} in a log: ${logs.split('\n').find((line) => line.includes(secret))}`);
            assert.ok(!answers.includes(secret), `${what} in an answer`);
        }
        if (level !== 'debug') {
            assert.ok(!logs.includes(PRIVATE), logs.split('\n').find((line) => line.includes(PRIVATE)));
            assert.ok(!logs.includes(REPLY), logs.split('\n').find((line) => line.includes(REPLY)));
        }
    });
}

test('secrets in the files of the configuration are not printed either', async (t) => {
    const folder = await temporaryFolder();
    await writeFile(path.join(folder, '.env'), `OPENAI_API_KEY=${KEY}\nAPI_TOKEN=${TOKEN}\nJWT_SECRET=${JWT}\nSSE_HEARTBEAT=soon\n`);
    const wrong = await run(['serve'], { cwd: folder });
    assert.notEqual(wrong.code, 0);
    await writeFile(path.join(folder, '.env'), `OPENAI_API_KEY=${KEY}\nAPI_TOKEN=${TOKEN}\nJWT_SECRET=${JWT}\n`);
    const server = await startServer(t, { folder, env: { LLM_PROVIDER: 'demo', LOG_LEVEL: 'debug' } });
    await writeFile(path.join(folder, '.env'), `OPENAI_API_KEY=${KEY}\nAPI_TOKEN=${TOKEN}2\nLOG_FORMAT=loud\n`);
    server.child.kill('SIGHUP');
    await server.logged(/event=(reloaded|reload_refused)/);
    const said = wrong.stdout + wrong.stderr + server.stdout + server.stderr;
    assert.ok(![KEY, TOKEN, JWT].some((secret) => said.includes(secret)), said);
});

test('the access log goes on in a new file after rotation', async (t) => {
    const folder = await temporaryFolder();
    const file = path.join(folder, 'access.log');
    const server = await startServer(t, { folder, env: { ACCESS_LOG: 'combined', ACCESS_LOG_FILE: file, THREADS: '2' } });
    const lines = async (name) => (await readFile(name, 'utf8').catch(() => '')).split('\n').filter(Boolean);
    const hit = (pathname) => server.json('GET', pathname, undefined, { connection: 'close' });
    for (let i = 0; i < 5; i++) {
        await hit(`/before?${i}`);
    }
    while ((await lines(file)).length < 5) {
        // lines leave in batches
    }
    await rename(file, `${file}.1`);
    server.child.kill('SIGHUP');
    await server.logged(/event=reloaded/);
    for (let i = 0; i < 5; i++) {
        await hit(`/after?${i}`);
    }
    while ((await lines(file)).length < 5) {
        // the same
    }
    assert.ok((await lines(file)).every((line) => line.includes('/after')));
    assert.ok((await lines(`${file}.1`)).every((line) => line.includes('/before')));
});
