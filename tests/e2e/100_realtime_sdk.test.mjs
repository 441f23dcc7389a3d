// Realtime sessions for those who have a client already: the official SDK over TLS, browsers with a key as subprotocol,
// and the client secrets that are made for them.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, test } from 'node:test';
import OpenAI from 'openai';
import { OpenAIRealtimeWS as PreviewWS } from 'openai/beta/realtime/ws';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { Authority } from './support/certificates.mjs';
import { Talk, types } from './support/realtime.mjs';
import { startServer, temporaryFolder } from './support/server.mjs';
import { refused } from './support/socket.mjs';
import { assertUnderstood, pcmLevel } from './support/speech.mjs';
import { VoiceSession, audioOf, deltas, message, silence, speech } from './support/voice_session.mjs';

const folder = await temporaryFolder();
after(() => rm(folder, { recursive: true, force: true }));
const ca = await Authority.make(folder);
const own = await ca.issue('own');
const secure = await startServer({ after }, { env: { TLS_CERT: own.certFile, TLS_KEY: own.keyFile } });
const plain = await startServer({ after });
const TOKEN = 'a-token-of-the-tests-0123456789';
const production = await startServer(
    { after },
    { env: { ENVIRONMENT: 'production', API_TOKEN: TOKEN, JWT_SECRET: 'kJ8vQ2xR5mN7pL3wT9yB4cF6hD1gS0aZ', LOG_LEVEL: 'debug' } },
);

const sdk = (Kind, t) => {
    const client = new OpenAI({ apiKey: 'anything', baseURL: `https://127.0.0.1:${secure.port}/v1` });
    const talk = new Talk(new Kind({ model: 'gpt-realtime', options: { ca: ca.pem } }, client));
    t.after(() => talk.connection.socket.terminate());
    return talk;
};

test('the SDK: a turn in text', async (t) => {
    const rt = sdk(OpenAIRealtimeWS, t);
    assert.equal((await rt.event('session.created')).session.model, 'gpt-realtime');
    rt.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['text'] } });
    await rt.event('session.updated');
    rt.send({ type: 'conversation.item.create', item: message('hello') });
    await rt.event('conversation.item.done');
    rt.send({ type: 'response.create' });
    const events = await rt.until('response.done');
    const text = deltas(events, 'response.output_text.delta');
    assert.ok(text.length > 0);
    assert.equal(events.at(-1).response.output[0].content[0].text, text);
    rt.send({ type: 'response.create', response: { tools: [{ type: 'function', name: 'f', parameters: {} }] } });
    await rt.event('error');
    assert.equal(rt.errors[0].error.code, 'unsupported_parameter');
    assert.equal((await rt.close()).code, 1000);
});

test('the SDK: a spoken turn', async (t) => {
    const sentence = 'please call me back in ten minutes';
    const audio = Buffer.concat([silence(300), await speech(plain, sentence), silence(1600)]);
    const rt = sdk(OpenAIRealtimeWS, t);
    await rt.event('session.created');
    rt.send({ type: 'session.update', session: { type: 'realtime', audio: { input: { transcription: { model: 'whisper-1' } } } } });
    await rt.event('session.updated');
    for (let at = 0; at < audio.length; at += 1920) {
        rt.send({ type: 'input_audio_buffer.append', audio: audio.subarray(at, at + 1920).toString('base64') });
    }
    const events = await rt.until('response.done');
    const heard = events.find(({ type }) => type === 'conversation.item.input_audio_transcription.completed');
    assertUnderstood(heard.transcript, sentence);
    const voice = audioOf(events);
    assert.ok(pcmLevel(voice) > 300 && voice.length > 48000, `${pcmLevel(voice)} ${voice.length}`);
    assert.deepEqual(rt.errors, []);
    await rt.close();
});

test('the SDK of the preview', async (t) => {
    const rt = sdk(PreviewWS, t);
    const events = await rt.until('conversation.created');
    assert.deepEqual(types(events), ['session.created', 'conversation.created']);
    rt.send({ type: 'session.update', session: { modalities: ['text'] } });
    assert.deepEqual((await rt.event('session.updated')).session.modalities, ['text']);
    rt.send({ type: 'conversation.item.create', item: message('hello') });
    await rt.event('conversation.item.created');
    rt.send({ type: 'response.create' });
    const turn = await rt.until('response.done');
    assert.equal(deltas(turn, 'response.text.delta'), turn.at(-1).response.output[0].content[0].text);
    await rt.close();
});

// ---- who may come in ----

const key = (value) => ['realtime', `openai-insecure-api-key.${value}`];
const open = (t, options) => VoiceSession.open(t, production, options);
const status = async (options, path = '/v1/realtime') => {
    const { protocols = [], ...rest } = options;
    const headers = protocols.length ? { 'sec-websocket-protocol': protocols.join(', ') } : {};
    return (await refused(production.wsUrl + path, { ...rest, headers: { ...headers, ...rest.headers } })).status;
};

test('in production it takes the token, in any of its places', async (t) => {
    for (const path of ['/v1/realtime', '/api/realtime']) {
        assert.equal(await status({}, path), 403);
        assert.equal(await status({ protocols: key('wrong') }, path), 403);
        assert.equal(await status({ protocols: ['realtime', 'openai-insecure-api-key.'] }, path), 403);
        assert.equal(await status({ headers: { authorization: 'Bearer wrong' } }, path), 403);
        await open(t, { path, headers: { authorization: `Bearer ${TOKEN}` } });
        await open(t, { path: `${path}?token=${TOKEN}` });
        const browser = await open(t, { path, protocols: key(TOKEN) });
        assert.equal(browser.socket.ws.protocol, 'realtime');
    }
});

test('a subprotocol is a key for realtime sessions only when it is the key', async (t) => {
    const beta = await VoiceSession.open(t, plain, { protocols: ['realtime', 'openai-beta.realtime-v1'], greeting: 2 });
    assert.deepEqual([beta.socket.ws.protocol, beta.created.session.modalities], ['realtime', ['audio', 'text']]);
    const anyone = await VoiceSession.open(t, plain, { protocols: key('sk-anything') });
    assert.equal(anyone.socket.ws.protocol, 'realtime');
});

const authorized = { authorization: `Bearer ${TOKEN}` };
const make = (body, headers = authorized, server = production) =>
    server.json('POST', '/v1/realtime/client_secrets', body, headers);

test('a client secret opens sessions as they were set up', async (t) => {
    const client = new OpenAI({ apiKey: TOKEN, baseURL: `${production.url}/v1`, maxRetries: 0 });
    const made = await client.realtime.clientSecrets.create({
        expires_after: { anchor: 'created_at', seconds: 60 },
        session: { type: 'realtime', model: 'gpt-realtime', instructions: 'Talk like a pirate.', audio: { output: { voice: 'marin' } } },
    });
    assert.match(made.value, /^ek_[\w-]+$/);
    assert.ok(Math.abs(made.expires_at - Date.now() / 1000 - 60) < 50);
    assert.deepEqual([made.session.type, made.session.audio.output.voice], ['realtime', 'marin']);
    for (const options of [{ protocols: key(made.value) }, { headers: { authorization: `Bearer ${made.value}` } }]) {
        const s = await open(t, options);
        const { session } = s.created;
        assert.deepEqual(
            [session.model, session.instructions, session.audio.output.voice],
            ['gpt-realtime', 'Talk like a pirate.', 'marin'],
        );
        await s.works();
    }
    const other = await production.fetch('/v1/models', { headers: { authorization: `Bearer ${made.value}` } });
    assert.equal(other.status, 401, 'it opens nothing else');
    assert.equal((await make({}, { authorization: `Bearer ${made.value}` })).status, 401, 'least of all more secrets');
});

test('a client secret for transcription, and one for anything', async (t) => {
    const listening = await make({ session: { type: 'transcription' } });
    assert.equal(listening.status, 200, listening.text);
    const s = await open(t, { protocols: key(listening.body.value) });
    assert.equal(s.created.session.type, 'transcription');
    const { body } = await make(undefined);
    assert.ok(Math.abs(body.expires_at - Date.now() / 1000 - 600) < 300);
    assert.equal((await open(t, { protocols: key(body.value) })).created.session.type, 'realtime');
});

test('a client secret that was changed opens nothing', async () => {
    const { value } = (await make({ session: { type: 'realtime', instructions: 'x' } })).body;
    for (const at of [3, 20, 45, 60, value.length - 2]) {
        const changed = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1);
        assert.equal(await status({ protocols: key(changed) }), 403, `at ${at}`);
    }
    for (const wrong of [value.slice(0, 40), 'ek_', 'ek_!!', value.slice(3), `${value}AAAA`]) {
        assert.equal(await status({ headers: { authorization: `Bearer ${wrong}` } }), 403, wrong);
    }
    const elsewhere = (await make({}, {}, plain)).body.value;
    assert.equal(await status({ protocols: key(elsewhere) }), 403, "another server's");
});

test('where anybody may come, a client secret that does not hold is told so', async (t) => {
    const s = await VoiceSession.open(t, plain, { protocols: key('ek_nothing'), greeting: 0 });
    assert.equal((await s.expect('error')).error.code, 'invalid_api_key');
    assert.deepEqual(await s.closed, { code: 3000, reason: 'invalid_request_error.invalid_api_key' });
});

test('client secrets that cannot be', async () => {
    for (const [body, code, param] of [
        [{ expires_after: { anchor: 'created_at', seconds: 9 } }, 'integer_below_min_value', 'expires_after.seconds'],
        [{ expires_after: { anchor: 'created_at', seconds: 7201 } }, 'integer_above_max_value', 'expires_after.seconds'],
        [{ expires_after: { anchor: 'now' } }, 'invalid_value', 'expires_after.anchor'],
        [{ session: { type: 'realtime', tools: [{}] } }, 'unsupported_parameter', 'session.tools'],
        [{ session: { type: 'x' } }, 'invalid_value', 'session.type'],
        [{ session: 7 }, 'invalid_type', 'session'],
        [{ session: { type: 'realtime', instructions: 'x'.repeat(7000) } }, 'string_above_max_length', 'session'],
        [{ extra: 1 }, 'unknown_parameter', 'extra'],
        [[], 'invalid_json', null],
    ]) {
        const answer = await make(body);
        assert.equal(answer.status, 400, answer.text);
        assert.deepEqual([answer.body.error.type, answer.body.error.code, answer.body.error.param], ['invalid_request_error', code, param]);
    }
    assert.equal((await make({}, {})).status, 401);
});

test('no key comes into the log', async () => {
    const { value } = (await make({})).body;
    await status({ protocols: key('a-wrong-token-in-a-subprotocol') });
    assert.ok(!production.stderr.includes(TOKEN), 'the token');
    assert.ok(!production.stderr.includes(value.slice(0, 20)), 'a client secret');
    assert.ok(!production.stderr.includes('a-wrong-token'), 'a wrong one');
});
