// Customer care on Socket.IO: calls, their order, several tabs, clients that go and come back. Failures are in
// 121_care_live_failures.test.mjs.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { gate } from '../fake/upstream.mjs';
import { startOpenai } from '../fake/openai.mjs';
import { assertMp3 } from './support/care_front_end.mjs';
import { AGENT, INFO, NO_ID, newUser, say, start, told, turnOver } from './support/care_users.mjs';
import { startServer } from './support/server.mjs';
import { all, connect, nth, record, until } from './support/socketio.mjs';
import { TcpProxy } from './support/tcp_proxy.mjs';

const require = createRequire(import.meta.url);
const TURN = ['typing true', 'ai_response', 'typing false'];

async function withOpenai(t, plans = {}, env = {}) {
    const openai = (await startOpenai(t)).care(plans);
    const server = await startServer(t, { env: { ...openai.env, CARE_SPEECH: 'false', ...env } });
    return { openai, server, user: await newUser(server) };
}

const simulator = (user) => ({ userId: user.user._id, isCallSimulator: true });

test('what is told, member by member', async (t) => {
    const { server, user } = await withOpenai(t, { reply: 'Small steps.' }, { CARE_SPEECH: 'true' });
    const socket = await connect(t, server.url);
    const call = await start(socket, simulator(user));
    assert.deepEqual(Object.keys(call), ['conversationId', 'welcomeMessage', 'demoAgent']);
    assert.deepEqual(Object.keys(call.welcomeMessage), ['role', 'content', 'timestamp', 'audioData', 'audioType']);
    assert.match(call.welcomeMessage.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assertMp3(Buffer.from(call.welcomeMessage.audioData, 'base64'));
    const { reply, names } = await say(socket, 'How do I start?', { conversationId: call.conversationId, isCallSimulator: true });
    assert.deepEqual(names, TURN);
    const { messageId, ...rest } = reply;
    assert.deepEqual(Object.keys(rest), ['message', 'audioData', 'audioType', 'demoAgent', 'conversationId']);
    assert.equal(reply.message, 'Small steps.');
    assert.equal(reply.audioType, 'audio/mpeg');
    assert.equal(reply.conversationId, call.conversationId);
    assertMp3(Buffer.from(reply.audioData, 'base64'));
    const { body } = await user.json('GET', `/api/conversations/${call.conversationId}`);
    assert.equal(body.messages.at(-1)._id, messageId);
    assert.equal(body.messages[0].content, call.welcomeMessage.content);
    assert.equal(body.messages[0].timestamp, call.welcomeMessage.timestamp);
});

test('acknowledgements', async (t) => {
    const { server, user } = await withOpenai(t);
    const socket = await connect(t, server.url);
    const made = await socket.emitWithAck('start_conversation', simulator(user));
    assert.deepEqual(made, { ok: true, conversationId: (await nth(socket, 'conversation_started')).conversationId });
    const taken = await socket.emitWithAck('user_message', { conversationId: made.conversationId, message: 'Hello' });
    assert.deepEqual(taken, made);
    assert.deepEqual(await turnOver(socket), TURN);
    const joined = await socket.emitWithAck('join_conversation', made.conversationId);
    assert.deepEqual(joined, made);
});

test("the whole talk goes to the model, in the agent's words, and no more than this user's", async (t) => {
    const { openai, server, user } = await withOpenai(t, { reply: 'Yes.' });
    const socket = await connect(t, server.url);
    const agent = (await user.json('POST', '/api/agents', AGENT)).body;
    const wish = { userId: user.user._id, agentId: agent._id, agentInfo: { ...INFO, companyInfo: 'The client says something else.' } };
    const { conversationId, welcomeMessage } = await start(socket, { ...wish, isCallSimulator: false });
    assert.equal(welcomeMessage.content, "Hi, I'm Nora. How can I help you today?");
    for (let i = 1; i <= 4; i++) {
        assert.deepEqual((await say(socket, `Question ${i}`, { conversationId, ...wish })).names, TURN);
    }
    const { body } = openai.asked('reply').at(-1);
    const system = body.messages.filter(({ role }) => role === 'system').map(({ content }) => content).join('\n');
    assert.ok(system.includes(AGENT.companyInfo), 'the stored agent is the one that answers');
    assert.ok(!system.includes('something else'));
    const talk = body.messages.filter(({ role }) => role !== 'system').map(({ content }) => content);
    assert.deepEqual(talk.filter((text) => text.startsWith('Question')), ['Question 1', 'Question 2', 'Question 3', 'Question 4']);
    assert.ok(talk.includes(welcomeMessage.content));
});

test('an agent that only the client knows', async (t) => {
    const { openai, server, user } = await withOpenai(t, { reply: 'Yes.' });
    const socket = await connect(t, server.url);
    const wish = { userId: user.user._id, agentId: NO_ID, agentInfo: { ...INFO, name: 'Wanda', companyInfo: 'Only the client knows that.' } };
    const { conversationId, welcomeMessage } = await start(socket, wish);
    assert.equal(welcomeMessage.content, "Hi, I'm Wanda. How can I help you today?");
    assert.deepEqual((await say(socket, 'Who are you?', { conversationId, ...wish })).names, TURN);
    const { body } = openai.asked('reply').at(-1);
    assert.ok(body.messages[0].content.includes('Only the client knows that.'));
    const stored = await user.json('GET', '/api/agents');
    assert.deepEqual(stored.body, [], 'it is not stored for that');
});

test('messages sent at once are answered one by one, in order', async (t) => {
    const { server, user } = await withOpenai(t, { reply: (rq) => `You said: ${rq.body.messages.at(-1).content}` });
    const socket = await connect(t, server.url);
    const { conversationId } = await start(socket, simulator(user));
    const from = socket.seen.length;
    const texts = ['one', 'two', 'three', 'four', 'five'];
    texts.forEach((message) => socket.emit('user_message', { conversationId, message }));
    const names = await turnOver(socket, from, texts.length);
    assert.deepEqual(names, texts.flatMap(() => TURN));
    assert.deepEqual(all(socket, 'ai_response').map(([{ message }]) => message), texts.map((text) => `You said: ${text}`));
});

test("while a turn takes its time, the socket's other events go on", async (t) => {
    const held = gate();
    const { server, user } = await withOpenai(t, { reply: () => ({ tokens: ['late'], holdAfter: 0, gate: held.promise }) });
    const socket = await connect(t, server.url);
    const { conversationId } = await start(socket, simulator(user));
    socket.emit('user_message', { conversationId, message: 'Hello' });
    await until(socket, (seen) => seen.some(([name]) => name === 'typing'));
    assert.equal((await socket.emitWithAck('typing_start', { conversationId: 'another' })).ok, true);
    const other = await start(socket, simulator(user));
    assert.notEqual(other.conversationId, conversationId);
    assert.deepEqual(told(socket), ['typing true']);
    held.open();
    assert.deepEqual(await turnOver(socket), TURN);
});

for (const threads of ['1', '4']) {
    test(`two tabs of one call, ${threads} threads`, async (t) => {
        const { server, user } = await withOpenai(t, { sentiment: 'urgent' }, { THREADS: threads });
        const first = await connect(t, server.url);
        const { conversationId } = await start(first, simulator(user));
        const second = await connect(t, server.url);
        const outside = await connect(t, server.url);
        await start(outside, simulator(await newUser(server)));
        await start(second, simulator(user)); // it is this user's now
        assert.equal((await second.emitWithAck('join_conversation', { conversationId })).ok, true);
        const [mark, seen] = [second.seen.length, outside.seen.length];
        const { reply } = await say(first, 'This is urgent, I need help now!', { conversationId });
        assert.deepEqual(await turnOver(second, mark), TURN);
        assert.deepEqual(second.seen.slice(mark).find(([name]) => name === 'ai_response')[1], reply);
        for (const tab of [first, second]) {
            assert.deepEqual(await nth(tab, 'conversation_priority'), { conversationId, priority: 'high', sentiment: 'urgent' });
        }
        await second.emitWithAck('leave_conversation', { conversationId });
        const left = told(second).length;
        await say(first, 'And one more', { conversationId });
        await second.emitWithAck('leave_conversation', { conversationId });
        assert.equal(told(second).length, left, 'who left is told no more');
        await outside.emitWithAck('leave_conversation', { conversationId });
        assert.equal(outside.seen.length, seen, "another user's socket hears nothing");
    });
}

test('a message by REST that is urgent is told to the sockets of its user', async (t) => {
    const { server, user } = await withOpenai(t, { sentiment: 'urgent' });
    const socket = await connect(t, server.url);
    await start(socket, simulator(user));
    const made = await user.json('POST', '/api/conversations', { isCallSimulator: true });
    const id = made.body._id;
    const answer = await user.json('POST', `/api/conversations/${id}/messages`, { content: 'My house is on fire, help!', role: 'user' });
    assert.equal(answer.status, 201);
    assert.deepEqual(await nth(socket, 'conversation_priority'), { conversationId: id, priority: 'high', sentiment: 'urgent' });
});

test('a client that leaves in the middle of a turn: the turn is stored', async (t) => {
    const held = gate();
    const { openai, server, user } = await withOpenai(t, { reply: () => ({ tokens: ['It was said.'], holdAfter: 0, gate: held.promise }) });
    const socket = await connect(t, server.url);
    const { conversationId } = await start(socket, simulator(user));
    socket.emit('user_message', { conversationId, message: 'Hello' });
    await until(socket, () => told(socket).length);
    while (openai.asked('reply').length === 0) {
        await openai.upstream.request(openai.upstream.requests.length + 1);
    }
    await socket.emitWithAck('user_message', { conversationId, message: 'And this waits' });
    socket.disconnect();
    while ((await (await server.fetch('/metrics')).text()).match(/^parley_engineio_sessions\{transport="websocket"\} (\d+)/m)?.[1] !== '0') {
        // until it is gone on the server, too
    }
    held.open();
    for (let messages = []; messages.length < 5 || messages.at(-1).content !== 'It was said.'; ) {
        ({ messages } = (await user.json('GET', `/api/conversations/${conversationId}`)).body);
    }
});

for (const threads of ['1', '4']) {
    test(`a connection that breaks in the middle of a turn, ${threads} threads: nothing is missed`, async (t) => {
        const held = gate();
        const { server, user } = await withOpenai(
            t,
            { reply: () => ({ tokens: ['Here I am.'], holdAfter: 0, gate: held.promise }) },
            { THREADS: threads },
        );
        const proxy = await TcpProxy.to(t, server.port);
        const { io } = await import('socket.io-client');
        const socket = record(
            io(proxy.url, { transports: ['websocket'], forceNew: true, auth: { recovery: true }, reconnectionDelay: 20 }),
        );
        t.after(() => socket.close());
        const connected = () => new Promise((resolve) => socket.once('connect', resolve));
        await connected();
        const { conversationId } = await start(socket, simulator(user));
        const from = socket.seen.length;
        socket.emit('user_message', { conversationId, message: 'Hello' });
        await until(socket, (seen) => seen.slice(from).length);
        const back = connected();
        proxy.cut();
        await new Promise((resolve) => socket.once('disconnect', resolve));
        held.open();
        await back;
        assert.equal(socket.recovered, true);
        assert.deepEqual(await turnOver(socket, from), TURN);
        assert.equal(socket.seen.slice(from).find(([name]) => name === 'ai_response')[1].message, 'Here I am.');
        assert.deepEqual((await say(socket, 'And again', { conversationId })).names, TURN, 'it is still its user');
    });
}

test("a message that is sent twice, with the client's own id, is answered once", async (t) => {
    const { openai, server, user } = await withOpenai(t, { reply: 'Once.' });
    const socket = await connect(t, server.url);
    const { conversationId } = await start(socket, simulator(user));
    const first = await say(socket, 'Hello', { conversationId, clientMessageId: 'mine-1' });
    const again = await say(socket, 'Hello', { conversationId, clientMessageId: 'mine-1' });
    assert.deepEqual(again.names, TURN);
    assert.equal(again.reply.messageId, first.reply.messageId);
    assert.equal(again.reply.message, 'Once.');
    assert.equal(openai.asked('reply').length, 1);
    const { body } = await user.json('GET', `/api/conversations/${conversationId}`);
    assert.equal(body.messages.length, 3);
});

for (const version of [2, 3]) {
    test(`a client of Socket.IO ${version}`, async (t) => {
        const { server, user } = await withOpenai(t, { reply: 'From old to new.' }, { ALLOW_EIO3: 'true' });
        const old = require(`socket.io-client-${version}`);
        const socket = (old.io ?? old)(server.url, { forceNew: true });
        t.after(() => socket.close());
        const names = [];
        const reply = new Promise((resolve) => socket.on('ai_response', (message) => names.push('ai_response') && resolve(message)));
        const over = new Promise((resolve) => socket.on('typing', (on) => (names.push(`typing ${on}`), on || resolve())));
        socket.on('conversation_started', ({ conversationId }) => socket.emit('user_message', { conversationId, message: 'Hi' }));
        socket.emit('start_conversation', simulator(user));
        assert.equal((await reply).message, 'From old to new.');
        await over;
        assert.deepEqual(names, TURN);
    });
}
