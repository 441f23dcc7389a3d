// Realtime voice relayed to OpenAI and Azure OpenAI: the official SDK on /v1/realtime, the front end of seed 001 on
// /api/realtime, and what either hears when there is no service behind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, beforeEach, test } from 'node:test';
import OpenAI from 'openai';
import { OpenAIRealtimeWS as PreviewWS } from 'openai/beta/realtime/ws';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import WebSocket from 'ws';
import { startRealtime } from '../fake/realtime.mjs';
import { pcm } from '../fake/tone.mjs';
import { gate } from '../fake/upstream.mjs';
import { Authority } from './support/certificates.mjs';
import { Talk, types } from './support/realtime.mjs';
import { startServer, temporaryFolder } from './support/server.mjs';
import { JsonSocket } from './support/socket.mjs';

const folder = await temporaryFolder();
after(() => rm(folder, { recursive: true, force: true }));
const ca = await Authority.make(folder);
const own = await ca.issue('own');
const secure = await startRealtime({ key: 'sk-of-the-server', tls: await ca.issue('realtime') });
const realtime = await startRealtime({ key: 'sk-of-the-server' });
after(() => Promise.all([secure.close(), realtime.close()]));
beforeEach(() => [secure, realtime].forEach((service) => service.forget()));

const tls = await startServer(
    { after },
    { env: { ...secure.openaiEnv, UPSTREAM_CA_FILE: ca.file, TLS_CERT: own.certFile, TLS_KEY: own.keyFile } },
);
const quick = { UPSTREAM_FIRST_BYTE_TIMEOUT: '500ms', UPSTREAM_BREAKER_FAILURES: '0' };
const server = await startServer({ after }, { env: { ...realtime.openaiEnv, ...quick } });

const sdk = (port) => new OpenAI({ apiKey: 'sk-of-the-client', baseURL: `https://127.0.0.1:${port}/v1` });
function connect(t, { port = tls.port, Kind = OpenAIRealtimeWS, model = 'gpt-realtime', ...props } = {}) {
    const connection = new Kind({ ...(props.callID ? {} : { model }), options: { ca: ca.pem }, ...props }, sdk(port));
    t.after(() => connection.socket.terminate());
    return new Talk(connection);
}

/** The front end of seed 001. */
async function browser(t, { to = server, path = '/api/realtime', ...options } = {}) {
    const socket = await JsonSocket.open(to.wsUrl + path, options);
    t.after(() => socket.ws.terminate());
    return socket;
}
const until = async (socket, type) => (await socket.collect((event) => event.type === type)).at(-1);
const count = (all, type) => types(all).filter((name) => name === type).length;

// ---- the SDK ----

test('the SDK talks through the relay as with the service itself', async (t) => {
    const rt = connect(t);
    assert.equal((await rt.event('session.created')).session.model, 'gpt-realtime');
    rt.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['text'] } });
    await rt.event('session.updated');
    rt.send({ type: 'response.create' });
    const turn = await rt.until('rate_limits.updated');
    assert.equal(turn.filter((e) => e.type === 'response.output_text.delta').map((e) => e.delta).join(''), 'The oven is off.');
    assert.deepEqual(rt.errors, []);
    const session = await secure.session(1);
    const { headers, query } = session.request;
    assert.equal(headers.authorization, 'Bearer sk-of-the-server');
    assert.deepEqual(query, { model: 'gpt-realtime' });
    assert.ok(!JSON.stringify(headers).includes('sk-of-the-client'));
    assert.equal((await rt.close()).code, 1000);
    assert.equal((await session.closed).code, 1000);
});

test('/v1/realtime adds nothing', async (t) => {
    const rt = connect(t);
    await rt.event('session.created');
    const session = await secure.session(1);
    session.hear('Is the oven on?');
    const events = await rt.until('rate_limits.updated');
    session.respond({}, null, { hold: true });
    rt.send({ type: 'response.cancel' });
    rt.send({ type: 'input_audio_buffer.clear' });
    events.push(...(await rt.until('input_audio_buffer.cleared')));
    assert.equal(count(events, 'conversation.item.input_audio_transcription.delta'), 4);
    assert.equal(count(events, 'conversation.item.input_audio_transcript.delta'), 0);
    assert.equal(count(events, 'response.done'), 2);
    assert.equal(count(events, 'response.cancelled'), 0);
    assert.deepEqual(types(session.received), ['response.cancel', 'input_audio_buffer.clear']);
    const sound = events.filter((e) => e.type === 'response.output_audio.delta').map((e) => Buffer.from(e.delta, 'base64'));
    assert.ok(Buffer.concat(sound).subarray(0, 19200).equals(pcm(0.4)));
});

test('queries are passed on: calls, transcriptions, models with odd names', async (t) => {
    await connect(t, { callID: 'rtc_1' }).event('session.created');
    assert.deepEqual((await secure.session(1)).request.query, { call_id: 'rtc_1' });
    const sockets = ['intent=transcription&token=x', 'model=gpt-realtime%26x%3D1%20%C3%A9', ''];
    for (const [i, query] of sockets.entries()) {
        await until(await browser(t, { path: `/v1/realtime?${query}` }), 'session.created');
        await realtime.session(i + 1);
    }
    const queries = realtime.sessions.map((session) => session.request.query);
    assert.deepEqual(queries[0], { intent: 'transcription' });
    assert.deepEqual(queries[1], { model: 'gpt-realtime&x=1 é' });
    assert.deepEqual(queries[2], { model: 'gpt-realtime-2025-08-28' });
});

test("the preview form is the client's to ask for, and the service's to refuse", async (t) => {
    const rt = connect(t, { Kind: PreviewWS });
    const { error } = await rt.event('error');
    assert.equal(error.code, 'beta_api_shape_disabled');
    assert.equal((await rt.closed).code, 1011);
    await secure.upgraded(1);
});

test('a page names its key as a subprotocol', async (t) => {
    const key = 'openai-insecure-api-key.sk-of-the-client';
    const page = await browser(t, { path: '/v1/realtime?model=gpt-realtime', protocols: ['realtime', key] });
    assert.equal(page.ws.protocol, 'realtime');
    await until(page, 'session.created');
    assert.ok(!JSON.stringify((await realtime.session(1)).request.headers).includes('sk-of-the-client'));
    const preview = await browser(t, { path: '/v1/realtime', protocols: ['realtime', key, 'openai-beta.realtime-v1'] });
    assert.equal((await until(preview, 'error')).error.code, 'beta_api_shape_disabled');
});

for (const [name, version, path, query] of [
    ['current', undefined, '/openai/v1/realtime', { model: 'talk' }],
    ['preview', '2025-04-01-preview', '/openai/realtime', { 'api-version': '2025-04-01-preview', deployment: 'talk' }],
]) {
    test(`Azure OpenAI, ${name} form`, async (t) => {
        const env = { ...realtime.azureEnv, AZURE_OPENAI_REALTIME_API_VERSION: version };
        const azure = await startServer(t, { env });
        const socket = await browser(t, { to: azure, path: '/v1/realtime?model=gpt-realtime' });
        await until(socket, 'session.created');
        const { request } = await realtime.session(1);
        assert.equal(request.path, path);
        assert.deepEqual(request.query, query);
        assert.equal(request.headers['api-key'], realtime.key);
        assert.equal(request.headers.authorization, undefined);
        const page = await browser(t, { to: azure });
        await until(page, 'session.updated');
        const update = await (await realtime.session(2)).event('session.update');
        assert.equal(update.session.model, undefined);
        assert.equal(update.session.type, name === 'current' ? 'realtime' : undefined);
        page.send({ type: 'response.create' });
        const turn = await page.collect((event) => event.type === 'rate_limits.updated');
        assert.equal(count(turn, 'response.output_audio_transcript.delta'), 4);
        assert.equal(count(turn, 'response.output_audio.done'), 1);
    });
}

// ---- dialect 001 ----

const SESSION = {
    type: 'realtime',
    model: 'gpt-realtime-2025-08-28',
    output_modalities: ['audio'],
    audio: {
        input: { format: { type: 'audio/pcm', rate: 24000 }, turn_detection: { type: 'server_vad' } },
        output: { format: { type: 'audio/pcm', rate: 24000 }, voice: 'alloy' },
    },
};

for (const plan of [{}, { fragment: 5 }, { fragment: 50, late: true }, { late: true }]) {
    test(`a conversation of the front end, ${JSON.stringify(plan)}`, async (t) => {
        realtime.next(plan);
        const socket = await browser(t);
        const session = await realtime.session(1);
        const { instructions, ...rest } = (await session.event('session.update')).session;
        assert.deepEqual(rest, SESSION);
        assert.match(instructions, /help/);
        await until(socket, 'session.updated');
        const audio = pcm(0.04).toString('base64');
        for (let i = 0; i < 3; i++) {
            socket.send({ type: 'input_audio_buffer.append', audio });
        }
        socket.send({ type: 'input_audio_buffer.commit' });
        await until(socket, 'input_audio_buffer.committed');
        session.hear('Is the oven on?');
        const turn = await socket.collect((event) => event.type === 'rate_limits.updated');
        for (const name of ['transcription', 'transcript']) {
            const deltas = turn.filter((e) => e.type === `conversation.item.input_audio_${name}.delta`);
            assert.deepEqual(deltas.map((e) => e.delta), ['Is ', 'the ', 'oven ', 'on?'], name);
            assert.match(deltas[0].item_id, /^item_/);
        }
        assert.equal(count(turn, 'response.cancelled'), 0);
        session.respond({}, null, { hold: true });
        const { response } = await until(socket, 'response.created');
        socket.send({ type: 'response.cancel' });
        const done = await until(socket, 'response.done');
        const cancelled = await socket.expect('response.cancelled');
        assert.deepEqual({ ...cancelled, type: done.type }, done);
        assert.equal(cancelled.response.id, response.id);
    });
}

test('binary frames are audio', async (t) => {
    const socket = await browser(t);
    await until(socket, 'session.updated');
    const session = await realtime.session(1);
    const sound = pcm(0.3);
    socket.ws.send(sound.subarray(0, 5));
    socket.ws.send(Buffer.alloc(0));
    let at = 5;
    for (const n of [1, 2, 3, 1, 1, 4, 1000, 0, 7]) {
        socket.ws.send(sound.subarray(at, at + n), { fin: false });
        at += n;
    }
    socket.ws.send(sound.subarray(at));
    socket.send({ type: 'input_audio_buffer.commit' });
    await session.event('input_audio_buffer.commit');
    const audio = session.received.filter((e) => e.type === 'input_audio_buffer.append').map((e) => Buffer.from(e.audio, 'base64'));
    assert.deepEqual(audio.map((piece) => piece.length), [5, 0, sound.length - 5]);
    assert.ok(Buffer.concat(audio).equals(sound));
    assert.ok(session.messages.every((message) => !message.binary));
});

test('what comes before the service is there waits for it', async (t) => {
    const { promise, open } = gate();
    realtime.next({ gate: promise });
    const socket = await browser(t);
    await realtime.upgraded(1);
    const audio = 'A'.repeat(100000);
    for (let i = 0; i < 40; i++) {
        socket.send({ type: 'input_audio_buffer.append', audio, event_id: `${i}` });
    }
    socket.send({ type: 'input_audio_buffer.clear' });
    open();
    await until(socket, 'input_audio_buffer.cleared');
    const { received } = await realtime.session(1);
    assert.equal(received[0].type, 'session.update');
    assert.deepEqual(received.slice(1, 41).map((e) => e.event_id), Array.from({ length: 40 }, (_, i) => `${i}`));
});

test('plain requests are told what this is', async () => {
    const page = await server.fetch('/api/realtime');
    assert.equal(page.status, 400);
    assert.equal(await page.text(), 'WebSocket connection required');
    const v1 = await server.json('GET', '/v1/realtime');
    assert.equal(v1.status, 400);
    assert.equal(v1.body.error.message, 'WebSocket connection required');
    assert.equal(v1.body.error.type, 'invalid_request_error');
});

test('the versioned address', async (t) => {
    await until(await browser(t, { path: '/api/v1/realtime' }), 'session.updated');
});

// ---- no service ----

test('without a key the socket is closed, with the reason', async (t) => {
    const none = await startServer(t, { env: { REALTIME_PROVIDER: 'none' } });
    const keyless = await startServer(t, { env: { REALTIME_PROVIDER: 'openai' } });
    for (const to of [none, keyless]) {
        for (const path of ['/api/realtime', '/v1/realtime']) {
            const socket = await browser(t, { to, path });
            assert.deepEqual(await socket.closed, { code: 1011, reason: 'OpenAI API key not configured' });
            assert.deepEqual(socket.messages, []);
        }
    }
});

/** All that the client hears: one error event, then the close frame. */
async function refusal(t, { code, close = 1011, ...options }) {
    const socket = await browser(t, options);
    const end = await socket.closed;
    assert.deepEqual(types(socket.messages), ['error']);
    const [{ error }] = socket.messages;
    assert.equal(error.code, code);
    assert.equal(end.code, close);
    assert.equal(end.reason, error.message);
    assert.ok(error.message.length > 10);
    return JSON.stringify(socket.messages) + end.reason;
}

const inBand = (code, message, close) => ({ refusal: { type: 'invalid_request_error', code, message, close } });
const REFUSALS = {
    'a wrong key': [inBand('invalid_api_key', 'Incorrect API key provided: sk-of*** secret', 3000), 'invalid_api_key'],
    'an unknown model': [inBand('model_not_found', 'secret', 4004), 'model_not_found'],
    'an error nobody knows': [inBand('Odd "code"', 'secret', 4000), 'upstream_refused'],
    'an error in many frames': [{ ...inBand('invalid_api_key', 'secret', 3000), fragment: 3, late: true }, 'invalid_api_key'],
    'an error too long to be one': [{ ...inBand('x', 'secret '.repeat(90000), 3000), fragment: 9999 }, 'upstream_refused'],
    'status 401': [{ status: 401, body: '{"error":{"message":"secret sk-of-the-server"}}' }, 'invalid_api_key'],
    'status 404': [{ status: 404, body: 'secret' }, 'model_not_found'],
    'status 429': [{ status: 429, headers: { 'retry-after': '1' } }, 'rate_limit_exceeded'],
    'status 500': [{ status: 500, body: '<html>secret</html>' }, 'upstream_failed'],
    'no answer': [{ hang: 'opening' }, 'upstream_timeout'],
    'no event': [{ hang: 'events' }, 'upstream_timeout'],
};
for (const [name, [plan, code]] of Object.entries(REFUSALS)) {
    test(`refused: ${name}`, async (t) => {
        for (const path of ['/api/realtime', '/v1/realtime']) {
            realtime.next(plan);
            const heard = await refusal(t, { code, path });
            assert.doesNotMatch(heard, /secret|sk-/);
        }
        for (const session of realtime.sessions) {
            await session.closed;
        }
    });
}

test('refused: an upgrade, and then the end', async (t) => {
    const ends = [
        [(session) => session.vanish(), 'upstream_closed'],
        [(session) => session.close(1000), 'upstream_closed'],
        [(session) => session.close(4000, 'secret words'), 'upstream_closed'],
        [(session) => session.close(3000, 'invalid_request_error.invalid_api_key'), 'invalid_api_key'],
    ];
    realtime.always = { hang: 'events' };
    for (const [i, [end, code]] of ends.entries()) {
        const heard = refusal(t, { code });
        end(await realtime.session(i + 1));
        assert.doesNotMatch(await heard, /secret/);
    }
});

test('refused: nobody listens', async (t) => {
    const closed = net.createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const env = { ...realtime.openaiEnv, OPENAI_BASE_URL: `http://127.0.0.1:${closed.address().port}/v1` };
    closed.close();
    await once(closed, 'close');
    const alone = await startServer(t, { env: { ...env, ...quick, UPSTREAM_BREAKER_FAILURES: '2', THREADS: '1' } });
    await refusal(t, { to: alone, code: 'upstream_unreachable' });
    await refusal(t, { to: alone, code: 'upstream_unreachable' });
    await refusal(t, { to: alone, code: 'overloaded', close: 1013 });
    assert.match(await (await alone.fetch('/metrics')).text(), /^parley_realtime_relay_refused_total 3$/m);
});

// ---- endings ----

test('the client ends it, one way or another', async (t) => {
    const ends = [
        (ws) => ws.close(),
        (ws) => ws.close(1000, 'bye'),
        (ws) => ws.close(4321, 'mine'),
        (ws) => ws.terminate(),
        (ws) => ws._socket.end(),
        (ws) => ws._socket.write(Buffer.from([0xff, 0xff])), // no frame
    ];
    for (const [i, end] of ends.entries()) {
        const socket = await browser(t);
        await until(socket, 'session.created');
        end(socket.ws);
        assert.equal((await (await realtime.session(i + 1)).closed).code, 1000);
    }
});

test('a client that leaves before the service is there', async (t) => {
    realtime.next({ hang: 'opening' });
    const socket = await browser(t);
    const opening = await realtime.upgraded(1);
    socket.ws.terminate();
    await opening.gone;
});

test('the service ends a session that has lasted', async (t) => {
    const ends = [
        [(s) => s.close(1000, 'secret'), 1000, /^$/],
        [(s) => s.close(1001, 'Your session hit the maximum duration of 60 minutes.'), 1001, /closed/],
        [(s) => s.close(1011, 'secret'), 1011, /closed/],
        [(s) => s.close(1008, 'secret'), 1008, /closed/],
        [(s) => s.close(3000, 'invalid_request_error.invalid_api_key'), 1011, /key/],
        [(s) => s.close(4000, 'invalid_request_error.session_expired'), 1011, /maximum duration/],
        [(s) => s.close(), 1011, /closed/],
        [(s) => s.vanish(), 1011, /closed/],
    ];
    const sockets = [];
    for (const [i] of ends.entries()) {
        sockets.push(await browser(t));
        await until(sockets[i], 'session.updated');
    }
    await sleep(5100); // sooner it would be a refusal
    for (const [i, [end, code, reason]] of ends.entries()) {
        end((await realtime.session(i + 1)));
        const got = await sockets[i].closed;
        assert.equal(got.code, code, `${i}`);
        assert.match(got.reason, reason);
        assert.doesNotMatch(got.reason, /secret/);
        assert.deepEqual(sockets[i].messages, []);
    }
});

test('the longest session', async (t) => {
    const short = await startServer(t, { env: { ...realtime.openaiEnv, REALTIME_MAX_SESSION: '1s' } });
    const socket = await browser(t, { to: short });
    await until(socket, 'session.updated');
    assert.equal((await until(socket, 'error')).error.code, 'session_expired');
    assert.equal((await socket.closed).code, 1001);
    assert.equal((await (await realtime.session(1)).closed).code, 1000);
});

test('a server that stops tells both sides', async (t) => {
    const stopping = await startServer(t, { env: realtime.openaiEnv });
    const socket = await browser(t, { to: stopping });
    await until(socket, 'session.updated');
    realtime.next({ hang: 'opening' });
    const early = await browser(t, { to: stopping });
    await realtime.upgraded(2);
    await stopping.stop();
    assert.deepEqual(await socket.closed, { code: 1001, reason: 'Server shutting down' });
    assert.equal((await early.closed).code, 1001);
    assert.equal((await (await realtime.session(1)).closed).code, 1001);
});

test('200 sessions at once', async (t) => {
    const to = await startServer(t, { env: realtime.openaiEnv }); // the service needs its time for as many
    const sockets = await Promise.all(Array.from({ length: 200 }, () => browser(t, { to })));
    await Promise.all(sockets.map((socket) => until(socket, 'session.updated')));
    const open = async () => /^parley_realtime_relay_sessions (\d+)$/m.exec(await (await to.fetch('/metrics')).text())[1];
    assert.equal(await open(), '200');
    const turns = await Promise.all(
        sockets.map(async (socket) => {
            socket.send({ type: 'response.create' });
            return socket.collect((event) => event.type === 'rate_limits.updated');
        }),
    );
    const lengths = turns.map((turn) => turn.filter((e) => e.type === 'response.output_audio.delta').length);
    assert.deepEqual(new Set(lengths), new Set([4]));
    await Promise.all(sockets.map((socket) => socket.close()));
    await Promise.all(realtime.sessions.map((session) => session.closed));
    assert.equal(await open(), '0');
});

test('pings: ours to the service, its to us, none passed on', async (t) => {
    const socket = await browser(t);
    const pings = [];
    socket.ws.on('ping', (data) => pings.push(data.toString()));
    await until(socket, 'session.updated');
    const session = await realtime.session(1);
    await session.ping();
    socket.ws.ping('mine');
    await once(socket.ws, 'pong');
    assert.equal(socket.ws.readyState, WebSocket.OPEN);
    assert.deepEqual(pings, []);
});
