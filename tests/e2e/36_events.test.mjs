// GET /api/conversations/:id/events: what happens in a conversation, resumable; and cancelling a turn.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { EVENT_ID, assertConversation, assertMessage } from './support/shapes.mjs';
import { EventStream } from './support/sse.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const server = await startServer({ after }, { env: { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' } });

const create = async () => (await server.json('POST', '/api/conversations', { title: 'x' })).body.id;
const say = (conversationId, message) => server.json('POST', '/api/chat', { message, conversationId });
const follow = async (t, id, options) => {
    const stream = await EventStream.open(`${server.url}/api/conversations/${id}/events`, options);
    t.after(() => stream.close());
    return stream;
};
const textOf = (events) =>
    events
        .filter((event) => event.event === 'delta')
        .map((event) => event.data.text)
        .join('');

test('a follower gets a reset first, then the whole turn', async (t) => {
    const id = await create();
    const stream = await follow(t, id);
    assert.equal(stream.response.headers.get('cache-control'), 'no-cache');
    assert.equal(stream.response.headers.get('x-accel-buffering'), 'no');
    const reset = await stream.expect('reset');
    assertConversation(reset.data.conversation);
    assert.equal(reset.data.conversation.id, id);
    assert.equal(reset.data.running, undefined);
    assert.match(reset.id, EVENT_ID);

    const answer = await say(id, 'Which tram?');
    const message = await stream.expect('message');
    assert.equal(message.data.conversationId, id);
    assertMessage(message.data.message, 'user', id);
    assert.equal(message.data.message.content, 'Which tram?');
    const started = await stream.expect('reply_started');
    assert.equal(started.data.conversationId, id);
    const rest = await stream.until('reply_finished');
    assert.equal(textOf(rest), 'You said: Which tram?');
    assert.ok(rest.slice(0, -1).every((e) => e.data.messageId === started.data.messageId));
    const finished = rest.at(-1).data;
    assert.equal(finished.messageId, started.data.messageId);
    assert.equal(finished.finishReason, 'stop');
    assertMessage(finished.message, 'assistant', id);
    assert.equal(finished.message.status, 'complete');
    assert.equal(finished.message.content, 'You said: Which tram?');
    assert.equal(finished.messageId, answer.body.message.id);
    const ids = [reset, message, started, ...rest].map((event) => event.id);
    const epochs = new Set(ids.map((eventId) => eventId.split('-')[0]));
    assert.equal(epochs.size, 1);
    const offsets = ids.map((eventId) => Number(eventId.split('-')[1]));
    offsets.slice(1).forEach((offset, i) => assert.ok(offset > offsets[i], `${offset} behind ${offsets[i]}`));
});

test('many followers see the same events with the same ids', async (t) => {
    const id = await create();
    const streams = await Promise.all(Array.from({ length: 10 }, () => follow(t, id)));
    for (const stream of streams) {
        await stream.expect('reset');
    }
    await say(id, 'for all');
    const seen = await Promise.all(streams.map((stream) => stream.until('reply_finished')));
    for (const events of seen) {
        assert.deepEqual(events, seen[0]);
    }
});

test('who comes late gets what was said so far, then the rest', async (t) => {
    const id = await create();
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'one two three', holdAfter: 2, gate: hold.promise });
    const early = await follow(t, id);
    const answer = say(id, 'x');
    await early.until('delta');
    await early.expect('delta');
    const late = await follow(t, id);
    const reset = await late.expect('reset');
    assert.equal(reset.data.running.text, 'one two ');
    assert.equal(typeof reset.data.running.messageId, 'string');
    assert.equal(reset.data.conversation.messages[0].content, 'x');
    hold.open();
    const rest = await late.until('reply_finished');
    assert.equal(textOf(rest), 'three');
    assert.equal(rest.at(-1).data.messageId, reset.data.running.messageId);
    await answer;
});

test('Last-Event-ID: exactly what was missed, then the live stream', async (t) => {
    const id = await create();
    const whole = await follow(t, id);
    await whole.expect('reset');
    await say(id, 'first turn here');
    const all = await whole.until('reply_finished');
    for (let at = 0; at < all.length; at++) {
        const resumed = await follow(t, id, { lastEventId: all[at].id });
        const missed = [];
        for (let i = at + 1; i < all.length; i++) {
            missed.push(await resumed.next());
        }
        assert.deepEqual(missed, all.slice(at + 1));
        resumed.close();
    }
    const resumed = await follow(t, id, { lastEventId: all.at(-1).id });
    await say(id, 'second turn');
    assert.equal((await resumed.expect('message')).data.message.content, 'second turn');
    await resumed.until('reply_finished');
});

test('lastEventId as a query parameter works too', async (t) => {
    const id = await create();
    const whole = await follow(t, id);
    await whole.expect('reset');
    await say(id, 'hello');
    const all = await whole.until('reply_finished');
    const resumed = await EventStream.open(
        `${server.url}/api/conversations/${id}/events?lastEventId=${encodeURIComponent(all[0].id)}`,
    );
    t.after(() => resumed.close());
    assert.deepEqual(await resumed.next(), all[1]);
});

test('an id that cannot be replayed gives a reset', async (t) => {
    const id = await create();
    await say(id, 'hello');
    for (const lastEventId of ['deadbeef-3', 'deadbeef-99999999', 'nonsense', '-', `${'f'.repeat(200)}-1`]) {
        const stream = await follow(t, id, { lastEventId });
        const reset = await stream.expect('reset');
        assert.equal(reset.data.conversation.messages.length, 2);
        stream.close();
    }
});

test('reconnecting again and again in the middle of a reply loses and doubles nothing', async (t) => {
    const id = await create();
    const answer = say(id, '[[delay=2]] [[words=300]]');
    let stream = await follow(t, id);
    const reset = await stream.expect('reset');
    let text = reset.data.running?.text ?? '';
    const seen = new Set();
    for (let finished = false; !finished; ) {
        for (let i = 0; i < 7 && !finished; i++) {
            const event = await stream.next();
            assert.ok(!seen.has(event.id), `${event.id} twice`);
            seen.add(event.id);
            assert.notEqual(event.event, 'reset');
            text += event.event === 'delta' ? event.data.text : '';
            finished = event.event === 'reply_finished';
        }
        if (!finished) {
            stream.close();
            stream = await follow(t, id, { lastEventId: stream.lastEventId });
        }
    }
    assert.equal(text, (await answer).body.message.content);
});

test('heartbeats are comments', async (t) => {
    const quick = await startServer(t, { env: { SSE_HEARTBEAT: '100ms' } });
    const { id } = (await quick.json('POST', '/api/conversations', { title: 'x' })).body;
    const stream = await EventStream.open(`${quick.url}/api/conversations/${id}/events`);
    await stream.expect('reset');
    await stream.comment();
    await stream.comment();
    assert.deepEqual(stream.events, []);
    stream.close();
});

test('a failing model is told as reply_failed', async (t) => {
    const id = await create();
    const stream = await follow(t, id);
    await say(id, '[[status=500]] x');
    const failed = (await stream.until('reply_failed')).at(-1).data;
    assert.equal(typeof failed.messageId, 'string');
    assert.equal(typeof failed.code, 'string');
    assert.equal(typeof failed.error, 'string');
    assertMessage(failed.message, 'assistant', id);
    assert.equal(failed.message.status, 'failed');
});

test('cancel stops the running turn and its upstream call, what was said is kept', async (t) => {
    const id = await create();
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'one two three', holdAfter: 2, gate: hold.promise });
    const stream = await follow(t, id);
    const answer = say(id, 'x');
    await stream.until('delta');
    await stream.expect('delta');
    const cancelled = await server.json('POST', `/api/conversations/${id}/cancel`);
    assert.equal(cancelled.status, 200);
    assert.deepEqual(cancelled.body, { cancelled: true, conversationId: id });
    assert.equal((await (await upstream.request(1)).ended).closedEarly, true);
    hold.open();
    await answer;
    const { messages } = (await server.json('GET', `/api/conversations/${id}`)).body;
    assert.equal(messages[1].content, 'one two ');
    assert.equal(messages[1].status, 'interrupted');
    const again = await server.json('POST', `/api/conversations/${id}/cancel`);
    assert.deepEqual(again.body, { cancelled: false, conversationId: id });
});

test('after a cancel the next turn runs', async () => {
    const id = await create();
    upstream.forget();
    upstream.next({ hang: 'connection' });
    const first = say(id, 'x');
    await upstream.request(1);
    const second = say(id, 'next');
    await server.json('POST', `/api/conversations/${id}/cancel`);
    await first;
    assert.equal((await second).body.message.content, 'You said: next');
});

test('deleting a conversation ends its running turn and tells its followers', async (t) => {
    const id = await create();
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'one two', holdAfter: 1, gate: hold.promise });
    const stream = await follow(t, id);
    say(id, 'x').catch(() => {});
    await stream.until('delta');
    assert.equal((await server.json('DELETE', `/api/conversations/${id}`)).status, 200);
    assert.equal((await (await upstream.request(1)).ended).closedEarly, true);
    hold.open();
    while ((await stream.next()) !== undefined) {
        // the stream ends
    }
    assert.equal((await server.json('GET', `/api/conversations/${id}`)).status, 404);
});
