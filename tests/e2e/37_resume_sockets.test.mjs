// {"type":"resume"} on the raw sockets: follow a conversation, from an event on.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { EVENT_ID } from './support/shapes.mjs';
import { JsonSocket } from './support/socket.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const server = await startServer({ after }, { env: { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' } });

async function open(t, path) {
    const socket = await JsonSocket.open(server.wsUrl + path);
    t.after(() => socket.close());
    if (path !== '/ws') {
        await socket.expect('connection');
    }
    return socket;
}

/** A way to make a conversation and to say something in it, for each path. */
const DOORS = {
    '/ws/audio': {
        key: 'conversationId',
        create: async () => (await server.json('POST', '/api/conversations', { title: 'x' })).body.id,
        say: async (id, message) => server.json('POST', '/api/chat', { message, conversationId: id }),
    },
    '/ws': {
        key: 'chatId',
        create: async (t) => {
            const socket = await open(t, '/ws');
            return (await socket.ask({ type: 'CREATE_CHAT', payload: { name: 'x' } }, 'NEW_CHAT')).chat.id;
        },
        say: async (id, content, t) => {
            const socket = await open(t, '/ws');
            socket.send({ type: 'SEND_MESSAGE', payload: { chatId: id, content } });
            await socket.collect((frame) => frame.end);
        },
    },
};
DOORS['/'] = DOORS['/ws/audio'];

const until = (socket, name) => socket.collect((message) => message.event === name);
const text = (events) =>
    events
        .filter((e) => e.event === 'delta')
        .map((e) => e.text)
        .join('');

for (const [path, { key, create, say }] of Object.entries(DOORS)) {
    test(`${path}: without an event id: a reset, then every event`, async (t) => {
        const id = await create(t);
        const socket = await open(t, path);
        const reset = await socket.ask({ type: 'resume', [key]: id }, 'reset');
        assert.equal(reset.conversationId, id);
        assert.match(reset.lastEventId, EVENT_ID);
        assert.deepEqual(reset.messages, []);
        assert.equal(reset.running, undefined);
        await say(id, 'hello there', t);
        const events = await until(socket, 'reply_finished');
        assert.deepEqual(
            events.slice(0, 2).map((e) => [e.type, e.event]),
            [
                ['event', 'message'],
                ['event', 'reply_started'],
            ],
        );
        assert.ok(events.every((e) => e.type === 'event' && e.conversationId === id && EVENT_ID.test(e.id)));
        assert.equal(text(events), 'You said: hello there');
        assert.equal(events.at(-1).message.content, 'You said: hello there');
        assert.equal(events.at(-1).finishReason, 'stop');
    });

    test(`${path}: with an event id: what was missed, then the rest`, async (t) => {
        const id = await create(t);
        const first = await open(t, path);
        await first.ask({ type: 'resume', [key]: id }, 'reset');
        await say(id, 'hello', t);
        const all = await until(first, 'reply_finished');
        await first.close();
        await say(id, 'meanwhile', t);
        const second = await open(t, path);
        const resumed = await second.ask({ type: 'resume', [key]: id, lastEventId: all[2].id }, 'resumed');
        assert.equal(resumed.conversationId, id);
        assert.match(resumed.lastEventId, EVENT_ID);
        assert.ok(resumed.replayed > all.length - 3);
        const missed = await until(second, 'reply_finished');
        assert.deepEqual(missed, all.slice(3));
        const next = await until(second, 'reply_finished');
        assert.equal(text(next), 'You said: meanwhile');
        assert.equal(missed.length + next.length, resumed.replayed);
        await say(id, 'live', t);
        assert.equal(text(await until(second, 'reply_finished')), 'You said: live');
    });

    test(`${path}: an id that cannot be replayed gives a reset with the messages`, async (t) => {
        const id = await create(t);
        await say(id, 'hello', t);
        const socket = await open(t, path);
        const reset = await socket.ask({ type: 'resume', [key]: id, lastEventId: 'deadbeef-7' }, 'reset');
        assert.deepEqual(
            reset.messages.map((m) => [m.role, m.content]),
            [
                ['user', 'hello'],
                ['assistant', 'You said: hello'],
            ],
        );
    });

    test(`${path}: in the middle of a reply: what was said so far`, async (t) => {
        const id = await create(t);
        upstream.forget();
        const hold = gate();
        upstream.next({ text: 'one two three', holdAfter: 2, gate: hold.promise });
        const early = await open(t, path);
        await early.ask({ type: 'resume', [key]: id }, 'reset');
        const saying = say(id, 'x', t);
        await until(early, 'delta');
        await until(early, 'delta');
        const late = await open(t, path);
        const reset = await late.ask({ type: 'resume', [key]: id }, 'reset');
        assert.equal(reset.running.text, 'one two ');
        hold.open();
        assert.equal(text(await until(late, 'reply_finished')), 'three');
        await saying;
    });
}

test('resume without an id, or of a conversation that is not there', async (t) => {
    const socket = await open(t, '/ws/audio');
    await socket.ask({ type: 'resume' }, 'error');
    await socket.ask({ type: 'resume', conversationId: 'no-such-conversation' }, 'error');
    await socket.ask({ type: 'ping' }, 'pong');
    const pichat = await open(t, '/ws');
    pichat.send({ type: 'resume' });
    assert.match((await pichat.next()).type, /^error$/i);
    await pichat.ask({ type: 'GET_CHATS' }, 'CHAT_LIST');
});

test('resuming again on the same socket does not double events', async (t) => {
    const { create, say } = DOORS['/ws/audio'];
    const id = await create(t);
    const socket = await open(t, '/ws/audio');
    const first = await socket.ask({ type: 'resume', conversationId: id }, 'reset');
    socket.send({ type: 'resume', conversationId: id, lastEventId: first.lastEventId });
    assert.equal((await socket.next()).type, 'resumed');
    await say(id, 'once only', t);
    assert.equal(text(await until(socket, 'reply_finished')), 'You said: once only');
    await socket.ask({ type: 'ping' }, 'pong');
    assert.deepEqual(socket.messages, []);
});
