// Who may act for which user on a customer-care socket: in development and in production, with a token and without one,
// and with OPEN_DIALECTS (section 5 of the clients' contract).
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { NO_ID, newUser, say, start } from './support/care_users.mjs';
import { startServer, temporaryFolder } from './support/server.mjs';
import { all, connect } from './support/socketio.mjs';

const JWT_SECRET = 'qL7x2Vb9sK4mTz8wRc1nYf6hJd3gPa5eUo0i';
const API_TOKEN = 'a-long-enough-token-for-tests';
const PRODUCTION = { ENVIRONMENT: 'production', JWT_SECRET, API_TOKEN, CARE_SPEECH: 'false' };
const TURN = ['typing true', 'ai_response', 'typing false'];
const PLEASE = 'Please authenticate.';

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function forge({ userId, secret = JWT_SECRET, alg = 'HS256', life = 3600, algorithm = 'sha256' }) {
    const now = Math.floor(Date.now() / 1000);
    const text = `${base64({ alg, typ: 'JWT' })}.${base64({ userId, iat: now - 10, exp: now + life })}`;
    return `${text}.${alg === 'none' ? '' : createHmac(algorithm, secret).update(text).digest('base64url')}`;
}

/** What comes of start_conversation: "ok", or the details of its error. */
async function tryStart(socket, userId) {
    const before = all(socket, 'error').length;
    const answer = await socket.emitWithAck('start_conversation', { userId, isCallSimulator: true });
    if (answer.ok) {
        return 'ok';
    }
    const [error] = all(socket, 'error')[before];
    assert.equal(error.message, 'Failed to start conversation');
    assert.equal(error.details, answer.error);
    return error.details;
}

const ways = {
    'auth.token': (token) => ({ auth: { token } }),
    'the header': (token) => ({ extraHeaders: { authorization: `Bearer ${token}` } }),
    'the header, polling': (token) => ({ extraHeaders: { authorization: `Bearer ${token}` }, transports: ['polling'] }),
    'the header, without its scheme': (token) => ({ extraHeaders: { authorization: token } }),
    'both, with the API token in the header': (token) => ({ auth: { token }, extraHeaders: { authorization: `Bearer ${API_TOKEN}` } }),
};

test('production: a user who shows a token, in any way, is that user and no other', async (t) => {
    const server = await startServer(t, { env: PRODUCTION });
    const [own, other] = [await newUser(server), await newUser(server)];
    for (const [name, way] of Object.entries(ways)) {
        const socket = await connect(t, server.url, way(own.token));
        assert.equal(await tryStart(socket, other.user._id), PLEASE, name);
        assert.equal(await tryStart(socket, NO_ID), PLEASE, name);
        const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
        assert.deepEqual((await say(socket, 'Hello', { conversationId })).names, TURN, name);
        const refused = await socket.emitWithAck('user_message', { conversationId, message: 'Hello', userId: other.user._id });
        assert.equal(refused.error, PLEASE, name);
        const chat = await socket.emitWithAck('stream_chat', { message: 'Hello' });
        assert.equal(chat.ok, true, `${name}: a user comes into every dialect`);
        socket.close();
    }
});

test('production: without a token, or with one that is not good, nobody comes in', async (t) => {
    const server = await startServer(t, { env: PRODUCTION });
    const own = await newUser(server);
    const { userId } = { userId: own.user._id };
    const forged = {
        'another key': forge({ userId, secret: 'another-key-of-thirty-two-bytes-or-more' }),
        'no signature': forge({ userId, alg: 'none' }),
        'another algorithm': forge({ userId, alg: 'HS512', algorithm: 'sha512' }),
        expired: forge({ userId, life: -5 }),
        tampered: own.token.replace(/\.[^.]*\./, `.${base64({ userId, iat: 1, exp: 9999999999 })}.`),
        'no token': undefined,
        nonsense: 'a.b.c',
    };
    for (const [name, token] of Object.entries(forged)) {
        for (const options of [{ auth: { token } }, token ? { extraHeaders: { authorization: `Bearer ${token}` } } : {}]) {
            const refused = await connect(t, server.url, options).catch((error) => error);
            assert.equal(refused.message, PLEASE, name);
            assert.deepEqual(refused.data, { code: 'UNAUTHORIZED' }, name);
        }
        const socket = await connect(t, server.url, { auth: { token }, extraHeaders: { authorization: `Bearer ${API_TOKEN}` } });
        assert.equal(await tryStart(socket, userId), PLEASE, `${name}: the API token is no user`);
        const [error] = await socket.emitWithAck('user_message', { conversationId: NO_ID, message: 'x', userId }).then(({ error: text }) => [text]);
        assert.equal(error, PLEASE);
        socket.close();
    }
    assert.ok(!server.stderr.includes(own.token));
});

test('production with OPEN_DIALECTS=care: sockets name their user; the chat dialect stays closed', async (t) => {
    const server = await startServer(t, { env: { ...PRODUCTION, OPEN_DIALECTS: 'care' } });
    const [own, other] = [await newUser(server), await newUser(server)];
    const socket = await connect(t, server.url);
    assert.equal(await tryStart(socket, NO_ID), 'User not found');
    const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
    assert.deepEqual((await say(socket, 'Hello', { conversationId })).names, TURN);
    for (const [event, args] of [
        ['stream_chat', { message: 'Hello' }],
        ['stream_chat', { message: 'Hello', conversationId: 'mine' }],
        ['join_conversation', 'mine'],
        ['join_conversation', NO_ID],
        ['typing_start', { conversationId: 'mine' }],
        ['message_read', { conversationId: 'mine', messageId: 'x' }],
        ['cancel_stream', { conversationId: 'mine' }],
    ]) {
        const answer = await socket.emitWithAck(event, args);
        assert.equal(answer.code, 'UNAUTHORIZED', event);
    }
    assert.equal(all(socket, 'stream_error').length, 2);
    assert.equal((await server.json('GET', '/api/conversations')).status, 401);
    assert.equal((await socket.emitWithAck('join_conversation', conversationId)).ok, true);
    const shown = await connect(t, server.url, { auth: { token: own.token } });
    assert.equal(await tryStart(shown, other.user._id), PLEASE, 'who shows a token is held to it');
    assert.equal(await tryStart(shown, own.user._id), 'ok');
    const forged = await connect(t, server.url, { auth: { token: forge({ userId: own.user._id, secret: 'x'.repeat(32) }) } });
    assert.equal(await tryStart(forged, own.user._id), PLEASE);
    const page = await connect(t, server.url, { extraHeaders: { origin: 'https://elsewhere.example' } }).catch((error) => error);
    assert.ok(page instanceof Error, "another origin's page is refused");
});

test('production with OPEN_DIALECTS=chat: no user without a token', async (t) => {
    const server = await startServer(t, { env: { ...PRODUCTION, OPEN_DIALECTS: 'chat' } });
    const own = await newUser(server);
    const socket = await connect(t, server.url);
    assert.equal(await tryStart(socket, own.user._id), PLEASE);
    assert.equal((await socket.emitWithAck('stream_chat', { message: 'Hello' })).ok, true);
});

test('development: sockets name their user; a token that is shown counts', async (t) => {
    const server = await startServer(t, { env: { JWT_SECRET, API_TOKEN, CARE_SPEECH: 'false' } });
    const [own, other] = [await newUser(server), await newUser(server)];
    const open = await connect(t, server.url);
    assert.equal(await tryStart(open, own.user._id), 'ok');
    assert.equal(await tryStart(open, other.user._id), 'ok');
    assert.equal(await tryStart(open, NO_ID), 'User not found');
    for (const [name, way] of Object.entries(ways)) {
        const socket = await connect(t, server.url, way(own.token));
        assert.equal(await tryStart(socket, other.user._id), PLEASE, name);
        assert.equal(await tryStart(socket, own.user._id), 'ok', name);
        socket.close();
    }
    const expired = await connect(t, server.url, { auth: { token: forge({ userId: own.user._id, life: -5 }) } });
    assert.equal(await tryStart(expired, own.user._id), PLEASE);
    for (const token of [API_TOKEN, 7, null, {}, '']) {
        const socket = await connect(t, server.url, { auth: { token } });
        assert.equal(await tryStart(socket, own.user._id), 'ok', `${token} is no user's token`);
        socket.close();
    }
});

for (const threads of ['1', '4']) {
    test(`a token ends with its password, for sockets too, ${threads} threads`, async (t) => {
        const server = await startServer(t, { env: { ...PRODUCTION, THREADS: threads } });
        const own = await newUser(server);
        const socket = await connect(t, server.url, { auth: { token: own.token } });
        const silent = await connect(t, server.url, { auth: { token: own.token } });
        const { conversationId } = await start(socket, { userId: own.user._id, isCallSimulator: true });
        await silent.emitWithAck('join_conversation', conversationId);
        const changed = await own.json('PUT', '/api/auth/profile', { password: 'Rainy5day' });
        assert.equal(changed.status, 200, changed.text);
        assert.equal((await socket.emitWithAck('user_message', { conversationId, message: 'Hello' })).error, PLEASE);
        const { body } = await server.json('POST', '/api/auth/login', { email: own.form.email, password: 'Rainy5day' });
        const again = await connect(t, server.url, { auth: { token: body.token } });
        const from = socket.seen.length;
        assert.deepEqual((await say(again, 'Hello', { conversationId })).names, TURN);
        for (const old of [socket, silent]) {
            await old.emitWithAck('leave_conversation', conversationId);
        }
        assert.equal(socket.seen.length, from, 'nor does it hear of the conversation');
        assert.deepEqual(silent.seen, [], 'nor one that asked for nothing since');
    });
}

test('a reload opens customer care, and closes it again, also to those who are there', async (t) => {
    const folder = await temporaryFolder();
    const write = (open) => writeFile(path.join(folder, '.env'), `OPEN_DIALECTS=${open}\n`);
    await write('chat');
    const server = await startServer(t, { env: PRODUCTION, folder });
    const own = await newUser(server);
    const socket = await connect(t, server.url);
    const outcome = async (wanted) => {
        while ((await tryStart(socket, own.user._id)) !== wanted) {
            // until the reload took effect
        }
    };
    assert.equal(await tryStart(socket, own.user._id), PLEASE);
    await write('chat,care');
    server.child.kill('SIGHUP');
    await outcome('ok');
    const { conversationId } = all(socket, 'conversation_started')[0][0];
    await write('chat');
    server.child.kill('SIGHUP');
    await outcome(PLEASE);
    assert.equal((await socket.emitWithAck('user_message', { conversationId, message: 'Hello' })).error, PLEASE);
});
