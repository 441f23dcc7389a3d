// The chat dialect (002) with the official client: streaming, rooms, errors, and what outlives a client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { DEMO_TEXT, UUID, assertConversation, assertMessage } from './support/shapes.mjs';
import { all, connect, nth, until } from './support/socketio.mjs';

const TOKENS = Array.from({ length: 40 }, (_, i) => `word${i} `);
const TEXT = TOKENS.join('');
const APOLOGY = 'I apologize, but I encountered an error while processing your request. Please try again.';

async function withUpstream(t, env = {}) {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const server = await startServer(t, { env: { ...upstream.openaiEnv, ...env } });
    return { upstream, server };
}

const names = (socket) => socket.seen.map(([name]) => name);

test('a first message makes a conversation and streams its reply to the sender', async (t) => {
    const { upstream, server } = await withUpstream(t);
    upstream.next({ tokens: TOKENS, delay: 5 });
    const socket = await connect(t, server.url);
    socket.emit('stream_chat', { message: 'Which tram goes to the zoo?', stream: true });
    const complete = await nth(socket, 'stream_complete');
    const start = await nth(socket, 'stream_start');
    assert.match(start.conversationId, UUID);
    assert.deepEqual(Object.keys(start).sort(), ['conversationId', 'messageId']);
    const chunks = all(socket, 'stream_chunk').map(([chunk]) => chunk);
    assert.ok(chunks.length > 2);
    let before = '';
    for (const chunk of chunks) {
        assert.equal(chunk.messageId, start.messageId);
        assert.equal(chunk.conversationId, start.conversationId);
        assert.ok(chunk.content.startsWith(before), 'every chunk has all of the text so far');
        before = chunk.content;
    }
    assert.equal(new Set(chunks.map(({ id }) => id)).size, chunks.length);
    assert.deepEqual(chunks.map(({ isComplete }) => isComplete), [...chunks.slice(1).map(() => false), true]);
    assert.equal(before, TEXT);
    assert.equal(complete.messageId, start.messageId);
    assertConversation(complete.conversation);
    assert.equal(complete.conversation.title, 'Which tram goes to the zoo?');
    const [question, answer] = complete.conversation.messages;
    assertMessage(question, 'user', start.conversationId);
    assert.equal(answer.id, start.messageId);
    assert.equal(answer.content, TEXT);
    assert.equal(all(socket, 'new_message').length, 0, 'the sender has its own message already');
    assert.equal(names(socket)[0], 'stream_start');
    assert.equal(names(socket).at(-1), 'stream_complete');
    const stored = await server.json('GET', `/api/conversations/${start.conversationId}`);
    assert.deepEqual(stored.body.messages, complete.conversation.messages);
});

test('a conversation goes on, with its history, under the id a client made up', async (t) => {
    const { upstream, server } = await withUpstream(t);
    const socket = await connect(t, server.url);
    upstream.next({ tokens: ['One.'] }).next({ tokens: ['Two.'] });
    socket.emit('stream_chat', { message: 'first', conversationId: 'temp-1700000000000' });
    await nth(socket, 'stream_complete');
    socket.emit('stream_chat', { message: 'second', conversationId: 'temp-1700000000000' });
    const { conversation } = await nth(socket, 'stream_complete', 2);
    assert.equal(conversation.id, 'temp-1700000000000');
    assert.deepEqual(
        conversation.messages.map(({ content }) => content),
        ['first', 'One.', 'second', 'Two.'],
    );
    const { body } = await upstream.request(2);
    assert.deepEqual(
        body.messages.map(({ role, content }) => `${role}: ${content}`),
        ['system: You are a helpful assistant.', 'user: first', 'assistant: One.', 'user: second'],
    );
});

test('two clients of one conversation see the same text; both ways of joining', async (t) => {
    const { upstream, server } = await withUpstream(t);
    upstream.next({ tokens: ['Hi.'] }).next({ tokens: TOKENS, delay: 2 });
    const ann = await connect(t, server.url);
    const bob = await connect(t, server.url, { transports: ['polling'] });
    const eve = await connect(t, server.url);
    const conversationId = 'shared';
    ann.emit('stream_chat', { message: 'hello', conversationId });
    await nth(ann, 'stream_complete');
    await bob.emitWithAck('join_conversation', conversationId);
    await eve.emitWithAck('join_conversation', { conversationId });
    ann.emit('stream_chat', { message: 'more', conversationId });
    const done = await Promise.all([nth(ann, 'stream_complete', 2), nth(bob, 'stream_complete'), nth(eve, 'stream_complete')]);
    assert.deepEqual(done[1], done[0]);
    assert.deepEqual(done[2], done[0]);
    for (const socket of [bob, eve]) {
        const last = all(socket, 'stream_chunk').at(-1)[0];
        assert.equal(last.content, TEXT);
        assert.equal(last.isComplete, true);
        const message = await nth(socket, 'new_message');
        assertMessage(message, 'user', conversationId);
        assert.equal(message.content, 'more');
        assert.equal(all(socket, 'new_message').length, 1);
        assert.equal(names(socket)[0], 'new_message');
    }
    await bob.emitWithAck('leave_conversation', conversationId);
    upstream.next({ tokens: ['Bye.'] });
    const had = bob.seen.length;
    ann.emit('stream_chat', { message: 'last', conversationId });
    await nth(eve, 'stream_complete', 2);
    await bob.emitWithAck('leave_conversation', { conversationId }); // whatever came would be here by now
    assert.equal(bob.seen.length, had);
});

test('who joins in the middle of a reply gets what is there, and the rest', async (t) => {
    const { upstream, server } = await withUpstream(t);
    const hold = gate();
    upstream.next({ tokens: TOKENS, holdAfter: 20, gate: hold.promise });
    const first = await connect(t, server.url);
    first.emit('stream_chat', { message: 'go', conversationId: 'late' });
    const half = TOKENS.slice(0, 20).join('');
    await until(first, () => all(first, 'stream_chunk').some(([{ content }]) => content === half));
    const late = await connect(t, server.url);
    late.emit('join_conversation', 'late');
    assert.equal((await nth(late, 'stream_chunk')).content, half);
    assert.equal(names(late)[0], 'stream_start');
    hold.open();
    assert.deepEqual(await nth(late, 'stream_complete'), await nth(first, 'stream_complete'));
    assert.equal(all(late, 'stream_chunk').at(-1)[0].content, TEXT);
});

test('a turn survives its client', async (t) => {
    const { upstream, server } = await withUpstream(t);
    const hold = gate();
    upstream.next({ tokens: TOKENS, holdAfter: 5, gate: hold.promise });
    const socket = await connect(t, server.url);
    socket.emit('stream_chat', { message: 'go', conversationId: 'orphan' });
    await nth(socket, 'stream_chunk');
    socket.close();
    hold.open();
    for (;;) {
        const { body } = await server.json('GET', '/api/conversations/orphan');
        if (body.messages[1].status === 'complete') {
            assert.equal(body.messages[1].content, TEXT);
            break;
        }
    }
});

test('delta: chunks carry what is new, the last one the whole', async (t) => {
    const { upstream, server } = await withUpstream(t);
    upstream.next({ tokens: TOKENS, delay: 5 });
    const socket = await connect(t, server.url);
    const other = await connect(t, server.url);
    await other.emitWithAck('join_conversation', 'delta');
    socket.emit('stream_chat', { message: 'go', conversationId: 'delta', delta: true });
    await nth(socket, 'stream_complete');
    await nth(other, 'stream_complete');
    const chunks = all(socket, 'stream_chunk').map(([chunk]) => chunk);
    assert.equal(chunks.map(({ delta }) => delta).join(''), TEXT);
    assert.ok(chunks.slice(0, -1).every((chunk) => !('content' in chunk)));
    assert.equal(chunks.at(-1).content, TEXT);
    assert.ok(all(other, 'stream_chunk').every(([chunk]) => !('delta' in chunk)), 'only for the one that asked');
});

test('cancel_stream keeps what was said', async (t) => {
    const { upstream, server } = await withUpstream(t);
    upstream.next({ tokens: TOKENS, holdAfter: 10, gate: gate().promise });
    const socket = await connect(t, server.url);
    socket.emit('stream_chat', { message: 'go', conversationId: 'stop' });
    const half = TOKENS.slice(0, 10).join('');
    await until(socket, () => all(socket, 'stream_chunk').some(([{ content }]) => content === half));
    socket.emit('cancel_stream', { conversationId: 'stop' });
    const complete = await nth(socket, 'stream_complete');
    assert.equal(complete.finishReason, 'cancelled');
    assert.equal(complete.conversation.messages[1].content, half);
    assert.equal(all(socket, 'stream_chunk').at(-1)[0].isComplete, true);
});

test('typing and read marks go to the others', async (t) => {
    const { server } = await withUpstream(t);
    const ann = await connect(t, server.url);
    const bob = await connect(t, server.url);
    for (const socket of [ann, bob]) {
        await socket.emitWithAck('join_conversation', 'room');
    }
    ann.emit('typing_start', { conversationId: 'room', userName: 'Ann' });
    assert.deepEqual(await nth(bob, 'user_typing'), { userId: ann.id, userName: 'Ann', isTyping: true });
    ann.emit('typing_stop', { conversationId: 'room' });
    assert.deepEqual(await nth(bob, 'user_typing', 2), { userId: ann.id, userName: 'Anonymous', isTyping: false });
    ann.emit('message_read', { conversationId: 'room', messageId: 'm1' });
    const status = await nth(bob, 'message_status');
    assert.deepEqual(status, { messageId: 'm1', status: 'read', readBy: ann.id });
    assert.deepEqual(ann.seen, []);
});

test('errors reach the sender alone, and nothing is stored', async (t) => {
    const { server } = await withUpstream(t);
    const socket = await connect(t, server.url);
    const blank = { message: 'Message is required', code: 'INVALID_REQUEST' };
    for (const [n, argument] of [{ message: '  ' }, {}, 'text', null, { message: 5 }, undefined].entries()) {
        socket.emit('stream_chat', ...(argument === undefined ? [] : [argument]));
        const error = await nth(socket, 'error', n + 1);
        const failed = await nth(socket, 'stream_error', n + 1);
        assert.equal(error.code, 'INVALID_REQUEST');
        assert.deepEqual({ message: failed.message, code: failed.code }, { message: error.message, code: error.code });
        if (n === 0) {
            assert.deepEqual({ message: error.message, code: error.code }, blank);
        }
    }
    const before = all(socket, 'error').length;
    for (const name of ['join_conversation', 'leave_conversation', 'typing_start', 'message_read', 'cancel_stream']) {
        socket.emit(name, { conversationId: 7 });
    }
    await nth(socket, 'error', before + 5);
    socket.emit('join_conversation', 'x'.repeat(129));
    await nth(socket, 'error', before + 6);
    assert.deepEqual((await server.json('GET', '/api/conversations')).body, []);
});

test('a model that fails is apologised for, and the front end is released', async (t) => {
    const { upstream, server } = await withUpstream(t, { UPSTREAM_RETRIES: '0' });
    upstream.next({ status: 500, body: '{"error":{"message":"secret detail"}}' });
    const socket = await connect(t, server.url);
    socket.emit('stream_chat', { message: 'hello' });
    const complete = await nth(socket, 'stream_complete');
    assert.deepEqual(
        all(socket, 'stream_chunk').map(([{ content, isComplete }]) => [content, isComplete]),
        [[APOLOGY, true]],
    );
    assert.equal(complete.conversation.messages[1].content, APOLOGY);
    assert.ok(!JSON.stringify(socket.seen).includes('secret detail'));
    upstream.next({ tokens: TOKENS, cutAfter: 7 });
    socket.emit('stream_chat', { message: 'again', conversationId: complete.conversation.id });
    const broken = await nth(socket, 'stream_complete', 2);
    assert.equal(broken.conversation.messages[3].content, TOKENS.slice(0, 7).join(''));
    assert.equal((await nth(socket, 'stream_error')).conversationId, complete.conversation.id);
});

test('without a key the demo text is one complete chunk', async (t) => {
    const server = await startServer(t);
    const socket = await connect(t, server.url);
    socket.emit('stream_chat', { message: 'hello' });
    const complete = await nth(socket, 'stream_complete');
    assert.deepEqual(names(socket), ['stream_start', 'stream_chunk', 'stream_complete']);
    const chunk = await nth(socket, 'stream_chunk');
    assert.equal(chunk.content, DEMO_TEXT);
    assert.equal(chunk.isComplete, true);
    assert.equal(complete.conversation.messages[1].content, DEMO_TEXT);
});

test('REST and sockets share a conversation', async (t) => {
    const { upstream, server } = await withUpstream(t);
    upstream.next({ tokens: ['A'] }).next({ tokens: ['B'] });
    const socket = await connect(t, server.url);
    socket.emit('stream_chat', { message: 'one', conversationId: 'both' });
    await nth(socket, 'stream_complete');
    const answer = await server.json('POST', '/api/chat', { message: 'two', conversationId: 'both' });
    assert.equal(answer.body.message.content, 'B');
    const complete = await nth(socket, 'stream_complete', 2);
    assert.deepEqual(complete.conversation.messages, answer.body.conversation.messages);
    assert.equal((await nth(socket, 'new_message')).content, 'two');
    await server.json('DELETE', '/api/conversations/both');
    assert.deepEqual(await nth(socket, 'conversation_deleted'), { conversationId: 'both' });
});

test('in production a client shows the token, in any of three ways, or is refused', async (t) => {
    const env = { ENVIRONMENT: 'production', JWT_SECRET: 'qL7x2Vb9sK4mTz8wRc1nYf6hJd3gPa5eUo0i', API_TOKEN: 'a-long-enough-token-for-tests' };
    const server = await startServer(t, { env });
    const refused = await connect(t, server.url).catch((error) => error);
    assert.equal(refused.message, 'Please authenticate.');
    assert.equal(refused.data.code, 'UNAUTHORIZED');
    const wrong = await connect(t, server.url, { auth: { token: 'a-long-enough-token-for-tesTs' } }).catch((error) => error);
    assert.equal(wrong.data.code, 'UNAUTHORIZED');
    const ways = [
        { auth: { token: env.API_TOKEN } },
        { query: { token: env.API_TOKEN } },
        { extraHeaders: { Authorization: `Bearer ${env.API_TOKEN}` } },
    ];
    for (const way of ways) {
        for (const transports of [['websocket'], ['polling']]) {
            const socket = await connect(t, server.url, { ...way, transports });
            assert.ok(socket.connected);
        }
    }
    assert.ok(!server.stderr.includes(env.API_TOKEN));
});
