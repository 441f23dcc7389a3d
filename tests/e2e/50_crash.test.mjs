// kill -9 at any moment loses no acknowledged message; what was being written is found again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { EventStream } from './support/sse.mjs';
import { JsonSocket } from './support/socket.mjs';

async function pair(t, env = {}) {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    return { upstream, server: await startServer(t, { env: { ...upstream.openaiEnv, ...env } }) };
}

/** Sends messages one after the other until the server dies; gives what was acknowledged. */
async function talk(server, n, acknowledged) {
    let conversationId = null;
    for (let i = 0; ; i++) {
        const message = `client ${n} message ${i}`;
        try {
            const { status, body } = await server.json('POST', '/api/chat', { message, conversationId });
            assert.equal(status, 200);
            conversationId = body.conversation.id;
            acknowledged.push({ conversationId, message, reply: body.message });
        } catch (error) {
            if (error instanceof assert.AssertionError) {
                throw error;
            }
            return;
        }
    }
}

for (const threads of ['1', '2']) {
    test(`kill -9 under load, ${threads} thread(s), again and again on the same data`, async (t) => {
        const { server } = await pair(t, { THREADS: threads });
        const acknowledged = [];
        for (let round = 0; round < 3; round++) {
            const before = acknowledged.length;
            const talking = Array.from({ length: 8 }, (_, n) => talk(server, `${round}.${n}`, acknowledged));
            while (acknowledged.length < before + 60) {
                await new Promise(setImmediate);
            }
            await server.kill();
            await Promise.all(talking);
            await server.start();
        }
        const byId = new Map();
        for (const conversation of (await server.json('GET', '/api/conversations')).body) {
            byId.set(conversation.id, conversation.messages);
        }
        for (const { conversationId, message, reply } of acknowledged) {
            const messages = byId.get(conversationId);
            assert.ok(messages, `conversation ${conversationId} is gone`);
            const at = messages.findIndex((m) => m.role === 'user' && m.content === message);
            assert.ok(at >= 0, `${message} is gone`);
            assert.equal(messages.filter((m) => m.content === message).length, 1, `${message} is there twice`);
            assert.deepEqual(messages[at + 1], reply);
        }
        assert.ok(acknowledged.length >= 180);
    });
}

test('created, renamed and deleted conversations survive a kill', async (t) => {
    const { server } = await pair(t);
    const kept = (await server.json('POST', '/api/conversations', { title: 'kept' })).body.id;
    const gone = (await server.json('POST', '/api/conversations', { title: 'gone' })).body.id;
    await server.json('PUT', `/api/conversations/${kept}`, { title: 'renamed' });
    await server.json('DELETE', `/api/conversations/${gone}`);
    await server.kill();
    await server.start();
    assert.equal((await server.json('GET', `/api/conversations/${kept}`)).body.title, 'renamed');
    assert.equal((await server.json('GET', `/api/conversations/${gone}`)).status, 404);
});

test('a reply that was being written is found, marked interrupted, with the text it had', async (t) => {
    const { upstream, server } = await pair(t);
    const { id } = (await server.json('POST', '/api/conversations', { title: 'x' })).body;
    const hold = gate();
    upstream.next({ text: 'one two three four', holdAfter: 3, gate: hold.promise });
    const stream = await EventStream.open(`${server.url}/api/conversations/${id}/events`);
    const pending = server.json('POST', '/api/chat', { message: 'go on', conversationId: id }).catch(() => null);
    let text = '';
    while (text !== 'one two three ') {
        const event = await stream.next();
        text += event.event === 'delta' ? event.data.text : '';
    }
    await server.kill();
    stream.close();
    await pending;
    hold.open();
    await server.start();
    const { messages } = (await server.json('GET', `/api/conversations/${id}`)).body;
    assert.deepEqual(
        messages.map((m) => m.role),
        ['user', 'assistant'],
    );
    assert.equal(messages[1].status, 'interrupted');
    assert.ok('one two three '.startsWith(messages[1].content), messages[1].content);
    const { body } = await server.json('POST', '/api/chat', { message: 'again', conversationId: id });
    assert.equal(body.message.content, 'You said: again');
});

test('text that streams for long is saved as it grows', async (t) => {
    const { server } = await pair(t);
    const { id } = (await server.json('POST', '/api/conversations', { title: 'x' })).body;
    server.json('POST', '/api/chat', { message: '[[delay=1]] [[words=100000]]', conversationId: id }).catch(() => {});
    let stored = '';
    while (stored.length < 2000) {
        const { messages } = (await server.json('GET', `/api/conversations/${id}`)).body;
        stored = messages[1]?.content ?? '';
    }
    await server.kill();
    await server.start();
    const { messages } = (await server.json('GET', `/api/conversations/${id}`)).body;
    assert.equal(messages[1].status, 'interrupted');
    assert.ok(messages[1].content.length > 0, 'some of the text was on disk');
    assert.match(messages[1].content, /^word1 word2 /);
});

test('a repeated client message id is known after a kill', async (t) => {
    const { upstream, server } = await pair(t);
    const first = await server.json('POST', '/api/chat', {
        message: 'once',
        conversationId: null,
        clientMessageId: 'survivor',
    });
    await server.kill();
    await server.start();
    upstream.forget();
    const again = await server.json('POST', '/api/chat', {
        message: 'once',
        conversationId: first.body.conversation.id,
        clientMessageId: 'survivor',
    });
    assert.deepEqual(again.body.message, first.body.message);
    assert.equal(again.body.conversation.messages.length, 2);
    assert.equal(upstream.requests.length, 0);
});

test('a follower that reconnects across a kill gets a reset and then what happens', async (t) => {
    const { server } = await pair(t);
    const { id } = (await server.json('POST', '/api/conversations', { title: 'x' })).body;
    const before = await EventStream.open(`${server.url}/api/conversations/${id}/events`);
    await before.expect('reset');
    await server.json('POST', '/api/chat', { message: 'before', conversationId: id });
    await before.until('reply_finished');
    const { lastEventId } = before;
    before.close();
    await server.kill();
    await server.start();
    const stream = await EventStream.open(`${server.url}/api/conversations/${id}/events`, { lastEventId });
    const reset = await stream.expect('reset');
    assert.deepEqual(
        reset.data.conversation.messages.map((m) => m.content),
        ['before', 'You said: before'],
    );
    assert.notEqual(reset.id.split('-')[0], lastEventId.split('-')[0], 'another life, another epoch');
    await server.json('POST', '/api/chat', { message: 'after', conversationId: id });
    assert.equal((await stream.expect('message')).data.message.content, 'after');
    stream.close();
    const socket = await JsonSocket.open(`${server.wsUrl}/ws/audio`);
    await socket.expect('connection');
    const answer = await socket.ask({ type: 'resume', conversationId: id, lastEventId }, 'reset');
    assert.equal(answer.messages[0].content, 'before');
    await socket.close();
});

test('PiChat chats and messages survive a kill', async (t) => {
    const { server } = await pair(t);
    const socket = await JsonSocket.open(`${server.wsUrl}/ws`);
    const { chat } = await socket.ask({ type: 'CREATE_CHAT', payload: { name: 'Kitchen' } }, 'NEW_CHAT');
    socket.send({ type: 'SEND_MESSAGE', payload: { chatId: chat.id, content: 'hello' } });
    const frames = await socket.collect((frame) => frame.end);
    await server.kill();
    await server.start();
    const later = await JsonSocket.open(`${server.wsUrl}/ws`);
    assert.deepEqual((await later.ask({ type: 'GET_CHATS' }, 'CHAT_LIST')).chats, [chat]);
    const history = await later.ask({ type: 'GET_CHAT_HISTORY', payload: { chatId: chat.id } }, 'CHAT_HISTORY');
    assert.deepEqual(
        history.messages.map((m) => m.content),
        ['hello', 'You said: hello'],
    );
    assert.equal(history.messages[1].id, frames[0].traceId);
    await later.close();
});
