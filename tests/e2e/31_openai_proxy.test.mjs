// Dialect 001: POST /api/chat with messages, an event stream copied from the upstream.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { failures, gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { parseEvents } from './support/sse.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const proxy = await startServer({ after }, { env: { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' } });
const keyless = await startServer({ after });
const demo = await startServer({ after }, { env: { LLM_PROVIDER: 'demo' } });

const HEADERS = { accept: 'text/event-stream', 'cache-control': 'no-cache' };
const ask = (content, more = {}, server = proxy) =>
    server.json('POST', '/api/chat', { messages: [{ role: 'user', content }], ...more }, HEADERS);

/** What the front end makes of the stream: the text, and whether [DONE] came. */
function readStream(text) {
    const events = parseEvents(text).map((event) => event.data);
    const done = events.at(-1) === '[DONE]';
    const chunks = (done ? events.slice(0, -1) : events).map((data) => JSON.parse(data));
    return { chunks, done, text: chunks.map((chunk) => chunk.choices?.[0]?.delta?.content ?? '').join('') };
}

test('streams the reply', async () => {
    upstream.forget();
    const response = await ask('Hello, how are you?');
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
    assert.equal(response.headers.get('cache-control'), 'no-cache');
    assert.equal(response.headers.get('x-accel-buffering'), 'no');
    const { text, done } = readStream(response.text);
    assert.equal(text, 'You said: Hello, how are you?');
    assert.equal(done, true);
    const sent = (await upstream.request(1)).body;
    assert.equal(sent.model, 'gpt-4o');
    assert.equal(sent.max_tokens ?? sent.max_completion_tokens, 1000);
    assert.equal(sent.stream, true);
    assert.deepEqual(sent.messages, [{ role: 'user', content: 'Hello, how are you?' }]);
});

test('model, limit and unknown members reach the upstream', async () => {
    upstream.forget();
    await ask('x', { model: 'gpt-4', max_tokens: 7, temperature: 0.2, metadata: { a: ['b'] } });
    const sent = (await upstream.request(1)).body;
    assert.equal(sent.model, 'gpt-4');
    assert.equal(sent.max_tokens, 7);
    assert.equal(sent.temperature, 0.2);
    assert.deepEqual(sent.metadata, { a: ['b'] });
});

test('every delta is passed on as it comes', async () => {
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'first second', holdAfter: 1, gate: hold.promise });
    const response = await proxy.fetch('/api/chat', {
        method: 'POST',
        headers: { ...HEADERS, 'content-type': 'application/json' },
        body: JSON.stringify({ messages: [{ role: 'user', content: 'x' }] }),
    });
    const decoder = new TextDecoder();
    let seen = '';
    for await (const chunk of response.body) {
        seen += decoder.decode(chunk, { stream: true });
        if (seen.includes('first ')) {
            hold.open();
        }
    }
    assert.equal(readStream(seen).text, 'first second');
});

for (const unkind of ['[[split]]', '[[split=3]]', '[[crlf]]', '[[comments]]', '[[nodone]]', '[[crlf]] [[split=2]]']) {
    test(`text is exact with ${unkind}`, async () => {
        const { text } = readStream((await ask(`${unkind} Zürich, 世界 🌍`)).text);
        assert.equal(text, 'You said: Zürich, 世界 🌍');
    });
}

test('a huge line passes', async () => {
    assert.equal(readStream((await ask('[[huge=500000]]')).text).text.length, 500000);
});

test('errors are plain text', async () => {
    const post = (body, server = proxy, type = 'application/json') =>
        server.fetch('/api/chat', { method: 'POST', headers: { ...HEADERS, 'content-type': type }, body });
    const expect = async (response, status, text) => {
        assert.equal(response.status, status);
        assert.match(response.headers.get('content-type'), /^text\/plain/);
        assert.equal(await response.text(), text);
    };
    await expect(await post(''), 400, 'Request body is required');
    for (const body of ['{"messages":[]}', '{"messages":"x"}', '{"messages":null}', '{}', 'not json', '[]']) {
        await expect(await post(body), 400, 'Messages array is required and cannot be empty');
    }
    await expect(
        await post('{"messages":[{"role":"user","content":"x"}]}', keyless),
        500,
        'OpenAI API key not configured',
    );
});

test('validation goes before the missing key', async () => {
    const response = await keyless.json('POST', '/api/chat', { messages: [] }, HEADERS);
    assert.equal(response.status, 400);
});

test('an upstream refusal is one event of one line on a 200, without [DONE]', async () => {
    for (const plan of [failures.badRequest(), failures.server(500), failures.quota()]) {
        upstream.forget();
        const pretty = JSON.stringify(JSON.parse(plan.body), null, 2);
        upstream.next({ ...plan, body: pretty });
        const response = await ask('x');
        assert.equal(response.status, 200);
        const events = parseEvents(response.text);
        assert.equal(events.length, 1, response.text);
        assert.equal(events[0].data.includes('\n'), false);
        assert.equal(JSON.parse(events[0].data).error.message, JSON.parse(plan.body).error.message);
        assert.doesNotMatch(response.text, /\[DONE\]/);
    }
});

test('an HTML error page becomes one line too', async () => {
    const response = await ask('[[html]]');
    assert.equal(response.status, 200);
    assert.equal(parseEvents(response.text).length, 1);
    assert.doesNotMatch(response.text, /\[DONE\]/);
});

test('a key in the upstream text does not reach the client', async () => {
    const response = await ask('[[badkey]] x');
    assert.doesNotMatch(response.text, new RegExp(upstream.key));
    assert.doesNotMatch(proxy.stderr + proxy.stdout, new RegExp(upstream.key));
});

test('an error in mid-stream is passed on, then the stream ends without [DONE]', async () => {
    const { chunks, done, text } = readStream((await ask('[[error=3]] one two three')).text);
    assert.equal(text, 'You said: one ');
    assert.ok(chunks.at(-1).error);
    assert.equal(done, false);
});

test('a cut upstream is told', async () => {
    const response = await ask('[[cut=3]] one two three').catch(() => null);
    if (response !== null) {
        const { done, text } = readStream(response.text);
        assert.equal(text, 'You said: one ');
        assert.equal(done, false);
    }
});

test('when the client stops, the upstream call is closed at once', async () => {
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'first second third', holdAfter: 1, gate: hold.promise });
    const controller = new AbortController();
    const response = await proxy.fetch('/api/chat', {
        method: 'POST',
        headers: { ...HEADERS, 'content-type': 'application/json' },
        body: JSON.stringify({ messages: [{ role: 'user', content: 'x' }] }),
        signal: controller.signal,
    });
    const reader = response.body.getReader();
    await reader.read();
    controller.abort();
    const { closedEarly } = await (await upstream.request(1)).ended;
    hold.open();
    assert.equal(closedEarly, true);
});

test('when the client stops before the first byte, too', async () => {
    upstream.forget();
    upstream.next({ hang: 'connection' });
    const controller = new AbortController();
    const pending = proxy.fetch('/api/chat', {
        method: 'POST',
        headers: { ...HEADERS, 'content-type': 'application/json' },
        body: JSON.stringify({ messages: [{ role: 'user', content: 'x' }] }),
        signal: controller.signal,
    });
    const seen = await upstream.request(1);
    controller.abort();
    await assert.rejects(pending);
    assert.equal((await seen.ended).closedEarly, true);
});

test('LLM_PROVIDER=demo streams word by word from the embedded responder', async () => {
    const response = await ask('Hello', {}, demo);
    const { text, done, chunks } = readStream(response.text);
    assert.equal(done, true);
    assert.ok(text.length > 0);
    assert.ok(chunks.length > 2);
});

test('nothing is stored', async () => {
    await ask('stateless');
    assert.deepEqual((await proxy.json('GET', '/api/conversations')).body, []);
});

test('the alias under /api/v1', async () => {
    const response = await proxy.json('POST', '/api/v1/chat', { messages: [{ role: 'user', content: 'v1' }] }, HEADERS);
    assert.equal(readStream(response.text).text, 'You said: v1');
});
