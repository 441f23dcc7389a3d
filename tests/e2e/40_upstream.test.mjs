// Outgoing calls: retries, Retry-After, breaker, bounded concurrency, deadlines, secrets.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { failures, gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';

const v1 = (content, more = {}) => ({ model: 'gpt-4o', messages: [{ role: 'user', content }], ...more });

/** An upstream and a server of the test's own. */
/** One loop: breakers, queues and their limits are each loop's own. */
async function pair(t, env = {}) {
    const upstream = await startUpstream({ key: 'sk-very-secret-key' });
    t.after(() => upstream.close());
    const server = await startServer(t, { env: { ...upstream.openaiEnv, THREADS: '1', ...env } });
    const complete = (content, more) => server.json('POST', '/v1/chat/completions', v1(content, more));
    return { upstream, server, complete };
}

test('5xx is retried before the first byte, twice by default', async (t) => {
    const { upstream, complete } = await pair(t);
    upstream.next(failures.server(500)).next(failures.html(502));
    const answer = await complete('third time lucky');
    assert.equal(answer.status, 200);
    assert.equal(upstream.requests.length, 3);
    assert.deepEqual(upstream.requests[0].body, upstream.requests[2].body);
});

test('after the last retry the failure is told', async (t) => {
    const { upstream, complete } = await pair(t, { UPSTREAM_RETRIES: '1' });
    upstream.always = failures.server(503);
    assert.equal((await complete('x')).status, 503);
    assert.equal(upstream.requests.length, 2);
});

test('retry-after-ms and Retry-After are obeyed', async (t) => {
    const { upstream, complete } = await pair(t);
    for (const [headers, wait] of [
        [{ 'retry-after-ms': '350' }, 350],
        [{ 'retry-after': '1' }, 1000],
    ]) {
        upstream.forget();
        upstream.next(failures.rateLimited(headers));
        assert.equal((await complete('x')).status, 200);
        const [first, second] = upstream.requests;
        assert.ok(second.at - first.at >= wait - 5, `waited ${second.at - first.at} ms instead of ${wait}`);
    }
});

test('insufficient_quota is never retried', async (t) => {
    const { upstream, complete } = await pair(t);
    upstream.always = failures.quota();
    const answer = await complete('x');
    assert.equal(answer.status, 429);
    assert.equal(answer.body.error.code, 'insufficient_quota');
    assert.equal(upstream.requests.length, 1);
});

test('4xx is not retried, unless x-should-retry says so; and the other way round', async (t) => {
    const { upstream, complete } = await pair(t);
    upstream.always = failures.badRequest();
    assert.equal((await complete('x')).status, 400);
    assert.equal(upstream.requests.length, 1);
    upstream.forget();
    upstream.next({ ...failures.badRequest(), headers: { 'x-should-retry': 'true' } });
    assert.equal((await complete('x')).status, 200);
    assert.equal(upstream.requests.length, 2);
    upstream.forget();
    upstream.always = { ...failures.server(500), headers: { 'x-should-retry': 'false' } };
    assert.equal((await complete('x')).status, 500);
    assert.equal(upstream.requests.length, 1);
});

test('nothing is retried once a byte of the stream came', async (t) => {
    const { upstream, complete } = await pair(t);
    upstream.next({ text: 'one two three', cutAfter: 1 });
    await complete('x', { stream: true }).catch(() => {});
    assert.equal(upstream.requests.length, 1);
});

test('a cut before the first byte is retried', async (t) => {
    const { upstream, server, complete } = await pair(t);
    let refused = 0;
    upstream.server.prependListener('request', (_, res) => {
        if (refused++ === 0) {
            res.destroy();
        }
    });
    assert.equal((await complete('x')).status, 200);
    assert.ok(server.url);
});

test('many failures in a row open the breaker: 503 with Retry-After, and no call; then one may try', async (t) => {
    const { upstream, complete } = await pair(t, {
        UPSTREAM_RETRIES: '0',
        UPSTREAM_BREAKER_FAILURES: '3',
        UPSTREAM_BREAKER_OPEN: '1s',
    });
    upstream.always = failures.server(500);
    for (let i = 0; i < 3; i++) {
        assert.equal((await complete('x')).status, 500);
    }
    const open = await complete('x');
    assert.equal(open.status, 503);
    assert.ok(Number(open.headers.get('retry-after')) >= 1);
    assert.equal(upstream.requests.length, 3);
    upstream.always = {};
    for (;;) {
        const answer = await complete('x');
        if (answer.status === 200) {
            break;
        }
        assert.equal(answer.status, 503);
    }
    assert.equal((await complete('x')).status, 200);
});

test('refusals of the request do not open the breaker', async (t) => {
    const { upstream, complete } = await pair(t, { UPSTREAM_RETRIES: '0', UPSTREAM_BREAKER_FAILURES: '2' });
    upstream.always = failures.badRequest();
    for (let i = 0; i < 5; i++) {
        assert.equal((await complete('x')).status, 400);
    }
    upstream.always = {};
    assert.equal((await complete('x')).status, 200);
});

test('calls beyond the concurrency wait, beyond the queue get 503 with Retry-After', async (t) => {
    const { upstream, complete } = await pair(t, { UPSTREAM_CONCURRENCY: '2', UPSTREAM_QUEUE: '1', UPSTREAM_RETRIES: '0' });
    const hold = gate();
    upstream.always = { text: 'done', holdAfter: 0, gate: hold.promise };
    const running = [complete('1'), complete('2')];
    await upstream.request(2);
    const outcome = [complete('3'), complete('4'), complete('5')];
    const refused = await Promise.any(outcome.map((p) => p.then((r) => (r.status === 503 ? r : Promise.reject()))));
    assert.ok(Number(refused.headers.get('retry-after')) >= 1);
    assert.equal(upstream.requests.length, 2, 'the waiting one has not been sent');
    hold.open();
    const statuses = (await Promise.all([...running, ...outcome])).map((r) => r.status).sort();
    assert.deepEqual(statuses, [200, 200, 200, 503, 503]);
    assert.equal(upstream.requests.length, 3);
});

test('waiting too long in the queue is 503', async (t) => {
    const { upstream, complete } = await pair(t, { UPSTREAM_CONCURRENCY: '1', UPSTREAM_QUEUE_TIMEOUT: '200ms' });
    const hold = gate();
    upstream.always = { text: 'done', holdAfter: 0, gate: hold.promise };
    const first = complete('1');
    await upstream.request(1);
    assert.equal((await complete('2')).status, 503);
    hold.open();
    assert.equal((await first).status, 200);
});

test('an upstream that never answers: 504 after the first-byte deadline, and the call is closed', async (t) => {
    const { upstream, complete } = await pair(t, { UPSTREAM_FIRST_BYTE_TIMEOUT: '300ms', UPSTREAM_RETRIES: '0' });
    upstream.next({ hang: 'connection' });
    assert.equal((await complete('x')).status, 504);
    assert.equal((await (await upstream.request(1)).ended).closedEarly, true);
});

test('a reply that takes too long in all is ended', async (t) => {
    const { upstream, server } = await pair(t, { UPSTREAM_TOTAL_TIMEOUT: '400ms', UPSTREAM_RETRIES: '0' });
    upstream.next({ hang: 'headers' });
    const response = await server.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(v1('x', { stream: true })),
    });
    await response.text().catch(() => {});
    assert.equal((await (await upstream.request(1)).ended).closedEarly, true);
});

test('an upstream that is not there', async (t) => {
    const gone = await startUpstream();
    const env = gone.openaiEnv;
    await gone.close();
    const server = await startServer(t, { env: { ...env, UPSTREAM_RETRIES: '0' } });
    const answer = await server.json('POST', '/v1/chat/completions', v1('x'));
    assert.ok([502, 503].includes(answer.status));
    assert.equal(typeof answer.body.error.message, 'string');
    const chat = await server.json('POST', '/api/chat', { message: 'x', conversationId: null });
    assert.match(chat.body.message.content, /^I apologize/);
    const aimcs = await server.json('POST', '/api/chat', { message: 'x', context: {} });
    assert.equal(aimcs.body.message, 'Echo (AI failed): x');
    assert.equal((await server.json('GET', '/health/live')).status, 200);
});

test('connections are reused', async (t) => {
    const { upstream, complete } = await pair(t);
    for (let i = 0; i < 20; i++) {
        assert.equal((await complete(`${i}`)).status, 200);
        assert.ok((await complete(`${i}`, { stream: true })).text.includes('[DONE]'));
    }
    assert.ok(upstream.connections <= 2, `${upstream.connections} connections`);
});

test('the key is in no log and in no answer, whatever the upstream says', async (t) => {
    const { upstream, server, complete } = await pair(t, { LOG_LEVEL: 'debug', UPSTREAM_RETRIES: '0' });
    const answers = [];
    for (const plan of [failures.badKey(upstream.key), failures.badRequest(`bad ${upstream.key}`)]) {
        upstream.next(plan);
        answers.push((await complete('x')).text);
        upstream.next(plan);
        answers.push((await complete('x', { stream: true })).text);
        upstream.next(plan);
        answers.push((await server.json('POST', '/api/chat', { message: 'x', context: {} })).text);
        upstream.next(plan);
        answers.push((await server.json('POST', '/api/chat', { message: 'x', conversationId: null })).text);
        upstream.next(plan);
        answers.push((await server.json('POST', '/api/chat', { messages: v1('x').messages })).text);
    }
    answers.push((await server.json('GET', '/metrics')).text, (await server.json('GET', '/openapi.json')).text);
    for (const text of [...answers, server.stderr, server.stdout]) {
        assert.ok(!text.includes('sk-very-secret-key'), text.slice(0, 500));
    }
});

test('a slow reader slows the upstream down: memory stays bounded', async (t) => {
    const { upstream, server } = await pair(t);
    upstream.next({ tokens: Array.from({ length: 4000 }, () => 'x'.repeat(16 * 1024)) });
    const response = await server.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(v1('x', { stream: true })),
    });
    const reader = response.body.getReader();
    await reader.read();
    const seen = await upstream.request(1);
    let before;
    do {
        before = seen.sent;
        await new Promise((resolve) => setTimeout(resolve, 200));
    } while (seen.sent !== before);
    assert.ok(seen.sent < 4000, 'the upstream was held back');
    let bytes = 0;
    for (;;) {
        const { done, value } = await reader.read();
        if (done) {
            break;
        }
        bytes += value.length;
    }
    assert.ok(bytes > 4000 * 16 * 1024 - 100000);
    assert.equal((await seen.ended).closedEarly, false);
});
