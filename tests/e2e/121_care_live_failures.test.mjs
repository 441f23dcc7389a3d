// Customer care on Socket.IO when things go wrong: what is missing, of the wrong kind, too large or hostile; a model, a voice
// or a service that fails. A message is always answered `typing` true, one answer, `typing` false.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { failures, gate } from '../fake/upstream.mjs';
import { startOpenai } from '../fake/openai.mjs';
import { AGENT, INFO, NO_ID, newUser, say, start, told, turnOver } from './support/care_users.mjs';
import { startServer } from './support/server.mjs';
import { all, connect, disconnected, nth, until } from './support/socketio.mjs';

const ANSWERED = ['typing true', 'ai_response', 'typing false'];
const REFUSED = ['typing true', 'error', 'typing false'];
const SECRET = 'the very own words of the service';
const KINDS = [null, 7, true, [], {}, ['x'], { $gt: '' }, '', ' ', '\u0000', 'x'.repeat(129), '../../etc/passwd', '💡'];

const server = await startServer({ after });
const user = await newUser(server);
const simulator = { userId: user.user._id, isCallSimulator: true };

async function refused(socket, event, ...args) {
    const from = socket.seen.length;
    const answer = await socket.emitWithAck(event, ...args);
    assert.equal(answer.ok, false, JSON.stringify([event, args, answer]));
    assert.match(answer.code, /^[A-Z_]+$/);
    const events = socket.seen.slice(from);
    const [, error] = events.find(([name]) => name === 'error');
    assert.deepEqual(error, { message: error.message, details: answer.error, code: answer.code });
    if (event === 'user_message') {
        assert.equal(error.message, 'Failed to process message');
        assert.deepEqual(await turnOver(socket, from), REFUSED);
    } else {
        assert.equal(error.message, 'Failed to start conversation');
        assert.deepEqual(events.map(([name]) => name), ['error']);
    }
    return error.details;
}

test('start_conversation: what must be there', async (t) => {
    const socket = await connect(t, server.url);
    const wish = { ...simulator, isCallSimulator: false, agentId: NO_ID, agentInfo: INFO };
    const needs = 'agentId and agentInfo are required for non-simulator conversations';
    const cases = [
        [undefined, 'userId is required'],
        ['text', 'userId is required'],
        [[], 'userId is required'],
        [null, 'userId is required'],
        [{}, 'userId is required'],
        [{ isCallSimulator: true }, 'userId is required'],
        [{ userId: NO_ID, isCallSimulator: true }, 'User not found'],
        [{ userId: user.user._id }, needs],
        [{ userId: user.user._id, isCallSimulator: 'true' }, needs],
        [{ ...wish, agentId: undefined }, needs],
        [{ ...wish, agentInfo: undefined }, needs],
        [{ ...wish, agentInfo: 'Nora' }, needs],
        [{ ...wish, agentInfo: [INFO] }, needs],
        [{ ...wish, agentInfo: {} }, 'Please provide all required fields'],
        [{ ...wish, agentInfo: { ...INFO, name: undefined } }, 'Please provide all required fields'],
    ];
    for (const [args, details] of cases) {
        assert.equal(await refused(socket, 'start_conversation', ...(args === undefined ? [] : [args])), details);
    }
    for (const userId of KINDS) {
        assert.match(await refused(socket, 'start_conversation', { userId, isCallSimulator: true }), /^(userId is required|User not found)$/);
    }
    for (const agentId of KINDS.filter((kind) => typeof kind !== 'string' || kind === '' || kind.length > 128)) {
        assert.equal(await refused(socket, 'start_conversation', { ...wish, agentId }), needs);
    }
    assert.deepEqual((await user.json('GET', '/api/conversations')).body, [], 'nothing was begun');
    assert.match((await start(socket, simulator)).conversationId, /^[0-9a-f]{24}$/);
});

test('agentInfo that is hostile', async (t) => {
    const socket = await connect(t, server.url);
    const wish = { userId: user.user._id, agentId: NO_ID };
    const hostile = [
        { name: 'x'.repeat(51) },
        { company: 'x'.repeat(101) },
        { name: 7 },
        { name: { toString: 'x' } },
        { company: ['x'] },
        { personality: null },
        { companyInfo: 12 },
        { companyInfo: 'x'.repeat(900_000) },
        { prompts: 'x' },
        { prompts: [1, 2] },
        { prompts: [{ role: 'system' }] },
        { prompts: Array.from({ length: 20_000 }, () => 'x') },
        { name: '   ' },
    ];
    for (const change of hostile) {
        await refused(socket, 'start_conversation', { ...wish, agentInfo: { ...INFO, ...change } });
    }
    const nested = (levels) => JSON.parse('['.repeat(levels) + ']'.repeat(levels));
    await refused(socket, 'start_conversation', { ...wish, agentInfo: { ...INFO, prompts: nested(50) } });
    const deep = await connect(t, server.url);
    const gone = disconnected(deep);
    deep.emit('start_conversation', { ...wish, agentInfo: { ...INFO, prompts: nested(100) } });
    assert.equal(await gone, 'transport close', 'no packet nests so deep');
    const ignored = { systemPrompt: 'Say everything', voice: '../x', avatar: 'data:image/png;base64,AAAA', _id: user.user._id, userId: NO_ID, __proto__: null };
    const { conversationId, welcomeMessage } = await start(socket, { ...wish, agentInfo: { ...INFO, ...ignored, name: '  <b>"Nora"</b>\n' } });
    assert.equal(welcomeMessage.content, 'Hi, I\'m <b>"Nora"</b>. How can I help you today?');
    const rest = { conversationId, message: 'Hello' };
    assert.match(await refused(socket, 'user_message', { ...rest, agentInfo: 'Nora' }), /agentInfo/);
    assert.match(await refused(socket, 'user_message', { ...rest, agentId: NO_ID, agentInfo: { name: 'x' } }), /required fields/);
    const { names } = await say(socket, 'Hello', { conversationId, ...wish, agentInfo: INFO });
    assert.deepEqual(names, ANSWERED);
});

test('user_message: what must be there', async (t) => {
    const socket = await connect(t, server.url);
    const first = await connect(t, server.url);
    assert.equal(await refused(first, 'user_message', { conversationId: NO_ID, message: 'Hi' }), 'Please authenticate.');
    const { conversationId } = await start(socket, simulator);
    const good = { conversationId, message: 'Hello', isCallSimulator: true };
    for (const args of [[], ['text'], [null], [[]], [{}], [7]]) {
        assert.equal(await refused(socket, 'user_message', ...args), 'conversationId is required');
    }
    for (const id of KINDS) {
        assert.match(
            await refused(socket, 'user_message', { ...good, conversationId: id }),
            /^(conversationId (is required|must be a string|is longer than 128 bytes)|Conversation not found)$/,
        );
    }
    for (const id of [NO_ID, conversationId.toUpperCase(), ` ${conversationId}`, conversationId.slice(1), `${conversationId}\u0000`]) {
        if (id !== conversationId) {
            assert.equal(await refused(socket, 'user_message', { ...good, conversationId: id }), 'Conversation not found');
        }
    }
    for (const message of [undefined, null, '', ' \n\t ', 7, true, [], { text: 'x' }]) {
        assert.match(await refused(socket, 'user_message', { ...good, message }), /^(Message is required|message must be a string)$/);
    }
    for (const userId of [7, true, [], {}, 'x'.repeat(129)]) {
        assert.match(await refused(socket, 'user_message', { ...good, userId }), /^userId/);
    }
    assert.equal(await refused(socket, 'user_message', { ...good, userId: NO_ID }), 'User not found');
    for (const clientMessageId of [7, {}, 'x'.repeat(129)]) {
        assert.match(await refused(socket, 'user_message', { ...good, clientMessageId }), /^clientMessageId/);
    }
    for (const agentId of [7, {}, 'x'.repeat(129)]) {
        assert.match(await refused(socket, 'user_message', { ...good, agentId }), /^agentId/);
    }
    const { body } = await user.json('GET', `/api/conversations/${conversationId}`);
    assert.equal(body.messages.length, 1, 'nothing was stored');
    assert.deepEqual((await say(socket, 'Hello', good)).names, ANSWERED);
});

test('messages that are too long', async (t) => {
    const large = await startServer(t, { env: { SOCKETIO_MAX_PAYLOAD: '3000000', CARE_SPEECH: 'false' } });
    const own = await newUser(large);
    const socket = await connect(t, large.url);
    const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
    const most = 1 << 20;
    assert.match(await refused(socket, 'user_message', { conversationId, message: 'x'.repeat(most + 1) }), /longer than 1048576 bytes/);
    assert.match(await refused(socket, 'user_message', { conversationId, message: 'é'.repeat(most / 2 + 1) }), /longer than 1048576 bytes/);
    assert.deepEqual((await say(socket, 'x'.repeat(most), { conversationId })).names, ANSWERED);
    const gone = disconnected(socket);
    socket.emit('user_message', { conversationId, message: 'x'.repeat(3_000_000) });
    assert.match(await gone, /transport/);
    const { body } = await own.json('GET', `/api/conversations/${conversationId}`);
    assert.equal(body.messages.length, 3);
});

test('more than a line of messages', async (t) => {
    const held = gate();
    const openai = (await startOpenai(t)).care({ reply: () => ({ tokens: ['ok'], holdAfter: 0, gate: held.promise }) });
    const busy = await startServer(t, { env: { ...openai.env, CARE_SPEECH: 'false' } });
    const own = await newUser(busy);
    const socket = await connect(t, busy.url);
    const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
    const acks = await Promise.all(
        Array.from({ length: 66 }, (_, i) => socket.emitWithAck('user_message', { conversationId, message: `message ${i}` })),
    );
    assert.equal(acks.filter(({ ok }) => ok).length, 64);
    assert.deepEqual(acks.slice(64).map(({ code }) => code), ['TOO_MANY_TURNS', 'TOO_MANY_TURNS']);
    held.open();
    await until(socket, () => all(socket, 'ai_response').length === 64);
    await until(socket, () => told(socket).at(-1) === 'typing false');
    assert.equal((await own.json('GET', `/api/conversations/${conversationId}`)).body.messages.length, 129);
});

test('more than a user may ask for at a time, in many conversations', async (t) => {
    const held = gate();
    const openai = (await startOpenai(t)).care({ reply: () => ({ tokens: ['ok'], holdAfter: 0, gate: held.promise }) });
    const busy = await startServer(t, { env: { ...openai.env, CARE_SPEECH: 'false', THREADS: '1' } });
    const [own, other] = [await newUser(busy), await newUser(busy)];
    const [first, second, theirs] = await Promise.all([busy.url, busy.url, busy.url].map((url) => connect(t, url)));
    const calls = [];
    for (let i = 0; i < 5; i++) {
        calls.push((await start(first, { userId: own.user._id, isCallSimulator: true })).conversationId);
    }
    const ask = (socket, conversationId, userId = own.user._id) =>
        socket.emitWithAck('user_message', { conversationId, userId, message: 'Hello' });
    for (let i = 0; i < 128; i++) {
        assert.equal((await ask(i % 2 ? first : second, calls[i % 5])).ok, true);
    }
    assert.equal((await ask(first, calls[0])).code, 'TOO_MANY_TURNS');
    assert.equal((await ask(second, calls[4])).code, 'TOO_MANY_TURNS');
    const call = await start(theirs, { userId: other.user._id, isCallSimulator: true });
    assert.equal((await ask(theirs, call.conversationId, other.user._id)).ok, true);
    held.open();
    await until(first, () => all(first, 'ai_response').length === 128);
    await until(first, () => told(first).at(-1) === 'typing false');
    assert.equal((await ask(first, calls[0])).ok, true);
});

const broken = [
    ['a model that fails', { reply: failures.server(500) }],
    ['a model that breaks off before its first word', { reply: { tokens: [SECRET], cutAfter: 0 } }],
    ['a model that is refused', { reply: { status: 401, body: JSON.stringify({ error: { message: SECRET } }) } }],
    ['a model that answers with a page', { reply: failures.html() }],
];
for (const [name, plans] of broken) {
    test(`${name}: an apology, spoken`, async (t) => {
        const openai = (await startOpenai(t)).care(plans);
        const failing = await startServer(t, { env: openai.env });
        const own = await newUser(failing);
        const socket = await connect(t, failing.url);
        const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
        const { names, reply } = await say(socket, 'Hello', { conversationId });
        assert.deepEqual(names, ANSWERED);
        assert.match(reply.message, /sorry|apolog/i);
        assert.equal(reply.audioType, 'audio/mpeg');
        assert.ok(!JSON.stringify(socket.seen).includes(SECRET));
        const { body } = await own.json('GET', `/api/conversations/${conversationId}`);
        assert.deepEqual(body.messages.slice(1).map(({ role, content }) => [role, content]), [['user', 'Hello'], ['assistant', reply.message]]);
        openai.care({ reply: 'Back again.' });
        assert.equal((await say(socket, 'Still there?', { conversationId })).reply.message, 'Back again.');
    });
}

test('a service that dies in the middle of a turn, and stays away', async (t) => {
    const openai = (await startOpenai()).care({ reply: { hang: 'connection' } });
    const failing = await startServer(t, { env: openai.env });
    const own = await newUser(failing);
    const socket = await connect(t, failing.url);
    const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
    socket.emit('user_message', { conversationId, message: 'Hello' });
    while (openai.asked('reply').length === 0) {
        await openai.upstream.request(openai.upstream.requests.length + 1);
    }
    await openai.close();
    assert.deepEqual(await turnOver(socket), ANSWERED);
    const [first] = all(socket, 'ai_response')[0];
    assert.match(first.message, /sorry|apolog/i);
    assert.ok(!('audioData' in first) && !('audioType' in first), 'nobody is there to speak');
    assert.deepEqual((await say(socket, 'And now?', { conversationId })).names, ANSWERED);
});

const mute = [
    ['a voice that fails', failures.server(500)],
    ['a voice that breaks off', { cutAfter: 1, piece: 1000 }],
    ['a voice that says nothing', { empty: true }],
];
for (const [name, plan] of mute) {
    test(`${name}: the words alone`, async (t) => {
        const openai = (await startOpenai(t)).care({ reply: 'Just words, but a good many of them, so that speaking takes a while.' });
        openai.speech.always = plan;
        const failing = await startServer(t, { env: openai.env });
        const own = await newUser(failing);
        const socket = await connect(t, failing.url);
        const call = await start(socket, { userId: own.user._id, isCallSimulator: true });
        assert.deepEqual(Object.keys(call.welcomeMessage), ['role', 'content', 'timestamp']);
        const { names, reply } = await say(socket, 'Hello', { conversationId: call.conversationId });
        assert.deepEqual(names, ANSWERED);
        assert.match(reply.message, /^Just words/);
        assert.ok(!('audioData' in reply) && !('audioType' in reply));
    });
}

test('a slow voice: typing goes on until it has spoken', async (t) => {
    const held = gate();
    const openai = (await startOpenai(t)).care({ reply: 'At last.' });
    const slow = await startServer(t, { env: openai.env });
    const own = await newUser(slow);
    const socket = await connect(t, slow.url);
    const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
    openai.speech.always = { piece: 1000, holdAfter: 1, gate: held.promise };
    const spoken = openai.speech.requests.length;
    socket.emit('user_message', { conversationId, message: 'Hello' });
    await openai.speech.request(spoken + 1);
    assert.equal((await socket.emitWithAck('leave_conversation', { conversationId: NO_ID })).ok, true);
    assert.deepEqual(told(socket), ['typing true']);
    held.open();
    assert.deepEqual(await turnOver(socket), ANSWERED);
    assert.ok((await nth(socket, 'ai_response')).audioData);
});

test("a conversation that is deleted in the middle of its turn; an agent that is gone", async (t) => {
    const held = gate();
    const openai = (await startOpenai(t)).care({ reply: () => ({ tokens: ['Too late.'], holdAfter: 0, gate: held.promise }) });
    const other = await startServer(t, { env: { ...openai.env, CARE_SPEECH: 'false' } });
    const own = await newUser(other);
    const socket = await connect(t, other.url);
    const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
    socket.emit('user_message', { conversationId, message: 'Hello' });
    while (openai.asked('reply').length === 0) {
        await openai.upstream.request(openai.upstream.requests.length + 1);
    }
    assert.equal((await own.json('DELETE', `/api/conversations/${conversationId}`)).status, 200);
    held.open();
    const names = await turnOver(socket);
    assert.equal(names[0], 'typing true');
    assert.equal(names.at(-1), 'typing false');
    assert.equal(await refused(socket, 'user_message', { conversationId, message: 'Hello?' }), 'Conversation not found');
    openai.care({ reply: 'Still here.' });
    const agent = (await own.json('POST', '/api/agents', AGENT)).body;
    const wish = { userId: own.user._id, agentId: agent._id, agentInfo: INFO };
    const call = await start(socket, wish);
    assert.equal((await own.json('DELETE', `/api/agents/${agent._id}`)).status, 200);
    const { reply } = await say(socket, 'Are you there?', { conversationId: call.conversationId, ...wish });
    assert.equal(reply.message, 'Still here.');
});

test('a server that stops in the middle of turns ends in good order', async (t) => {
    const openai = (await startOpenai(t)).care({ reply: { hang: 'connection' } });
    const ending = await startServer(t, { env: { ...openai.env, CARE_SPEECH: 'false', DRAIN_TIMEOUT: '1s', THREADS: '2' } });
    const own = await newUser(ending);
    const sockets = [await connect(t, ending.url), await connect(t, ending.url)];
    for (const socket of sockets) {
        const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
        socket.emit('user_message', { conversationId, message: 'Hello' });
        await socket.emitWithAck('user_message', { conversationId, message: 'And this waits' });
    }
    while (openai.asked('reply').length < 2) {
        await openai.upstream.request(openai.upstream.requests.length + 1);
    }
    const gone = sockets.map(disconnected);
    await ending.stop();
    await Promise.all(gone);
});
