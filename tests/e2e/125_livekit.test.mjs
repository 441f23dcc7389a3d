// LiveKit for the clients of customer care: every row with its errors; tokens judged by the official SDK.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startLiveKit } from '../fake/livekit.mjs';
import { TokenVerifier } from './support/livekit_sdk.mjs';
import { startServer } from './support/server.mjs';

const SIX_HOURS = 6 * 3600;
const ROOM = { roomName: 'Küche 1/2', participantName: 'Ann Lee', participantIdentity: 'ann-1' };

const joinRows = ['/api/livekit/create-room', '/api/livekit/join-room', '/api/livekit/token'];
const textOf = { 'create-room': 'Failed to create room', 'join-room': 'Failed to join room', token: 'Failed to join room' };

async function start(t, { env = {}, ...options } = {}) {
    const livekit = await startLiveKit(t, options);
    const server = await startServer(t, { env: { UPSTREAM_RETRIES: '0', ...livekit.env, ...env } });
    return { livekit, server };
}

async function claimsOf(livekit, token) {
    const claims = await new TokenVerifier(livekit.key, livekit.secret).verify(token);
    const now = Math.floor(Date.now() / 1000);
    assert.ok(Math.abs(claims.exp - now - SIX_HOURS) < 120, 'valid for six hours');
    return claims;
}

function assertFailure(reply, status, text) {
    assert.deepEqual([reply.status, reply.body.error, reply.body.message], [status, text, text]);
}

test('create-room makes the room and both tokens', async (t) => {
    const { livekit, server } = await start(t);
    const { status, body } = await server.json('POST', '/api/livekit/create-room', ROOM);
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body), ['roomToken', 'participantToken', 'wsUrl', 'roomName']);
    assert.deepEqual([body.wsUrl, body.roomName], [livekit.wsUrl, ROOM.roomName]);
    const [call] = livekit.calls;
    assert.deepEqual([call.path, JSON.parse(call.body)], ['/twirp/livekit.RoomService/CreateRoom', { name: ROOM.roomName }]);
    const creator = await claimsOf(livekit, body.roomToken);
    const video = { roomJoin: true, room: ROOM.roomName, canPublish: true, canSubscribe: true };
    assert.deepEqual(creator, {
        ...{ name: 'Room Creator', video: { ...video, roomCreate: true }, iss: livekit.key, sub: 'room-creator' },
        ...{ nbf: 0, exp: creator.exp },
    });
    const guest = await claimsOf(livekit, body.participantToken);
    assert.deepEqual(guest, { name: 'Ann Lee', video, iss: livekit.key, sub: 'ann-1', nbf: 0, exp: guest.exp });
    const header = JSON.parse(Buffer.from(body.participantToken.split('.')[0], 'base64url').toString());
    assert.equal(header.alg, 'HS256');
});

test('join-room asks nobody; token has the names of the document beside', async (t) => {
    const { livekit, server } = await start(t);
    const joined = await server.json('POST', '/api/livekit/join-room', ROOM);
    assert.equal(joined.status, 200);
    assert.deepEqual(Object.keys(joined.body), ['participantToken', 'wsUrl', 'roomName']);
    assert.equal((await claimsOf(livekit, joined.body.participantToken)).video.roomCreate, undefined);
    const { body } = await server.json('POST', '/api/livekit/token', ROOM);
    assert.deepEqual(Object.keys(body), ['participantToken', 'wsUrl', 'roomName', 'token', 'url']);
    assert.deepEqual([body.token, body.url], [body.participantToken, body.wsUrl]);
    assert.equal((await claimsOf(livekit, body.token)).sub, 'ann-1');
    assert.equal(livekit.calls.length, 0);
});

test('create-test-room', async (t) => {
    const { livekit, server } = await start(t);
    const { status, body } = await server.json('POST', '/api/livekit/create-test-room');
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body), ['name', 'token', 'wsUrl']);
    assert.deepEqual([body.name, body.wsUrl], ['test-room', livekit.wsUrl]);
    const claims = await claimsOf(livekit, body.token);
    assert.deepEqual([claims.sub, claims.name, claims.video.room], ['test-user', 'Test User', 'test-room']);
    const sent = { name: 'test-room', empty_timeout: 600, max_participants: 20 };
    assert.deepEqual(JSON.parse(livekit.calls[0].body), sent);
});

test('room takes either name and its limits', async (t) => {
    const { livekit, server } = await start(t);
    const { status, body } = await server.json('POST', '/api/livekit/room', { name: 'a', emptyTimeout: 30, maxParticipants: 4 });
    assert.equal(status, 200);
    assert.deepEqual([body.name, body.roomName, body.wsUrl], ['a', 'a', livekit.wsUrl]);
    assert.equal((await claimsOf(livekit, body.roomToken)).sub, 'room-creator');
    assert.deepEqual(JSON.parse(livekit.calls[0].body), { name: 'a', empty_timeout: 30, max_participants: 4 });
    assert.equal((await server.json('POST', '/api/livekit/room', { roomName: 'b', emptyTimeout: null })).body.name, 'b');
    assertFailure(await server.json('POST', '/api/livekit/room', {}), 400, 'Missing required parameters');
    for (const wrong of [{ emptyTimeout: -1 }, { emptyTimeout: 1e9 }, { emptyTimeout: '30' }, { maxParticipants: 1.5 }]) {
        const reply = await server.json('POST', '/api/livekit/room', { name: 'c', ...wrong });
        assert.deepEqual([reply.status, reply.body.code], [400, 'INVALID_REQUEST'], JSON.stringify(wrong));
    }
    assert.equal(livekit.calls.length, 2);
});

test('rooms are listed as the official client has them, and deleted under both names', async (t) => {
    const { livekit, server } = await start(t);
    assert.deepEqual((await server.json('GET', '/api/livekit/rooms')).body, []);
    for (const name of ['one', 'zwei 2 %41']) {
        await server.json('POST', '/api/livekit/room', { name, emptyTimeout: 60 });
    }
    const { status, body } = await server.json('GET', '/api/livekit/rooms');
    assert.equal(status, 200);
    assert.ok(Math.abs(body[0].creationTime - Date.now() / 1000) < 60, 'a number of seconds');
    assert.deepEqual(body[0], {
        ...{ sid: 'RM_1', name: 'one', emptyTimeout: 60, departureTimeout: 20, maxParticipants: 0 },
        ...{ creationTime: body[0].creationTime, metadata: '', numParticipants: 0, numPublishers: 0, activeRecording: false },
    });
    for (const path of ['rooms/one', `room/${encodeURIComponent('zwei 2 %41')}`]) {
        const deleted = await server.json('DELETE', `/api/livekit/${path}`);
        assert.deepEqual([deleted.status, deleted.body], [200, { message: 'Room deleted successfully' }]);
    }
    assert.equal(livekit.rooms.size, 0);
    assertFailure(await server.json('DELETE', '/api/livekit/rooms/one'), 404, 'Failed to delete room');
    assert.equal((await server.json('DELETE', `/api/livekit/rooms/${'x'.repeat(257)}`)).status, 400);
});

test('answers of other shapes: camelCase, numbers, members left out, nonsense', async (t) => {
    const { livekit, server } = await start(t);
    const list = async (body) => {
        livekit.next({ status: 200, body: typeof body === 'string' ? body : JSON.stringify(body) });
        return server.json('GET', '/api/livekit/rooms');
    };
    assert.deepEqual((await list({})).body, []);
    assert.deepEqual((await list({ rooms: null })).body, []);
    const [room] = (await list({ rooms: [{ name: 'x', numParticipants: 2, creationTime: '7' }] })).body;
    assert.deepEqual([room.name, room.sid, room.numParticipants, room.creationTime], ['x', '', 2, 7]);
    assert.deepEqual((await list({ rooms: [1, null, 'x'] })).body, []);
    for (const body of ['', '[]', 'null', '{"rooms":{}}', '<html>', '{"rooms":[', `${'['.repeat(500)}`]) {
        assertFailure(await list(body), 500, 'Failed to list rooms');
    }
});

test('what is missing or wrong in a request', async (t) => {
    const { livekit, server } = await start(t);
    for (const path of joinRows) {
        for (const name of Object.keys(ROOM)) {
            for (const value of [undefined, null, '', '  ', 5, {}, ['x']]) {
                const reply = await server.json('POST', path, { ...ROOM, [name]: value });
                assertFailure(reply, 400, 'Missing required parameters');
            }
            for (const value of ['x'.repeat(257), 'a\nb', 'nul\0']) {
                const reply = await server.json('POST', path, { ...ROOM, [name]: value });
                assert.deepEqual([reply.status, reply.body.code], [400, 'INVALID_REQUEST']);
                assert.ok(reply.body.error.startsWith(name), reply.body.error);
            }
        }
        assertFailure(await server.json('POST', path), 400, 'Missing required parameters');
        const broken = await server.fetch(path, { method: 'POST', body: '{"roomName":' });
        assert.equal(broken.status, 400);
        assert.equal((await server.json('POST', path, { ...ROOM, more: 'x'.repeat(70000) })).status, 413);
    }
    assert.equal(livekit.calls.length, 0);
    const longest = { ...ROOM, participantIdentity: 'ü'.repeat(128) };
    const { body } = await server.json('POST', '/api/livekit/join-room', longest);
    assert.equal((await claimsOf(livekit, body.participantToken)).sub, longest.participantIdentity);
});

test('a server that says nothing is given up', async (t) => {
    const { livekit, server } = await start(t, { env: { UPSTREAM_FIRST_BYTE_TIMEOUT: '300ms' } });
    livekit.next({ hang: true });
    const reply = await server.json('GET', '/api/livekit/rooms');
    assertFailure(reply, 500, 'Failed to list rooms');
    assert.equal(reply.body.code, 'TIMEOUT');
    await livekit.calls[0].ended;
});

/** Every row that asks the server, with its text. */
const upstreamRows = [
    ['POST', '/api/livekit/create-room', ROOM, 'Failed to create room'],
    ['POST', '/api/livekit/create-test-room', undefined, 'Failed to create test room'],
    ['POST', '/api/livekit/room', { name: 'a' }, 'Failed to create room'],
    ['GET', '/api/livekit/rooms', undefined, 'Failed to list rooms'],
    ['DELETE', '/api/livekit/rooms/a', undefined, 'Failed to delete room'],
    ['DELETE', '/api/livekit/room/a', undefined, 'Failed to delete room'],
];

test('without keys every row says its text, after what is missing', async (t) => {
    const server = await startServer(t, { env: { LIVEKIT_URL: 'wss://livekit.example' } });
    for (const [method, path, body, text] of upstreamRows) {
        const reply = await server.json(method, path, body);
        assertFailure(reply, 500, text);
        assert.equal(reply.body.code, 'NOT_CONFIGURED');
    }
    for (const path of joinRows) {
        assertFailure(await server.json('POST', path, ROOM), 500, textOf[path.split('/').pop()]);
        assertFailure(await server.json('POST', path, {}), 400, 'Missing required parameters');
    }
    assert.equal((await server.json('POST', '/api/livekit/webhook', { event: 'x' })).status, 500);
});

test('a server that refuses, breaks or is away: the same texts, and nothing of what it said', async (t) => {
    const { livekit, server } = await start(t, { env: { UPSTREAM_BREAKER_FAILURES: '0' } });
    const said = 'internal-detail-of-the-server';
    const plans = [
        { status: 401, body: `invalid API key ${said}` },
        { status: 401, body: `{"code":"unauthenticated","msg":"${said}"}` },
        { status: 404, body: `{"code":"bad_route","msg":"${said}"}` },
        { status: 500, body: `{"code":"${said}"}` },
        { status: 503, body: '{"code":"unavailable"}' },
    ];
    for (const plan of plans) {
        for (const [method, path, body, text] of upstreamRows) {
            livekit.next(plan);
            const reply = await server.json(method, path, body);
            assertFailure(reply, 500, text);
            assert.ok(!reply.text.includes(said));
        }
    }
    await livekit.close();
    for (const [method, path, body, text] of upstreamRows) {
        assertFailure(await server.json(method, path, body), 500, text);
    }
    assert.ok(!server.stderr.includes(said) && !server.stderr.includes(livekit.secret));
    assert.match(server.stderr, /event=refused [^\n]*method=ListRooms status=401 code=unauthenticated/);
});

test('where clients connect', async (t) => {
    for (const [given, wsUrl] of [
        ['livekit.example', 'wss://livekit.example'],
        ['https://livekit.example/', 'wss://livekit.example'],
        ['wss://livekit.example:7443//', 'wss://livekit.example:7443'],
        ['ws://127.0.0.1:7880/', 'ws://127.0.0.1:7880'],
        ['http://127.0.0.1:7880/behind/', 'ws://127.0.0.1:7880/behind'],
    ]) {
        const env = { LIVEKIT_WS_URL: given, LIVEKIT_API_KEY: 'k', LIVEKIT_API_SECRET: 's'.repeat(40) };
        const server = await startServer(t, { env });
        assert.equal((await server.json('POST', '/api/livekit/join-room', ROOM)).body.wsUrl, wsUrl, given);
    }
});
