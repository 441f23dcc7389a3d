// /v1 for any OpenAI SDK: the official one uses parley as its base URL.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import OpenAI from 'openai';
import { failures, gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { assertOpenAiError } from './support/shapes.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const server = await startServer({ after }, { env: { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' } });
const keyless = await startServer({ after });
const demo = await startServer({ after }, { env: { LLM_PROVIDER: 'demo' } });

const sdk = (where) => new OpenAI({ apiKey: 'anything', baseURL: `${where.url}/v1`, maxRetries: 0 });
const client = sdk(server);
const body = (content, more = {}) => ({ model: 'gpt-4o', messages: [{ role: 'user', content }], ...more });

async function text(stream) {
    let all = '';
    for await (const chunk of stream) {
        all += chunk.choices[0]?.delta?.content ?? '';
    }
    return all;
}

test('a whole reply', async () => {
    const reply = await client.chat.completions.create(body('Hello'));
    assert.equal(reply.object, 'chat.completion');
    assert.equal(reply.choices[0].message.content, 'You said: Hello');
    assert.equal(reply.choices[0].finish_reason, 'stop');
    assert.ok(reply.usage.total_tokens > 0);
});

test('a streamed reply, with usage when asked', async () => {
    assert.equal(await text(await client.chat.completions.create(body('a b c', { stream: true }))), 'You said: a b c');
    const chunks = [];
    for await (const chunk of await client.chat.completions.create(
        body('a', { stream: true, stream_options: { include_usage: true } }),
    )) {
        chunks.push(chunk);
    }
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.total_tokens > 0);
});

test('the request reaches the upstream member for member, under the server\'s own key', async () => {
    upstream.forget();
    const request = body('x', {
        temperature: 0.25,
        seed: 7,
        stop: ['END'],
        logit_bias: { 50256: -100 },
        metadata: { trace: 'a"b\\c' },
        tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }],
        some_new_member: { nested: [1, 2.5, null, true] },
    });
    await client.chat.completions.create(request);
    const seen = await upstream.request(1);
    const { stream, stream_options: options, ...rest } = seen.body;
    assert.deepEqual(rest, request);
    assert.ok(!stream);
    assert.equal(options, undefined);
    assert.equal(seen.key, upstream.key);
});

test('a history with every role and parts passes through', async () => {
    upstream.forget();
    const messages = [
        { role: 'developer', content: 'Be brief.' },
        { role: 'user', content: [{ type: 'text', text: 'look' }, { type: 'image_url', image_url: { url: 'data:,x' } }] },
        { role: 'assistant', content: null, tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }] },
        { role: 'tool', tool_call_id: 'c', content: '42' },
        { role: 'user', content: 'so?' },
    ];
    await client.chat.completions.create({ model: 'gpt-4o', messages });
    assert.deepEqual((await upstream.request(1)).body.messages, messages);
});

test('tool calls, streamed and not', async () => {
    const tools = [{ type: 'function', function: { name: 'get_weather', parameters: {} } }];
    const expected = [
        ['call_1', 'get_weather', { city: 'Zürich' }],
        ['call_2', 'get_time', { zone: 'Europe/Zurich' }],
    ];
    const calls = (reply) =>
        reply.choices[0].message.tool_calls.map((call) => [
            call.id,
            call.function.name,
            JSON.parse(call.function.arguments),
        ]);
    const whole = await client.chat.completions.create(body('[[tools]] x', { tools }));
    assert.deepEqual(calls(whole), expected);
    assert.equal(whole.choices[0].finish_reason, 'tool_calls');
    const streamed = await client.chat.completions.stream(body('[[tools]] x', { tools })).finalChatCompletion();
    assert.deepEqual(calls(streamed), expected);
});

for (const unkind of ['[[split]]', '[[crlf]] [[split=3]]', '[[comments]]', '[[nodone]]', '[[filtered]]']) {
    test(`text is exact with ${unkind}`, async () => {
        const stream = await client.chat.completions.create(body(`${unkind} Zürich 世界 🌍`, { stream: true }));
        assert.equal(await text(stream), 'You said: Zürich 世界 🌍');
    });
}

test('deltas are not held back', async () => {
    const hold = gate();
    upstream.next({ text: 'first second', holdAfter: 1, gate: hold.promise });
    let all = '';
    for await (const chunk of await client.chat.completions.create(body('x', { stream: true }))) {
        all += chunk.choices[0]?.delta?.content ?? '';
        if (all === 'first ') {
            hold.open();
        }
    }
    assert.equal(all, 'first second');
});

test('refusals of the upstream keep their status and shape', async () => {
    const failing = async (plan) => {
        upstream.next(plan);
        return server.json('POST', '/v1/chat/completions', body('x'));
    };
    const bad = await failing(failures.badRequest('No such parameter.'));
    assertOpenAiError(bad, 400);
    assert.deepEqual(bad.body.error, {
        message: 'No such parameter.',
        type: 'invalid_request_error',
        param: 'temperature',
        code: 'unsupported_parameter',
    });
    const quota = await failing(failures.quota());
    assertOpenAiError(quota, 429);
    assert.equal(quota.body.error.code, 'insufficient_quota');
    const limited = await failing(failures.rateLimited({ 'retry-after': '7' }));
    assertOpenAiError(limited, 429);
    assert.equal(limited.headers.get('retry-after'), '7');
    for (const plan of [failures.html(502), failures.server(503), { status: 500, body: '' }]) {
        const answer = await failing(plan);
        assertOpenAiError(answer, plan.status);
        assert.doesNotMatch(answer.text, /<html>/);
    }
    for (const odd of ['{"error":"Unauthorized"}', '{"object":"error","message":"x","code":400}', '[1]']) {
        assertOpenAiError(await failing({ status: 400, body: odd }), 400);
    }
});

test('a bad key of ours is no 401 for the client, and is not shown', async () => {
    upstream.next(failures.badKey(upstream.key));
    const answer = await server.json('POST', '/v1/chat/completions', body('x'));
    assert.ok(answer.status >= 400);
    assert.equal(typeof answer.body.error.message, 'string');
    assert.ok(!answer.text.includes(upstream.key));
    assert.ok(!(server.stderr + server.stdout).includes(upstream.key));
});

test('the SDK raises the same errors as against the real service', async () => {
    upstream.next(failures.rateLimited());
    await assert.rejects(client.chat.completions.create(body('x')), OpenAI.RateLimitError);
    upstream.next(failures.badRequest());
    await assert.rejects(client.chat.completions.create(body('x', { stream: true })), OpenAI.BadRequestError);
});

test('an error in mid-stream is raised by the SDK', async () => {
    const stream = await client.chat.completions.create(body('[[error=3]] one two', { stream: true }));
    await assert.rejects(text(stream), /stumbled/);
});

test('a cut upstream is raised by the SDK', async () => {
    const stream = await client.chat.completions.create(body('[[cut=3]] one two', { stream: true }));
    await assert.rejects(text(stream));
});

test('wrong requests: 400 in OpenAI\'s shape', async () => {
    const post = async (raw, headers = { 'content-type': 'application/json' }) => {
        const response = await server.fetch('/v1/chat/completions', { method: 'POST', headers, body: raw });
        const answer = await response.text();
        return { status: response.status, text: answer, body: JSON.parse(answer) };
    };
    for (const raw of ['', 'nope', '[]', '{}', '{"model":"m"}', '{"model":"m","messages":[]}', '{"model":"m","messages":"x"}']) {
        assertOpenAiError(await post(raw), 400);
    }
});

test('unknown paths and methods under /v1 have OpenAI\'s shape', async () => {
    assertOpenAiError(await server.json('GET', '/v1/nothing'), 404);
    assertOpenAiError(await server.json('GET', '/v1/chat/completions'), 405);
});

test('models', async () => {
    const models = [];
    for await (const model of client.models.list()) {
        assert.equal(model.object, 'model');
        models.push(model.id);
    }
    assert.ok(models.includes('gpt-4o'));
    assert.equal((await client.models.retrieve('gpt-4o')).id, 'gpt-4o');
    await assert.rejects(client.models.retrieve('no-such-model'), OpenAI.NotFoundError);
});

test('without a model the embedded responder answers', async () => {
    const reply = await sdk(keyless).chat.completions.create(body('Hello'));
    assert.ok(reply.choices[0].message.content.length > 0);
});

test('LLM_PROVIDER=demo serves the SDK too', async () => {
    const offline = sdk(demo);
    const whole = await offline.chat.completions.create(body('Hello'));
    assert.ok(whole.choices[0].message.content.length > 0);
    const streamed = await text(await offline.chat.completions.create(body('Hello', { stream: true })));
    assert.equal(streamed, whole.choices[0].message.content);
    const models = [];
    for await (const model of offline.models.list()) {
        models.push(model.id);
    }
    assert.ok(models.length > 0);
});

test('when the client goes away the upstream call is closed at once', async () => {
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'one two three', holdAfter: 1, gate: hold.promise });
    const stream = await client.chat.completions.create(body('x', { stream: true }));
    for await (const chunk of stream) {
        if (chunk.choices[0]?.delta?.content) {
            break;
        }
    }
    assert.equal((await (await upstream.request(1)).ended).closedEarly, true);
    hold.open();
});

test('nothing is stored', async () => {
    assert.deepEqual((await server.json('GET', '/api/conversations')).body, []);
});
