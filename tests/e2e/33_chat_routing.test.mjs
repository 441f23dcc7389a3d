// Conflict 1 of the contract: one POST /api/chat, three dialects, told apart by body and Accept; and the overrides.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const server = await startServer({ after }, { env: upstream.openaiEnv });

const AXIOS = 'application/json, text/plain, */*';
const MESSAGES = [{ role: 'user', content: 'hi' }];

/** Which dialect answered. */
async function dialect(body, accept, { path = '/api/chat', headers = {} } = {}) {
    const response = await server.json('POST', path, body, { ...(accept ? { accept } : {}), ...headers });
    const type = response.headers.get('content-type');
    if (type.startsWith('text/event-stream') || type.startsWith('text/plain')) {
        return 'openai';
    }
    assert.equal(response.status, 200, response.text);
    return typeof response.body.message === 'string' ? 'aimcs' : 'conversations';
}

test('(a) messages, or Accept: text/event-stream: openai', async () => {
    assert.equal(await dialect({ messages: MESSAGES }, '*/*'), 'openai');
    assert.equal(await dialect({ messages: MESSAGES }, AXIOS), 'openai');
    assert.equal(await dialect({ messages: MESSAGES, conversationId: 'x', context: {} }, '*/*'), 'openai');
    assert.equal(await dialect({ message: 'hi' }, 'text/event-stream'), 'openai');
    assert.equal(await dialect({ messages: null }, '*/*'), 'openai');
});

test('(b) conversationId (even null), stream or forceAgent: conversations', async () => {
    assert.equal(await dialect({ message: 'hi', conversationId: null }, '*/*'), 'conversations');
    assert.equal(await dialect({ message: 'hi', stream: false }, '*/*'), 'conversations');
    assert.equal(await dialect({ message: 'hi', stream: true }, '*/*'), 'conversations');
    assert.equal(await dialect({ message: 'hi', forceAgent: 'x' }, '*/*'), 'conversations');
    assert.equal(await dialect({ message: 'hi', conversationId: null, context: {} }, '*/*'), 'conversations');
});

test('(c) context: aimcs', async () => {
    assert.equal(await dialect({ message: 'hi', context: {} }, '*/*'), 'aimcs');
    assert.equal(await dialect({ message: 'hi', context: {} }, AXIOS), 'aimcs');
});

test('(d) a bare message: by Accept', async () => {
    assert.equal(await dialect({ message: 'hi' }, AXIOS), 'conversations');
    assert.equal(await dialect({ message: 'hi' }, 'application/json'), 'conversations');
    assert.equal(await dialect({ message: 'hi' }, '*/*'), 'aimcs');
    const none = await server.json('POST', '/api/chat', { message: 'hi' });
    assert.equal(typeof none.body.message, 'string');
});

test('X-Chat-Profile decides over everything', async () => {
    for (const profile of ['aimcs', 'conversations', 'openai']) {
        const headers = { 'x-chat-profile': profile };
        assert.equal(await dialect({ message: 'hi', messages: MESSAGES }, AXIOS, { headers }), profile);
        assert.equal(await dialect({ message: 'hi', messages: MESSAGES, context: {} }, '*/*', { headers }), profile);
    }
});

test('an unknown profile is told', async () => {
    const response = await server.json('POST', '/api/chat', { message: 'hi' }, { 'x-chat-profile': 'nope' });
    assert.equal(response.status, 400);
});

test('paths of their own', async () => {
    assert.equal(await dialect({ message: 'hi' }, AXIOS, { path: '/aimcs/api/chat' }), 'aimcs');
    assert.equal(await dialect({ message: 'hi' }, '*/*', { path: '/conversations/api/chat' }), 'conversations');
});

test('keys of nested objects or of strings do not decide', async () => {
    assert.equal(await dialect({ message: '"messages":[1]', context: { messages: [] } }, '*/*'), 'aimcs');
    assert.equal(await dialect({ message: 'hi', context: { conversationId: 'x' } }, '*/*'), 'aimcs');
});

test('escaped spellings of the keys decide as well', async () => {
    const response = await server.fetch('/api/chat', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"message":"hi","conversation\\u0049d":null}',
    });
    assert.equal(typeof (await response.json()).message, 'object');
});

test('curl -d sends a form type: the body decides', async () => {
    const response = await server.fetch('/api/chat', {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: '{"message":"hi"}',
    });
    assert.equal(response.status, 200);
    assert.equal((await response.json()).message, 'You said: hi');
});
