// Dialect 004: five commands on /ws, replies flat, deltas to the socket that asked.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { UUID } from './support/shapes.mjs';
import { JsonSocket } from './support/socket.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const server = await startServer({ after }, { env: { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' } });
const offline = await startServer({ after });

const LOCAL_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/;
const open = async (t, where = server) => {
    const socket = await JsonSocket.open(`${where.wsUrl}/ws`);
    t.after(() => socket.close());
    return socket;
};
const command = (type, payload) => ({ type, payload });
const newChat = async (socket, name) => (await socket.ask(command('CREATE_CHAT', { name }), 'NEW_CHAT')).chat;
const history = async (socket, chatId) =>
    (await socket.ask(command('GET_CHAT_HISTORY', { chatId }), 'CHAT_HISTORY')).messages;

/** Sends a message and takes the whole reply: { text, traceId, frames }. */
async function say(socket, chatId, content) {
    socket.send(command('SEND_MESSAGE', { chatId, content }));
    const frames = await socket.collect((frame) => frame.type !== 'MESSAGE' || frame.end);
    assert.ok(
        frames.every((frame) => frame.type === 'MESSAGE'),
        JSON.stringify(frames.at(-1)),
    );
    assert.equal(new Set(frames.map((frame) => frame.traceId)).size, 1);
    return { text: frames.map((frame) => frame.content).join(''), traceId: frames[0].traceId, frames };
}

test('GET / welcomes', async () => {
    const { status, body } = await server.json('GET', '/');
    assert.equal(status, 200);
    assert.deepEqual(body, { message: 'Welcome to PiChat API' });
});

test('a new socket hears nothing until it asks', async (t) => {
    const socket = await open(t);
    await socket.ask(command('GET_CHATS'), 'CHAT_LIST');
});

test('creates chats with a name or a dated one', async (t) => {
    const socket = await open(t);
    const chat = await newChat(socket, 'Kitchen');
    assert.match(chat.id, UUID);
    assert.equal(chat.name, 'Kitchen');
    assert.equal(chat.active, false);
    assert.match(chat.created_at, LOCAL_TIME);
    assert.match((await socket.ask({ type: 'CREATE_CHAT' }, 'NEW_CHAT')).chat.name, /^Chat \d{4}-\d\d-\d\d \d\d:\d\d$/);
});

test('lists chats, newest first', async (t) => {
    const socket = await open(t, await startServer(t));
    assert.deepEqual((await socket.ask(command('GET_CHATS'), 'CHAT_LIST')).chats, []);
    const made = [];
    for (const name of ['a', 'b', 'c']) {
        made.unshift(await newChat(socket, name));
    }
    await say(socket, made[2].id, 'a message does not change the order');
    assert.deepEqual((await socket.ask(command('GET_CHATS'), 'CHAT_LIST')).chats, made);
});

test('streams the reply as deltas and stores it under its trace id', async (t) => {
    const socket = await open(t);
    const chat = await newChat(socket, 'x');
    const { text, traceId, frames } = await say(socket, chat.id, 'Is the oven on?');
    assert.equal(text, 'You said: Is the oven on?');
    assert.match(traceId, UUID);
    assert.ok(frames.length > 3);
    assert.deepEqual(frames.at(-1), { type: 'MESSAGE', content: '', traceId, end: true });
    assert.ok(frames.slice(0, -1).every((frame) => frame.end === false && frame.content !== ''));
    const messages = await history(socket, chat.id);
    assert.deepEqual(
        messages.map((m) => [m.role, m.content, m.chat_id]),
        [
            ['user', 'Is the oven on?', chat.id],
            ['assistant', 'You said: Is the oven on?', chat.id],
        ],
    );
    assert.equal(messages[1].id, traceId);
    assert.ok(messages.every((m) => LOCAL_TIME.test(m.created_at)));
});

test('the history goes to the model, behind a short persona', async (t) => {
    const socket = await open(t);
    const chat = await newChat(socket, 'x');
    await say(socket, chat.id, 'first');
    upstream.forget();
    await say(socket, chat.id, 'second');
    const sent = (await upstream.request(1)).body;
    assert.equal(sent.messages[0].role, 'system');
    assert.match(sent.messages[0].content, /PiChat/);
    assert.deepEqual(
        sent.messages.slice(1).map((m) => [m.role, m.content]),
        [
            ['user', 'first'],
            ['assistant', 'You said: first'],
            ['user', 'second'],
        ],
    );
    assert.equal(sent.temperature, 0.7);
    assert.equal(sent.stream, true);
});

test('fields at top level are accepted, payload wins', async (t) => {
    const socket = await open(t);
    const { chat } = await socket.ask({ type: 'CREATE_CHAT', name: 'Flat' }, 'NEW_CHAT');
    assert.equal(chat.name, 'Flat');
    const both = await socket.ask({ type: 'CREATE_CHAT', name: 'Flat', payload: { name: 'Deep' } }, 'NEW_CHAT');
    assert.equal(both.chat.name, 'Deep');
    socket.send({ type: 'SEND_MESSAGE', chatId: chat.id, message: { content: 'Hello, world!', id: 'unique-1' } });
    const frames = await socket.collect((frame) => frame.end);
    assert.equal(frames.map((frame) => frame.content).join(''), 'You said: Hello, world!');
    const flat = await socket.ask({ type: 'GET_CHAT_HISTORY', chatId: chat.id }, 'CHAT_HISTORY');
    assert.equal(flat.messages.length, 2);
    assert.equal((await socket.ask({ type: 'DELETE_CHAT', chatId: chat.id }, 'CHAT_DELETED')).chatId, chat.id);
});

test('a repeated message.id is one message with one reply', async (t) => {
    const socket = await open(t);
    const chat = await newChat(socket, 'x');
    upstream.forget();
    const texts = [];
    for (let i = 0; i < 2; i++) {
        socket.send({ type: 'SEND_MESSAGE', chatId: chat.id, message: { content: 'once', id: 'same-id' } });
        const frames = await socket.collect((frame) => frame.end);
        texts.push([frames[0].traceId, frames.map((frame) => frame.content).join('')]);
    }
    assert.deepEqual(texts[0], texts[1]);
    assert.equal(upstream.requests.length, 1);
    assert.equal((await history(socket, chat.id)).length, 2);
});

test('an unknown chat id works', async (t) => {
    const socket = await open(t);
    assert.deepEqual(await history(socket, 'never-seen'), []);
    assert.equal((await say(socket, 'made-up-id', 'hello')).text, 'You said: hello');
    assert.equal((await history(socket, 'made-up-id')).length, 2);
});

test('deletes a chat with its messages, known or not', async (t) => {
    const socket = await open(t);
    const chat = await newChat(socket, 'x');
    await say(socket, chat.id, 'hello');
    const deleted = await socket.ask(command('DELETE_CHAT', { chatId: chat.id }), 'CHAT_DELETED');
    assert.deepEqual(deleted, { type: 'CHAT_DELETED', chatId: chat.id });
    assert.deepEqual(await history(socket, chat.id), []);
    const { chats } = await socket.ask(command('GET_CHATS'), 'CHAT_LIST');
    assert.ok(!chats.some((c) => c.id === chat.id));
    await socket.ask(command('DELETE_CHAT', { chatId: 'unknown' }), 'CHAT_DELETED');
});

test('what is missing is told', async (t) => {
    const socket = await open(t);
    const error = async (message) => (await socket.ask(message, 'ERROR')).error;
    assert.equal(await error(command('GET_CHAT_HISTORY', {})), 'Chat ID is required');
    assert.equal(await error(command('DELETE_CHAT', {})), 'Chat ID is required');
    assert.equal(await error(command('DELETE_CHAT')), 'Chat ID is required');
    for (const payload of [{}, { chatId: 'x' }, { content: 'x' }, { chatId: 'x', content: '' }, { chatId: '', content: 'x' }]) {
        assert.equal(await error(command('SEND_MESSAGE', payload)), 'Chat ID and message are required');
    }
});

test('unknown, missing and malformed commands are told, the socket stays open', async (t) => {
    const socket = await open(t);
    const message = async (value) => (await socket.ask(value, 'error')).payload.message;
    assert.equal(await message({ type: 'DANCE' }), 'Unknown action: DANCE');
    assert.equal(await message({}), 'No action found in message');
    assert.equal(await message({ payload: {} }), 'No action found in message');
    for (const wrong of ['not json', '[]', '"x"', 'null', '{"type":"GET_CHATS","payload":5}']) {
        assert.equal(typeof (await message(wrong)), 'string');
    }
    await socket.ask(command('GET_CHATS'), 'CHAT_LIST');
});

test('a failing model: ERROR, the user message stays stored', async (t) => {
    const socket = await open(t);
    const chat = await newChat(socket, 'x');
    for (const directive of ['[[status=500]]', '[[quota]]', '[[html]]']) {
        socket.send(command('SEND_MESSAGE', { chatId: chat.id, content: `${directive} hello` }));
        const failed = await socket.expect('ERROR');
        assert.equal(typeof failed.error, 'string');
        assert.doesNotMatch(failed.error, new RegExp(upstream.key));
    }
    const users = (await history(socket, chat.id)).filter((m) => m.role === 'user');
    assert.equal(users.length, 3);
});

test('a model that fails in mid-stream: the deltas, then ERROR', async (t) => {
    for (const directive of ['[[error=3]]', '[[cut=3]]']) {
        const socket = await open(t);
        const chat = await newChat(socket, 'x');
        socket.send(command('SEND_MESSAGE', { chatId: chat.id, content: `${directive} one two three` }));
        const frames = await socket.collect((frame) => frame.type === 'ERROR' || frame.end);
        assert.equal(frames.at(-1).type, 'ERROR');
        assert.equal(
            frames
                .slice(0, -1)
                .map((frame) => frame.content)
                .join(''),
            'You said: one ',
        );
    }
});

test('text is exact however the upstream splits it', async (t) => {
    const socket = await open(t);
    for (const directive of ['[[split]]', '[[crlf]] [[split=3]]', '[[comments]]', '[[nodone]]']) {
        const chat = await newChat(socket, 'x');
        assert.equal((await say(socket, chat.id, `${directive} Zürich 世界 🌍`)).text, 'You said: Zürich 世界 🌍');
    }
});

test('replies go only to the socket that asked', async (t) => {
    const asking = await open(t);
    const other = await open(t);
    const chat = await newChat(asking, 'x');
    await say(asking, chat.id, 'hello');
    await other.ask(command('GET_CHATS'), 'CHAT_LIST');
    assert.deepEqual(other.messages, []);
});

test('a socket may ask other things while a reply streams', async (t) => {
    const socket = await open(t);
    const chat = await newChat(socket, 'x');
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'one two', holdAfter: 1, gate: hold.promise });
    socket.send(command('SEND_MESSAGE', { chatId: chat.id, content: 'x' }));
    assert.equal((await socket.expect('MESSAGE')).content, 'one ');
    await socket.ask(command('GET_CHATS'), 'CHAT_LIST');
    hold.open();
    await socket.collect((frame) => frame.end);
});

test('two sockets stream at the same time', async (t) => {
    const sockets = await Promise.all([open(t), open(t), open(t)]);
    const texts = await Promise.all(
        sockets.map(async (socket, i) => {
            const chat = await newChat(socket, `c${i}`);
            return (await say(socket, chat.id, `[[delay=5]] number ${i}`)).text;
        }),
    );
    assert.deepEqual(texts, ['You said: number 0', 'You said: number 1', 'You said: number 2']);
});

test('when the socket goes away the reply is still stored', async (t) => {
    const socket = await open(t);
    const chat = await newChat(socket, 'x');
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'kept anyway', holdAfter: 1, gate: hold.promise });
    socket.send(command('SEND_MESSAGE', { chatId: chat.id, content: 'x' }));
    await socket.expect('MESSAGE');
    await socket.close();
    hold.open();
    assert.equal((await (await upstream.request(1)).ended).closedEarly, false);
    const later = await open(t);
    for (;;) {
        const messages = await history(later, chat.id);
        if (messages.at(-1).content === 'kept anyway') {
            break;
        }
    }
});

test('without a model the embedded responder answers', async (t) => {
    const socket = await open(t, offline);
    const chat = await newChat(socket, 'x');
    const { text } = await say(socket, chat.id, 'Hello');
    assert.ok(text.length > 0);
});
