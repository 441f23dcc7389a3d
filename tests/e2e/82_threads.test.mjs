// Several loops in one process: a conversation lives on one of them, its clients on any.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { RawClient, get, request } from './support/raw.mjs';
import { startServer } from './support/server.mjs';
import { JsonSocket } from './support/socket.mjs';
import { EventStream, parseEvents } from './support/sse.mjs';

const LOOPS = 3;
const upstream = await startUpstream();
after(() => upstream.close());
const env = { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0', THREADS: String(LOOPS), ACCESS_LOG: 'off' };
const server = await startServer({ after }, { env });

const NEW = { connection: 'close' };
const create = async (at = server) => (await at.json('POST', '/api/conversations', { title: 'x' }, NEW)).body.id;
const say = (id, message, at = server) =>
    at.json('POST', '/api/chat', { message, conversationId: id }, NEW).then((response) => response.body);
const stored = async (id, at = server) => (await at.json('GET', `/api/conversations/${id}`, undefined, NEW)).body.messages;
const eventsUrl = (id, at = server) => `${at.url}/api/conversations/${id}/events`;

/** Connections until every loop has surely got some: the kernel spreads them by the client's port. */
async function spread(open) {
    const opened = [];
    for (let i = 0; i < 8 * LOOPS; i++) {
        opened.push(await open());
    }
    return opened;
}

const textOf = (events) =>
    events
        .filter((event) => event.event === 'delta')
        .map((event) => event.data.text)
        .join('');

test('followers on every loop get the same events, as SSE and over sockets', async (t) => {
    const id = await create();
    const streams = await spread(() => EventStream.open(eventsUrl(id), { headers: NEW }));
    const sockets = await spread(() => JsonSocket.open(`${server.wsUrl}/ws/audio`));
    t.after(() => Promise.all([...streams.map((s) => s.close()), ...sockets.map((s) => s.close())]));
    await Promise.all(streams.map((stream) => stream.expect('reset')));
    for (const socket of sockets) {
        await socket.expect('connection');
        await socket.ask({ type: 'resume', conversationId: id }, 'reset');
    }
    const answer = await say(id, '[[words=200]]');
    const seen = await Promise.all(streams.map((stream) => stream.until('reply_finished')));
    for (const events of seen) {
        assert.deepEqual(events, seen[0]);
    }
    assert.equal(textOf(seen[0]), answer.message.content);
    for (const socket of sockets) {
        const events = await socket.collect((message) => message.event === 'reply_finished');
        const text = events.filter((e) => e.event === 'delta').map((e) => e.text);
        assert.equal(text.join(''), answer.message.content);
        assert.deepEqual(
            events.map((e) => e.id),
            seen[0].map((e) => e.id),
        );
    }
});

test('a turn is cancelled from any loop, and all hear of it', async (t) => {
    for (let round = 0; round < 6; round++) {
        const id = await create();
        const hold = gate();
        upstream.next({ text: 'one two three', holdAfter: 1, gate: hold.promise });
        const stream = await EventStream.open(eventsUrl(id), { headers: NEW });
        t.after(() => stream.close());
        const pending = say(id, 'x');
        await stream.until('delta');
        const { body } = await server.json('POST', `/api/conversations/${id}/cancel`, undefined, NEW);
        assert.equal(body.cancelled, true);
        await stream.until('reply_finished').catch(() => {});
        await pending;
        hold.open();
        assert.equal((await stored(id))[1].content, 'one ');
    }
});

test('a conversation is deleted from any loop while a turn runs: followers are told and let go', async () => {
    for (let round = 0; round < 6; round++) {
        const id = await create();
        const hold = gate();
        upstream.next({ text: 'one two three', holdAfter: 1, gate: hold.promise });
        const streams = await Promise.all(
            Array.from({ length: 6 }, () => EventStream.open(eventsUrl(id), { headers: NEW })),
        );
        const pending = say(id, 'x').catch(() => {});
        await streams[0].until('delta');
        const { status } = await server.json('DELETE', `/api/conversations/${id}`, undefined, NEW);
        assert.ok(status < 300, String(status));
        for (const stream of streams) {
            await stream.until('deleted');
            assert.equal(await stream.next(), undefined);
        }
        hold.open();
        await pending;
        assert.equal((await server.json('GET', `/api/conversations/${id}`, undefined, NEW)).status, 404);
    }
});

/** The bytes of an event stream up to where the client hangs up; only whole events count. */
async function readUntilCut(id, lastEventId, enough) {
    const client = await RawClient.connect(server.port);
    const headers = { Accept: 'text/event-stream', ...(lastEventId ? { 'Last-Event-ID': lastEventId } : {}) };
    await client.write(get(`/api/conversations/${id}/events`, headers));
    const head = await client.head();
    assert.equal(head.status, 200);
    let text = '';
    let cut = false;
    while (!cut && !text.includes('event: reply_finished')) {
        const chunk = await client.chunk();
        assert.ok(chunk.length > 0, 'the stream has no end of its own');
        text += chunk.toString();
        cut = text.length > enough;
    }
    client.close();
    const whole = text.slice(0, text.lastIndexOf('\n\n') + 2);
    return parseEvents(whole)
        .filter((event) => event.data !== undefined)
        .map((event) => ({ ...event, data: JSON.parse(event.data) }));
}

/** Follows a whole turn with random hang-ups: { text, ids, cuts }. */
async function followBrokenly(id, first, random) {
    let last = first;
    let cuts = -1;
    const ids = [];
    let text = '';
    for (let over = false; !over; cuts++) {
        const events = await readUntilCut(id, last, Math.floor(random() * 2500));
        for (const event of events) {
            assert.notEqual(event.event, 'reset', 'the log still has what was missed');
            ids.push(event.id);
            last = event.id;
            text += event.event === 'delta' ? event.data.text : '';
            over ||= event.event === 'reply_finished';
        }
        await breathe();
    }
    return { text, ids, cuts };
}

/** Random numbers that are the same in every run. */
function generator(seed) {
    let state = seed;
    return () => {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
        return state / 0x80000000;
    };
}

test('a thousand hang-ups while replies stream: resumed with Last-Event-ID nothing is lost, doubled or moved', async (t) => {
    let cuts = 0;
    let round = 0;
    while (cuts < 1000) {
        // replies that trickle in and ones that come at once take turns
        const id = await create();
        const stream = await EventStream.open(eventsUrl(id), { headers: NEW });
        const { id: start } = await stream.expect('reset');
        upstream.next({ tokens: Array.from({ length: 400 }, (_, i) => `w${i} `), delay: 1 - (round % 2) });
        const pending = say(id, 'go');
        const followers = await Promise.all(
            Array.from({ length: 8 }, (_, i) => followBrokenly(id, start, generator(1 + round * 8 + i))),
        );
        const whole = await stream.until('reply_finished');
        stream.close();
        const answer = await pending;
        const [, reply] = await stored(id);
        assert.equal(reply.content, answer.message.content);
        assert.equal(textOf(whole), reply.content);
        for (const follower of followers) {
            assert.equal(follower.text, reply.content);
            assert.deepEqual(
                follower.ids,
                whole.map((event) => event.id),
            );
            cuts += follower.cuts;
        }
        round++;
    }
    t.diagnostic(`${cuts} hang-ups in ${round} turns`);
});

test('SIGTERM with turns on every loop: they end, are stored, and the end is not held up', async (t) => {
    const own = await startServer(t, { env });
    const hold = gate();
    const count = 12;
    const before = upstream.requests.length;
    upstream.always = { text: 'one two three', holdAfter: 1, gate: hold.promise };
    t.after(() => upstream.forget());
    const ids = await Promise.all(Array.from({ length: count }, () => create(own)));
    const streams = await Promise.all(ids.map((id) => EventStream.open(eventsUrl(id, own), { headers: NEW })));
    const pending = ids.map((id) => say(id, 'x', own));
    await upstream.request(before + count);
    await Promise.all(streams.map((stream) => stream.until('delta')));
    const started = performance.now();
    own.child.kill('SIGTERM');
    await own.logged(/event=draining/);
    hold.open();
    for (const stream of streams) {
        await stream.until('reply_finished');
        assert.equal(await stream.next(), undefined);
    }
    for (const answer of await Promise.all(pending)) {
        assert.equal(answer.message.content, 'one two three');
    }
    assert.equal((await own.exited).code, 0);
    assert.ok(performance.now() - started < 9000, 'well before DRAIN_TIMEOUT');
    await own.start();
    for (const id of ids) {
        const [, reply] = await stored(id, own);
        assert.equal(reply.content, 'one two three');
        assert.equal(reply.status, 'complete');
    }
});

test('while draining, a request on one loop still reaches a conversation on another', async (t) => {
    const own = await startServer(t, { env });
    const body = '{"x":1}';
    for (let round = 0; round < 6; round++) {
        const id = await create(own);
        const upload = await RawClient.connect(own.port);
        const head = { 'Content-Length': body.length, 'Content-Type': 'application/json', Expect: '100-continue' };
        const begun = await upload.request(request('POST', `/api/conversations/${id}/cancel`, head));
        assert.equal(begun.status, 100, 'the request has begun');
        const idle = await spread(() => RawClient.connect(own.port));
        const started = performance.now();
        own.child.kill('SIGTERM');
        await Promise.all(idle.map((client) => client.closed()));
        await sleep(30); // for loops that would leave now
        const response = await upload.request(body);
        assert.equal(response.status, 200);
        assert.equal(response.body.cancelled, false);
        assert.equal(response.headers.connection, 'close');
        assert.equal((await own.exited).code, 0);
        assert.ok(performance.now() - started < 9000, 'well before DRAIN_TIMEOUT');
        await own.start();
    }
});

test('a second SIGTERM ends turns on every loop at once; what was said is kept', async (t) => {
    const own = await startServer(t, { env });
    const hold = gate();
    const count = 9;
    const before = upstream.requests.length;
    upstream.always = { text: 'one two three', holdAfter: 1, gate: hold.promise };
    t.after(() => upstream.forget());
    const ids = await Promise.all(Array.from({ length: count }, () => create(own)));
    const streams = await Promise.all(ids.map((id) => EventStream.open(eventsUrl(id, own), { headers: NEW })));
    const pending = ids.map((id) => say(id, 'x', own).catch(() => {}));
    await upstream.request(before + count);
    await Promise.all(streams.map((stream) => stream.until('delta')));
    const started = performance.now();
    own.child.kill('SIGTERM');
    await own.logged(/event=draining/);
    own.child.kill('SIGTERM');
    assert.equal((await own.exited).code, 0);
    assert.ok(performance.now() - started < 9000, 'well before DRAIN_TIMEOUT');
    await Promise.all(pending);
    hold.open();
    streams.forEach((stream) => stream.close());
    await own.start();
    for (const id of ids) {
        const [, reply] = await stored(id, own);
        assert.equal(reply.content, 'one ');
        assert.equal(reply.status, 'interrupted');
    }
});

test('reloads while every loop is busy', async (t) => {
    const own = await startServer(t, { env });
    const before = [...own.stderr.matchAll(/event=reloaded/g)].length;
    const busy = Array.from({ length: 6 }, async () => {
        for (let i = 0; i < 40; i++) {
            const { status } = await own.json('POST', '/api/chat', { message: `m${i}`, conversationId: null }, NEW);
            assert.equal(status, 200);
            assert.equal((await own.json('GET', '/metrics', undefined, NEW)).status, 200);
        }
    });
    for (let i = 1; i <= 20; i++) {
        own.child.kill('SIGHUP');
        await own.logged(new RegExp(`(event=reloaded[^]*){${before + i}}`));
    }
    await Promise.all(busy);
});
