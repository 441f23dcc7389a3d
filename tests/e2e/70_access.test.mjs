// Section 5 of the contract: who may come in.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { refusedUpgrade } from './support/frames.mjs';
import { startServer } from './support/server.mjs';
import { JsonSocket, refused } from './support/socket.mjs';

const PRODUCTION = {
    ENVIRONMENT: 'production',
    JWT_SECRET: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA',
    API_TOKEN: 'the-api-token-0815',
    LLM_PROVIDER: 'demo',
};
const bearer = (token) => ({ authorization: `Bearer ${token}` });
const closed = await startServer({ after }, { env: PRODUCTION });
const MESSAGES = [{ role: 'user', content: 'x' }];

const DOORS = [
    ['aimcs', 'POST', '/api/chat', { message: 'x', context: {} }],
    ['chat', 'POST', '/api/chat', { message: 'x', conversationId: null }],
    ['chat', 'GET', '/api/conversations'],
    ['chat', 'POST', '/api/conversations', { title: 'x' }],
    ['chat', 'GET', '/api/conversations/x'],
    ['chat', 'DELETE', '/api/conversations/x'],
    ['chat', 'GET', '/api/conversations/x/events'],
    ['chat', 'POST', '/api/conversations/x/cancel'],
    ['openai', 'POST', '/api/chat', { messages: MESSAGES }],
    ['openai', 'POST', '/v1/chat/completions', { model: 'm', messages: MESSAGES }],
    ['openai', 'GET', '/v1/models'],
];

for (const [dialect, method, path, body] of DOORS) {
    test(`production: ${method} ${path} (${dialect}) wants the token`, async () => {
        for (const headers of [{}, bearer('wrong'), bearer(''), bearer('the-api-token-081'), bearer('the-api-token-08155')]) {
            const { status } = await closed.json(method, path, body, headers);
            assert.equal(status, 401, JSON.stringify(headers));
        }
        const { status } = await closed.json(method, path, body, bearer(PRODUCTION.API_TOKEN));
        assert.ok(![401, 403].includes(status), String(status));
    });
}

test('a refusal says how to come in, in the shape of the door', async () => {
    const chat = await closed.json('GET', '/api/conversations');
    assert.match(chat.headers.get('www-authenticate'), /^Bearer/);
    assert.equal(typeof chat.body.message, 'string');
    const v1 = await closed.json('GET', '/v1/models');
    assert.equal(typeof v1.body.error.message, 'string');
});

test('production: /v1 with the token as the SDK sends it', async () => {
    const answer = await closed.json(
        'POST',
        '/v1/chat/completions',
        { model: 'm', messages: MESSAGES },
        bearer(PRODUCTION.API_TOKEN),
    );
    assert.equal(answer.status, 200);
});

test('production: health is open, what tells more is not', async () => {
    for (const path of ['/health', '/health/live', '/health/ready', '/api/health']) {
        assert.equal((await closed.json('GET', path)).status, 200, path);
    }
    assert.equal((await closed.json('GET', '/metrics')).status, 401);
    assert.equal((await closed.json('GET', '/metrics', undefined, bearer(PRODUCTION.API_TOKEN))).status, 200);
});

test('production: sockets want the token, as a query parameter or a header', async () => {
    for (const path of ['/ws', '/ws/audio', '/']) {
        for (const query of ['', '?token=', '?token=wrong', '?token=the-api-token-081']) {
            assert.equal((await refused(closed.wsUrl + path + query)).status, 403, path + query);
        }
        const byQuery = await JsonSocket.open(`${closed.wsUrl}${path}?token=${PRODUCTION.API_TOKEN}`);
        await byQuery.close();
        const byHeader = await JsonSocket.open(closed.wsUrl + path, { headers: bearer(PRODUCTION.API_TOKEN) });
        await byHeader.close();
    }
});

test('a token in the query opens sockets only', async () => {
    const { status } = await closed.json('GET', `/api/conversations?token=${PRODUCTION.API_TOKEN}`);
    assert.equal(status, 401);
});

test('production: a foreign origin is refused even with the token', async () => {
    const response = await refusedUpgrade(closed.port, `/ws?token=${PRODUCTION.API_TOKEN}`, {
        Origin: 'https://evil.example',
    });
    assert.equal(response.status, 403);
});

test('a preflight needs no token', async () => {
    const response = await closed.fetch('/api/chat', {
        method: 'OPTIONS',
        headers: { origin: 'https://aimcs.net', 'access-control-request-method': 'POST' },
    });
    assert.equal(response.status, 204);
});

for (const open of ['aimcs', 'openai', 'chat', 'pichat']) {
    test(`OPEN_DIALECTS=${open} opens that one and no other`, async (t) => {
        const server = await startServer(t, { env: { ...PRODUCTION, OPEN_DIALECTS: open } });
        for (const [dialect, method, path, body] of DOORS) {
            const { status } = await server.json(method, path, body);
            assert.equal(status === 401, dialect !== open, `${dialect}: ${method} ${path} gave ${status}`);
        }
        for (const [dialect, path] of [
            ['pichat', '/ws'],
            ['aimcs', '/ws/audio'],
            ['aimcs', '/'],
        ]) {
            if (dialect === open) {
                const socket = await JsonSocket.open(server.wsUrl + path);
                await socket.close();
            } else {
                assert.equal((await refused(server.wsUrl + path)).status, 403, path);
            }
        }
    });
}

test('production without API_TOKEN: nothing but health is open', async (t) => {
    const server = await startServer(t, { env: { ...PRODUCTION, API_TOKEN: undefined } });
    for (const [, method, path, body] of DOORS) {
        for (const headers of [{}, bearer(''), bearer('undefined')]) {
            assert.equal((await server.json(method, path, body, headers)).status, 401, `${method} ${path}`);
        }
    }
    assert.equal((await refused(`${server.wsUrl}/ws?token=`)).status, 403);
    assert.equal((await server.json('GET', '/health')).status, 200);
});

test('development is open, with or without API_TOKEN set', async (t) => {
    const server = await startServer(t, { env: { API_TOKEN: 'set-but-not-asked-for' } });
    assert.equal((await server.json('GET', '/api/conversations')).status, 200);
    const socket = await JsonSocket.open(`${server.wsUrl}/ws`);
    await socket.ask({ type: 'GET_CHATS' }, 'CHAT_LIST');
    await socket.close();
});

test('NODE_ENV=production counts like ENVIRONMENT=production', async (t) => {
    const server = await startServer(t, { env: { ...PRODUCTION, ENVIRONMENT: undefined, NODE_ENV: 'production' } });
    assert.equal((await server.json('GET', '/api/conversations')).status, 401);
});

test('production hides what is inside', async () => {
    const response = await closed.json('POST', '/api/chat', { message: '' }, bearer(PRODUCTION.API_TOKEN));
    assert.equal(response.body.stack, undefined);
});
