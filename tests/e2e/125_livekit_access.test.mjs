// Who may ask for LiveKit's rooms in production, and webhooks: what came untouched from LiveKit, and what did not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startLiveKit } from '../fake/livekit.mjs';
import { startServer } from './support/server.mjs';

const ROOM = { roomName: 'desk', participantName: 'Ann', participantIdentity: 'ann' };
const API_TOKEN = 'api-token-abcdefghij0123456789';
const PRODUCTION = { ENVIRONMENT: 'production', JWT_SECRET: 'and7c2lnbmluZy1zZWNyZXQtb2YtdGhlLXRlc3Q5ODc2NTQz', API_TOKEN };
const ROWS = [
    ['POST', '/api/livekit/create-room', ROOM],
    ['POST', '/api/livekit/join-room', ROOM],
    ['POST', '/api/livekit/token', ROOM],
    ['POST', '/api/livekit/create-test-room'],
    ['POST', '/api/livekit/room', { name: 'desk' }],
    ['GET', '/api/livekit/rooms'],
    ['DELETE', '/api/livekit/rooms/desk'],
    ['DELETE', '/api/livekit/room/test-room'],
];

async function start(t, env = {}) {
    const livekit = await startLiveKit(t);
    const server = await startServer(t, { env: { ...livekit.env, ...env } });
    return { livekit, server, hook: `${server.url}/api/livekit/webhook` };
}

async function assertRows(server, headers, status) {
    for (const [method, path, body] of ROWS) {
        const reply = await server.json(method, path, body, headers);
        assert.equal(reply.status, status, `${method} ${path}: ${reply.text}`);
    }
}

test('in production they are for users, the API token, or who opens the dialect', async (t) => {
    const { livekit, server } = await start(t, PRODUCTION);
    await assertRows(server, {}, 401);
    await assertRows(server, { authorization: 'Bearer not-a-token' }, 401);
    assert.equal(livekit.calls.length, 0, 'nothing was asked for a stranger');
    await assertRows(server, { authorization: `Bearer ${API_TOKEN}` }, 200);
    const user = { name: 'Ann', email: 'ann@example.com', password: 'Sunny-Day-7' };
    const registered = await server.json('POST', '/api/auth/register', user);
    assert.equal(registered.status, 201, registered.text);
    await assertRows(server, { authorization: `Bearer ${registered.body.token}` }, 200);
    await assertRows(server, { authorization: `Bearer ${registered.body.token.slice(0, -2)}` }, 401);
});

test('OPEN_DIALECTS=care opens them', async (t) => {
    const { server } = await start(t, { ...PRODUCTION, OPEN_DIALECTS: 'care' });
    await assertRows(server, {}, 200);
});

const started = { event: 'room_started', room: { sid: 'RM_1', name: 'desk', creationTime: '1893452400' } };

test('webhooks of the server are taken, also in production, and once', async (t) => {
    const { livekit, server, hook } = await start(t, PRODUCTION);
    const first = await livekit.webhook(hook, { ...started, id: 'EV_first' });
    assert.deepEqual([first.status, await first.json()], [200, { received: true }]);
    await server.logged(/event=webhook [^\n]*type=room_started room=desk id=EV_first/);
    const again = await livekit.webhook(hook, { ...started, id: 'EV_first' });
    assert.equal(again.status, 200);
    await server.logged(/event=webhook_repeated [^\n]*type=room_started room=desk id=EV_first/);
    const bearer = ({ body, authorization }) => ({ body, authorization: `Bearer ${authorization}` });
    assert.equal((await livekit.webhook(hook, { event: 'room_finished', id: 'EV_2' }, { edit: bearer })).status, 200);
    await server.logged(/event=webhook [^\n]*type=room_finished id=EV_2/);
    assert.equal((await livekit.webhook(hook, { event: 'track_published', numDropped: 3 })).status, 200);
    const metrics = await server.json('GET', '/metrics', undefined, { authorization: `Bearer ${API_TOKEN}` });
    assert.match(metrics.text, /parley_livekit_webhooks_total\{result="new"\} 3/);
    assert.match(metrics.text, /parley_livekit_webhooks_total\{result="repeated"\} 1/);
});

test('webhooks that anything was done to are refused', async (t) => {
    const { livekit, server, hook } = await start(t);
    const now = Math.floor(Date.now() / 1000);
    const refused = {
        'one flipped byte': { edit: ({ body, ...rest }) => ({ body: body.replace('desk', 'desk'.toUpperCase()), ...rest }) },
        're-serialised': { edit: ({ body, ...rest }) => ({ body: JSON.stringify(JSON.parse(body), null, 1), ...rest }) },
        'a byte behind': { edit: ({ body, ...rest }) => ({ body: `${body}\n`, ...rest }) },
        'no body': { edit: (signed) => ({ ...signed, body: '' }) },
        'no token': { edit: ({ body }) => ({ body }) },
        'another scheme': { edit: ({ body, authorization }) => ({ body, authorization: `Basic ${authorization}` }) },
        'a cut token': { edit: ({ body, authorization }) => ({ body, authorization: authorization.slice(0, -3) }) },
        'no mac': { edit: ({ body, authorization }) => ({ body, authorization: authorization.replace(/[^.]*$/, '') }) },
        'no algorithm': {
            edit({ body, authorization }) {
                const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
                return { body, authorization: [none, authorization.split('.')[1], ''].join('.') };
            },
        },
        expired: { over: { exp: now - 120 } },
        'without an end': { over: { exp: undefined } },
        'of the future': { over: { nbf: now + 600 } },
        'wrong secret': { secret: 'another-secret-of-livekit-0123456789' },
        'wrong key': { over: { iss: 'APIother' } },
        'no digest': { over: { sha256: undefined } },
        'digest of another type': { over: { sha256: 5 } },
        'a URL digest': { edit: (signed) => signed, over: { sha256: 'A'.repeat(43) } },
    };
    for (const [name, options] of Object.entries(refused)) {
        const reply = await livekit.webhook(hook, { ...started, id: 'EV_refused' }, options);
        assert.equal(reply.status, 401, name);
        await reply.text();
    }
    assert.doesNotMatch(server.stderr, /event=webhook /);
    const plain = await livekit.webhook(hook, { ...started, id: 'EV_refused' });
    assert.equal(plain.status, 200, 'what was refused was not kept as seen');
    await server.logged(/event=webhook [^\n]*type=room_started room=desk id=EV_refused/);
});

test('signed, but no event; and too long', async (t) => {
    const { livekit, hook } = await start(t);
    for (const event of [{}, { event: '' }, { event: 5 }]) {
        assert.equal((await livekit.webhook(hook, event)).status, 400, JSON.stringify(event));
    }
    const long = await livekit.webhook(hook, { ...started, more: 'x'.repeat(300000) });
    assert.equal(long.status, 413);
    const odd = { event: 'x\n\u001b[31m', room: { name: 5 }, id: 'i'.repeat(5000) };
    assert.equal((await livekit.webhook(hook, odd)).status, 200);
    assert.equal((await livekit.webhook(hook, { event: 'x', room: 'desk', id: 7 })).status, 200);
});

test('many events: old ids make room for new ones', async (t) => {
    const { livekit, server, hook } = await start(t, { LOG_LEVEL: 'info' });
    for (let i = 0; i <= 1100; i++) {
        await (await livekit.webhook(hook, { event: 'participant_joined', id: `EV_m${i}` })).text();
    }
    await (await livekit.webhook(hook, { event: 'participant_joined', id: 'EV_m1100' })).text();
    await server.logged(/event=webhook_repeated [^\n]*type=participant_joined id=EV_m1100/);
    await (await livekit.webhook(hook, { event: 'participant_joined', id: 'EV_m0' })).text();
    await server.logged(/event=webhook [^\n]*type=participant_joined id=EV_m0\b[^]*event=webhook [^\n]*type=participant_joined id=EV_m0\b/);
});
