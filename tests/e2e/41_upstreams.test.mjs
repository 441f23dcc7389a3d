// Azure's two forms, several upstreams with failover, local servers without a key.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failures, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';

const v1 = (content, more = {}) => ({ model: 'gpt-4o', messages: [{ role: 'user', content }], ...more });
const fake = async (t, options) => {
    const upstream = await startUpstream(options);
    t.after(() => upstream.close());
    return upstream;
};

test('Azure: deployment path, api-version, api-key; its first chunk without choices', async (t) => {
    const upstream = await fake(t);
    const server = await startServer(t, {
        env: { ...upstream.azureEnv, AZURE_OPENAI_API_VERSION: '2024-10-21' },
    });
    const { body } = await server.json('POST', '/api/chat', { message: 'Grüezi', context: {} });
    assert.equal(body.message, 'You said: Grüezi');
    const seen = await upstream.request(1);
    assert.equal(seen.path, '/openai/deployments/o4-mini/chat/completions');
    assert.deepEqual(seen.query, { 'api-version': '2024-10-21' });
    assert.equal(seen.headers['api-key'], upstream.key);
    assert.equal(seen.headers.authorization, undefined);
});

test('Azure: the newer form without a deployment in the path', async (t) => {
    const upstream = await fake(t);
    const server = await startServer(t, { env: { ...upstream.azureEnv, AZURE_OPENAI_API_VERSION: 'v1' } });
    const { body } = await server.json('POST', '/api/chat', { message: 'x', conversationId: null });
    assert.equal(body.message.content, 'You said: x');
    const seen = await upstream.request(1);
    assert.equal(seen.path, '/openai/v1/chat/completions');
    assert.equal(seen.body.model, 'o4-mini');
});

test('both spellings of the Azure variables', async (t) => {
    const upstream = await fake(t);
    const server = await startServer(t, {
        env: {
            AZURE_OPENAI_ENDPOINT: upstream.url,
            AZURE_OPENAI_KEY: upstream.key,
            AZURE_OPENAI_DEPLOYMENT_NAME: 'model-router',
        },
    });
    await server.json('POST', '/api/chat', { message: 'x', context: {} });
    assert.equal((await upstream.request(1)).deployment, 'model-router');
});

test('OPENAI_OPENAI_API_KEY is read too', async (t) => {
    const upstream = await fake(t);
    const server = await startServer(t, {
        env: { OPENAI_BASE_URL: `${upstream.url}/v1/`, OPENAI_OPENAI_API_KEY: upstream.key },
    });
    const { body } = await server.json('POST', '/api/chat', { message: 'x', context: {} });
    assert.equal(body.message, 'You said: x');
});

/** Two upstreams in a pool. */
async function pool(t, env = {}) {
    const first = await fake(t, { key: 'sk-first' });
    const second = await fake(t, { key: 'sk-second' });
    const server = await startServer(t, {
        env: {
            LLM_UPSTREAMS: JSON.stringify([
                { name: 'first', provider: 'openai', base_url: `${first.url}/v1`, api_key: first.key, weight: 1 },
                { name: 'second', provider: 'openai', base_url: `${second.url}/v1`, api_key: second.key, weight: 3 },
            ]),
            THREADS: '1', // breakers are each loop's own
            UPSTREAM_RETRIES: '0',
            ...env,
        },
    });
    return { first, second, server, complete: (text, more) => server.json('POST', '/v1/chat/completions', v1(text, more)) };
}

test('in order: the second is asked when the first fails before its first byte', async (t) => {
    const { first, second, complete } = await pool(t);
    assert.equal((await complete('x')).status, 200);
    assert.equal(second.requests.length, 0);
    for (const plan of [failures.server(500), failures.html(502), failures.rateLimited(), failures.quota()]) {
        first.forget();
        second.forget();
        first.next(plan);
        assert.equal((await complete('y')).status, 200);
        assert.equal(first.requests.length, 1);
        assert.equal(second.requests.length, 1);
        assert.equal(second.requests[0].key, 'sk-second');
    }
});

test('a refused request is not tried elsewhere', async (t) => {
    const { first, second, complete } = await pool(t);
    first.next(failures.badRequest());
    assert.equal((await complete('x')).status, 400);
    assert.equal(second.requests.length, 0);
});

test('no failover once the stream has begun', async (t) => {
    const { first, second, complete } = await pool(t);
    first.next({ text: 'one two', cutAfter: 1 });
    await complete('x', { stream: true }).catch(() => {});
    assert.equal(second.requests.length, 0);
});

test('an upstream that is down is left alone, the other serves', async (t) => {
    const { first, second, complete } = await pool(t, { UPSTREAM_BREAKER_FAILURES: '2', UPSTREAM_BREAKER_OPEN: '60s' });
    first.always = failures.server(500);
    for (let i = 0; i < 6; i++) {
        assert.equal((await complete('x')).status, 200);
    }
    assert.equal(first.requests.length, 2);
    assert.equal(second.requests.length, 6);
});

test('when all fail, the failure is told', async (t) => {
    const { first, second, complete } = await pool(t);
    first.always = failures.server(500);
    second.always = failures.server(503);
    assert.ok((await complete('x')).status >= 500);
    assert.equal(first.requests.length, 1);
    assert.equal(second.requests.length, 1);
});

test('weighted: both are asked, the heavier one more', async (t) => {
    const { first, second, complete } = await pool(t, { LLM_POOL: 'weighted' });
    for (let i = 0; i < 80; i++) {
        assert.equal((await complete('x')).status, 200);
    }
    assert.equal(first.requests.length + second.requests.length, 80);
    assert.ok(first.requests.length > 0);
    assert.ok(second.requests.length > first.requests.length);
});

test('turns fail over too, and are stored once', async (t) => {
    const { first, server } = await pool(t);
    first.next(failures.server(500));
    const { body } = await server.json('POST', '/api/chat', { message: 'hello', conversationId: null });
    assert.equal(body.message.content, 'You said: hello');
    assert.equal(body.conversation.messages.length, 2);
});

test('a server of one\'s own may need no key', async (t) => {
    const upstream = await fake(t, { key: undefined });
    upstream.key = undefined;
    const server = await startServer(t, { env: { OPENAI_BASE_URL: `${upstream.url}/v1`, LLM_PROVIDER: 'openai' } });
    const { body } = await server.json('POST', '/api/chat', { message: 'x', context: {} });
    assert.equal(body.message, 'You said: x');
    assert.equal((await upstream.request(1)).headers.authorization, undefined);
});

test('LLM_MODEL names the model for every surface', async (t) => {
    const upstream = await fake(t);
    const server = await startServer(t, { env: { ...upstream.openaiEnv, LLM_MODEL: 'llama3' } });
    await server.json('POST', '/api/chat', { message: 'x', context: {} });
    await server.json('POST', '/api/chat', { message: 'x', conversationId: null });
    await server.json('POST', '/api/chat', { messages: [{ role: 'user', content: 'x' }] });
    assert.deepEqual(
        upstream.requests.map((rq) => rq.body.model),
        ['llama3', 'llama3', 'llama3'],
    );
});
