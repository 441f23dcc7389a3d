// The stand-in upstream, proven by the official SDK before anything is tested against it.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import OpenAI, { AzureOpenAI } from 'openai';
import { failures, gate, startUpstream } from '../fake/upstream.mjs';

const upstream = await startUpstream();
after(() => upstream.close());

const client = new OpenAI({ apiKey: upstream.key, baseURL: `${upstream.url}/v1`, maxRetries: 0 });
const ask = (content, more = {}) =>
    client.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content }], ...more });

async function collect(stream) {
    let text = '';
    const chunks = [];
    for await (const chunk of stream) {
        chunks.push(chunk);
        text += chunk.choices[0]?.delta?.content ?? '';
    }
    return { text, chunks };
}

test('answers whole', async () => {
    const reply = await ask('Hello there');
    assert.equal(reply.choices[0].message.content, 'You said: Hello there');
    assert.equal(reply.choices[0].finish_reason, 'stop');
    assert.ok(reply.usage.total_tokens > 0);
});

test('streams word by word, with usage when asked', async () => {
    const { text, chunks } = await collect(
        await ask('one two', { stream: true, stream_options: { include_usage: true } }),
    );
    assert.equal(text, 'You said: one two');
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.equal(chunks.at(-1).usage.completion_tokens, 4);
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
});

for (const unkind of ['[[split]]', '[[split=3]]', '[[crlf]]', '[[comments]]', '[[crlf]] [[comments]] [[split=2]]']) {
    test(`text arrives exactly with ${unkind}`, async () => {
        const { text } = await collect(await ask(`${unkind} Grüße, 世界 🌍!`, { stream: true }));
        assert.equal(text, 'You said: Grüße, 世界 🌍!');
    });
}

test('without [DONE] the text is still whole', async () => {
    const { text } = await collect(await ask('[[nodone]] abc', { stream: true }));
    assert.equal(text, 'You said: abc');
});

test('an error event ends the stream as a failure', async () => {
    await assert.rejects(async () => collect(await ask('[[error=2]] abc def', { stream: true })), /stumbled/);
});

test('a cut connection is a failure', async () => {
    await assert.rejects(async () => collect(await ask('[[cut=2]] abc def', { stream: true })));
});

test('failures have the official shapes', async () => {
    const status = async (plan) => {
        upstream.next(plan);
        return ask('x').then(
            () => assert.fail('must fail'),
            (error) => error,
        );
    };
    const limited = await status(failures.rateLimited({ 'retry-after-ms': '350' }));
    assert.ok(limited instanceof OpenAI.RateLimitError);
    assert.equal(limited.code, 'rate_limit_exceeded');
    assert.equal(limited.headers.get('retry-after-ms'), '350');
    assert.equal((await status(failures.quota())).code, 'insufficient_quota');
    assert.ok((await status(failures.server(500))) instanceof OpenAI.InternalServerError);
    assert.equal((await status(failures.html(502))).status, 502);
    assert.ok((await status(failures.badKey('sk-secret'))) instanceof OpenAI.AuthenticationError);
    assert.ok((await status(failures.badRequest())) instanceof OpenAI.BadRequestError);
});

test('the SDK itself retries after retry-after-ms', async () => {
    const retrying = new OpenAI({ apiKey: upstream.key, baseURL: `${upstream.url}/v1`, maxRetries: 1 });
    const before = upstream.requests.length;
    upstream.next(failures.rateLimited({ 'retry-after-ms': '20' }));
    const reply = await retrying.chat.completions.create({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: 'again' }],
    });
    assert.equal(reply.choices[0].message.content, 'You said: again');
    assert.equal(upstream.requests.length, before + 2);
});

test('tool calls come interleaved and add up', async () => {
    const stream = client.chat.completions.stream({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: '[[tools]] weather and time' }],
        tools: [
            { type: 'function', function: { name: 'get_weather', parameters: {} } },
            { type: 'function', function: { name: 'get_time', parameters: {} } },
        ],
    });
    const reply = await stream.finalChatCompletion();
    const calls = reply.choices[0].message.tool_calls;
    assert.deepEqual(
        calls.map((call) => [call.id, call.function.name, JSON.parse(call.function.arguments)]),
        [
            ['call_1', 'get_weather', { city: 'Zürich' }],
            ['call_2', 'get_time', { zone: 'Europe/Zurich' }],
        ],
    );
    assert.equal(reply.choices[0].finish_reason, 'tool_calls');
});

test('a huge line arrives', async () => {
    const { text } = await collect(await ask('[[huge=300000]]', { stream: true }));
    assert.equal(text.length, 300000);
});

test('lists models', async () => {
    const models = [];
    for await (const model of client.models.list()) {
        models.push(model.id);
    }
    assert.ok(models.includes('gpt-4o'));
});

test('a wrong key is refused and named', async () => {
    const wrong = new OpenAI({ apiKey: 'sk-wrong', baseURL: `${upstream.url}/v1`, maxRetries: 0 });
    await assert.rejects(
        wrong.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'x' }] }),
        /401.*sk-wrong/,
    );
});

test('Azure: deployment path, api-version, api-key, first chunk without choices', async () => {
    const azure = new AzureOpenAI({
        endpoint: upstream.url,
        apiKey: upstream.key,
        apiVersion: '2024-10-21',
        deployment: 'o4-mini',
        maxRetries: 0,
    });
    const messages = [{ role: 'user', content: 'hello azure' }];
    const { text, chunks } = await collect(
        await azure.chat.completions.create({ model: 'o4-mini', messages, stream: true }),
    );
    assert.equal(text, 'You said: hello azure');
    assert.deepEqual(chunks[0].choices, []);
    const seen = upstream.requests.at(-1);
    assert.equal(seen.path, '/openai/deployments/o4-mini/chat/completions');
    assert.equal(seen.query['api-version'], '2024-10-21');
    assert.equal(seen.headers['api-key'], upstream.key);
});

test('Azure v1 path', async () => {
    const v1 = new OpenAI({ apiKey: upstream.key, baseURL: `${upstream.url}/openai/v1`, maxRetries: 0 });
    const reply = await v1.chat.completions.create({ model: 'o4-mini', messages: [{ role: 'user', content: 'v1' }] });
    assert.equal(reply.choices[0].message.content, 'You said: v1');
});

test('sees that a client went away, and can hold a stream until let go', async () => {
    const hold = gate();
    const nth = upstream.requests.length + 1;
    upstream.next({ text: 'first second third', holdAfter: 1, gate: hold.promise });
    const stream = await ask('x', { stream: true });
    for await (const chunk of stream) {
        if (chunk.choices[0].delta.content === 'first ') {
            break;
        }
    }
    const seen = await upstream.request(nth);
    const { closedEarly } = await seen.ended;
    hold.open();
    assert.equal(closedEarly, true);
    assert.equal(seen.sent, 1);
});

test('never answering is closed by the client', async () => {
    const nth = upstream.requests.length + 1;
    const controller = new AbortController();
    const pending = client.chat.completions.create(
        { model: 'm', messages: [{ role: 'user', content: '[[hang]]' }] },
        { signal: controller.signal },
    );
    const seen = await upstream.request(nth);
    controller.abort();
    await assert.rejects(pending);
    assert.equal((await seen.ended).closedEarly, true);
});
