// Two users of customer care, and strangers: nobody sees, hears or changes what is another's. Ids are guessed (the tests know
// them all), over REST, events, every socket and every dialect. Who may name which user: 122_care_claims.test.mjs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { gate } from '../fake/upstream.mjs';
import { startOpenai } from '../fake/openai.mjs';
import { pcm, wav } from '../fake/tone.mjs';
import { AGENT, newUser, say, start, told, turnOver } from './support/care_users.mjs';
import { startServer } from './support/server.mjs';
import { connect, until } from './support/socketio.mjs';

const openai = (await startOpenai({ after })).care({ reply: 'Owned words.' });
const server = await startServer({ after }, { env: { ...openai.env, CARE_SPEECH: 'false', LLM_PROVIDER: 'openai' } });
const SECRET = 'the secret of the first user';
let owner, other, agent, own, snapshot;

/** All that the owner can see of the conversation and the agent. */
async function look() {
    const [conversation, messages, agents, list, stats] = await Promise.all([
        owner.json('GET', `/api/conversations/${own}`),
        owner.json('GET', `/api/conversations/${own}/messages`),
        owner.json('GET', '/api/agents'),
        owner.json('GET', '/api/conversations'),
        owner.json('GET', `/api/conversations/stats/user/${owner.user._id}`),
    ]);
    return [conversation, messages, agents, list, stats].map(({ status, body }) => ({ status, body }));
}

before(async () => {
    owner = await newUser(server, 'First');
    other = await newUser(server, 'Second');
    agent = (await owner.json('POST', '/api/agents', { ...AGENT, companyInfo: SECRET })).body;
    own = (await owner.json('POST', '/api/conversations', { agentId: agent._id })).body._id;
    await owner.json('POST', `/api/conversations/${own}/messages`, { content: SECRET, role: 'user' });
    snapshot = await look();
    assert.deepEqual(snapshot.map(({ status }) => status), [200, 200, 200, 200, 200]);
});

const mute = (answer) => assert.ok(!answer.text.includes(SECRET) && !answer.text.includes('Owned words'), answer.text);

test("another user's requests with the ids of the first", async () => {
    const requests = [
        ['GET', `/api/agents/${agent._id}`, undefined, 404],
        ['PUT', `/api/agents/${agent._id}`, { ...agent, name: 'Taken' }, 404],
        ['DELETE', `/api/agents/${agent._id}`, undefined, 404],
        ['POST', `/api/agents/${agent._id}/test`, { message: 'What do you know?' }, 404],
        ['GET', `/api/company-agents/${agent._id}`, undefined, 404],
        ['GET', `/api/conversations/${own}`, undefined, 404],
        ['PUT', `/api/conversations/${own}`, { title: 'Taken' }, 404],
        ['DELETE', `/api/conversations/${own}`, undefined, 404],
        ['GET', `/api/conversations/${own}/messages`, undefined, 404],
        ['POST', `/api/conversations/${own}/messages`, { content: 'Hello', role: 'user' }, 404],
        ['POST', `/api/conversations/${own}/messages`, { content: 'I am your agent', role: 'assistant' }, 404],
        ['POST', `/api/conversations/${own}/messages`, { content: 'Obey', role: 'system' }, 404],
        ['PUT', `/api/conversations/${own}/end`, undefined, 404],
        ['PUT', `/api/conversations/${own}/update-title`, undefined, 404],
        ['GET', `/api/conversations/${own}/events`, undefined, 404],
        ['GET', `/api/conversations/stats/user/${owner.user._id}`, undefined, 403],
    ];
    for (const [method, path, body, status] of requests) {
        const answer = await other.json(method, path, body);
        assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
        mute(answer);
        const nobody = await server.json(method, path, body);
        assert.equal(nobody.status, 401, `${method} ${path}: ${nobody.text}`);
        mute(nobody);
    }
    const form = new FormData();
    form.append('audio', new Blob([wav(pcm(1, 16000), 16000)], { type: 'audio/wav' }));
    form.append('transcript', 'Hello');
    const sent = await server.fetch(`/api/conversations/${own}/audio`, { method: 'POST', headers: other.headers, body: form });
    assert.equal(sent.status, 404);
    const made = await other.json('POST', '/api/conversations', { agentId: agent._id });
    assert.ok(made.status === 404 || made.status === 400, made.text);
    mute(made);
    assert.deepEqual(await look(), snapshot);
});

test("another user's lists and figures", async () => {
    for (const path of ['/api/agents', '/api/conversations', `/api/conversations?agentId=${agent._id}`, '/api/company-agents']) {
        const answer = await other.json('GET', path);
        assert.deepEqual(answer.body, [], path);
    }
    assert.equal((await server.json('GET', '/api/conversations')).text.includes(own), false, 'nor is it among those of nobody');
    const { body: stats } = await other.json('GET', `/api/conversations/stats/user/${other.user._id}`);
    assert.deepEqual([stats.totalCalls, stats.totalMessages, stats.lastActivity], [0, 0, null]);
    const { body: again } = await other.json('POST', '/api/conversations/reanalyze-sentiment', {});
    assert.equal(again.totalConversations, 0);
    assert.deepEqual(await look(), snapshot);
});

test('dialects that have no accounts', async (t) => {
    const asked = openai.upstream.requests.length;
    const posts = [
        { message: 'Hello', conversationId: own },
        { message: 'Hello', conversationId: own, stream: true },
        { message: 'Hello', conversationId: own, clientMessageId: 'x' },
    ];
    for (const body of posts) {
        const answer = await server.json('POST', '/api/chat', body);
        assert.equal(answer.status, 404, answer.text);
        mute(answer);
    }
    const pichat = new WebSocket(`${server.wsUrl}/ws`);
    t.after(() => pichat.close());
    await new Promise((resolve) => pichat.once('open', resolve));
    const frames = [];
    const turn = (frame) =>
        new Promise((resolve) => {
            pichat.once('message', (data) => {
                frames.push(String(data));
                resolve(JSON.parse(data));
            });
            pichat.send(JSON.stringify(frame));
        });
    const history = await turn({ type: 'GET_CHAT_HISTORY', payload: { chatId: own } });
    assert.deepEqual(history.messages, []);
    const chats = await turn({ type: 'GET_CHATS' });
    assert.deepEqual(chats.chats, []);
    const said = await turn({ type: 'SEND_MESSAGE', payload: { chatId: own, content: 'Hello' } });
    assert.equal(said.type, 'ERROR');
    const deleted = await turn({ type: 'DELETE_CHAT', payload: { chatId: own } });
    assert.ok(['CHAT_DELETED', 'ERROR'].includes(deleted.type));
    assert.ok(!frames.join().includes(SECRET));
    assert.equal(openai.upstream.requests.length, asked, 'no model was asked');
    assert.deepEqual(await look(), snapshot);
});

test("another user's socket", async (t) => {
    const socket = await connect(t, server.url);
    await start(socket, { userId: other.user._id, isCallSimulator: true });
    const asked = openai.upstream.requests.length;
    const mine = { conversationId: own };
    const tries = [
        ['join_conversation', own],
        ['join_conversation', mine],
        ['join_conversation', { ...mine, userId: other.user._id }],
        ['user_message', { ...mine, message: 'Hello' }],
        ['user_message', { ...mine, message: 'Hello', userId: other.user._id }],
        ['user_message', { ...mine, message: 'Hello', agentId: agent._id, agentInfo: {} }],
        ['stream_chat', { ...mine, message: 'Hello' }],
        ['typing_start', mine],
        ['typing_stop', mine],
        ['message_read', { ...mine, messageId: snapshot[0].body.messages[0]._id }],
        ['cancel_stream', mine],
    ];
    for (const [event, args] of tries) {
        const answer = await socket.emitWithAck(event, args);
        assert.equal(answer.ok, false, event);
        assert.equal(answer.code, 'CONVERSATION_NOT_FOUND', event);
    }
    assert.equal(openai.upstream.requests.length, asked, 'no model was asked');
    const theirs = { userId: other.user._id, agentId: agent._id };
    const refused = await socket.emitWithAck('start_conversation', { ...theirs, agentInfo: {} });
    assert.equal(refused.ok, false, "the first user's agent is none of this one's");
    const info = { name: 'Mine', company: 'Mine', personality: 'mine', companyInfo: 'mine', prompts: [] };
    const call = await start(socket, { ...theirs, agentInfo: info });
    assert.match(call.welcomeMessage.content, /I'm Mine/);
    await say(socket, 'What do you know?', { conversationId: call.conversationId });
    assert.ok(!openai.asked('reply').at(-1).raw.includes(SECRET));
    assert.ok(!JSON.stringify(socket.seen).includes(SECRET));
    assert.deepEqual(await look(), snapshot);
});

test('what happens in a call is heard by its user alone', async (t) => {
    const held = gate();
    openai.care({ reply: () => ({ tokens: ['Only for me.'], holdAfter: 0, gate: held.promise }), sentiment: 'urgent' });
    t.after(() => openai.care({ reply: 'Owned words.' }));
    const mine = await connect(t, server.url);
    const call = await start(mine, { userId: owner.user._id, isCallSimulator: true });
    const outsiders = [await connect(t, server.url), await connect(t, server.url), await connect(t, server.url)];
    await start(outsiders[0], { userId: other.user._id, isCallSimulator: true });
    await outsiders[0].emitWithAck('join_conversation', call.conversationId);
    await outsiders[1].emitWithAck('join_conversation', call.conversationId); // names nobody
    await outsiders[2].emitWithAck('join_conversation', `care:call:${call.conversationId}`); // as if it knew the room
    await outsiders[2].emitWithAck('join_conversation', `care:user:${owner.user._id}`);
    const marks = outsiders.map(({ seen }) => seen.length);
    mine.emit('user_message', { conversationId: call.conversationId, message: 'My house is on fire!' });
    while (openai.asked('reply').at(-1)?.body.messages.at(-1).content !== 'My house is on fire!') {
        await openai.upstream.request(openai.upstream.requests.length + 1);
    }
    const stop = await outsiders[0].emitWithAck('cancel_stream', { conversationId: call.conversationId });
    assert.equal(stop.ok, false, 'nor can the reply be stopped by others');
    const errors = outsiders.map(({ seen }) => seen.length);
    held.open();
    assert.deepEqual(await turnOver(mine), ['typing true', 'ai_response', 'typing false']);
    await until(mine, (seen) => seen.some(([name]) => name === 'conversation_priority'));
    for (const [i, socket] of outsiders.entries()) {
        await socket.emitWithAck('leave_conversation', call.conversationId);
        const heard = socket.seen.slice(marks[i]).filter(([name]) => name !== 'error');
        assert.deepEqual(heard, []);
        assert.equal(socket.seen.length, errors[i]);
    }
    await owner.json('DELETE', `/api/conversations/${call.conversationId}`);
});

test('a socket that turns to another user hears nothing of the first any more', async (t) => {
    const socket = await connect(t, server.url);
    const call = await start(socket, { userId: owner.user._id, isCallSimulator: true });
    const tab = await connect(t, server.url);
    await start(tab, { userId: owner.user._id, isCallSimulator: true }).then(({ conversationId }) => (tab.call = conversationId));
    await tab.emitWithAck('join_conversation', call.conversationId);
    await start(socket, { userId: other.user._id, isCallSimulator: true });
    const from = socket.seen.length;
    assert.equal((await say(tab, 'Still mine', { conversationId: call.conversationId })).reply.message, 'Owned words.');
    const refused = await socket.emitWithAck('user_message', { conversationId: call.conversationId, message: 'Mine?' });
    assert.equal(refused.code, 'CONVERSATION_NOT_FOUND');
    assert.deepEqual(told(socket, from), ['typing true', 'error', 'typing false']);
    for (const id of [call.conversationId, tab.call]) {
        await owner.json('DELETE', `/api/conversations/${id}`);
    }
});

test("a private session that is guessed is nobody's", async (t) => {
    const socket = await connect(t, server.url, { auth: { recovery: true } });
    const { conversationId } = await start(socket, { userId: owner.user._id, isCallSimulator: true });
    const pid = socket._pid;
    assert.ok(pid);
    const last = pid.at(-1) === 'A' ? 'B' : 'A';
    for (const guess of [pid.slice(0, -1) + last, pid.slice(0, -1), socket.id, '']) {
        const thief = await connect(t, server.url, { auth: { pid: guess, offset: socket._lastOffset } });
        assert.equal(thief.recovered, false);
        const answer = await thief.emitWithAck('user_message', { conversationId, message: 'Hello' });
        assert.equal(answer.code, 'UNAUTHORIZED');
    }
    assert.ok(socket.connected);
    await owner.json('DELETE', `/api/conversations/${conversationId}`);
});

test('recordings and replies are served by their names alone, which are not guessed', async () => {
    const voiced = await startServer({ after }, { env: { TTS_PROVIDER: 'local' } });
    const speaker = await newUser(voiced);
    const made = await speaker.json('POST', '/api/conversations', { isCallSimulator: true });
    const { audioUrl } = made.body.messages[0];
    assert.equal((await voiced.fetch(audioUrl)).status, 200);
    const [, head, tail] = /^(.*-)([^-]+)\.mp3$/.exec(audioUrl);
    assert.ok(tail.length >= 8, `${tail} cannot be guessed`);
    for (const guess of [`${head.slice(0, -1)}.mp3`, `${head}${'0'.repeat(tail.length)}.mp3`, '/audio/', '/audio', '/public/audio/', '/uploads/', '/audio/..%2f', '/audio/%2e%2e/parley.db']) {
        const answer = await voiced.fetch(guess);
        assert.ok([400, 404].includes(answer.status), `${guess}: ${answer.status}`);
    }
    await speaker.json('DELETE', `/api/conversations/${made.body._id}`);
    assert.equal((await voiced.fetch(audioUrl)).status, 404);
});
