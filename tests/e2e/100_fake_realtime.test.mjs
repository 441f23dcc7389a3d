// The stand-in of realtime services, proven by the official SDK over TLS before anything is tested against it.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, beforeEach, test } from 'node:test';
import OpenAI, { AzureOpenAI } from 'openai';
import { OpenAIRealtimeWS as PreviewWS } from 'openai/beta/realtime/ws';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { startRealtime } from '../fake/realtime.mjs';
import { pcm } from '../fake/tone.mjs';
import { Authority } from './support/certificates.mjs';
import { Talk, types } from './support/realtime.mjs';
import { temporaryFolder } from './support/server.mjs';
import { refused } from './support/socket.mjs';

const folder = await temporaryFolder();
after(() => rm(folder, { recursive: true, force: true }));
const ca = await Authority.make(folder);
const realtime = await startRealtime({ tls: await ca.issue('realtime') });
after(() => realtime.close());
beforeEach(() => realtime.forget());

const options = { ca: ca.pem };
const openai = (apiKey = realtime.key, path = '/v1') => new OpenAI({ apiKey, baseURL: `${realtime.url}${path}` });
const azure = (apiKey = realtime.key) =>
    new AzureOpenAI({ apiKey, endpoint: realtime.url, deployment: 'talk', apiVersion: '2025-04-01-preview' });

function talk(t, connection) {
    const made = new Talk(connection);
    t.after(() => connection.socket.terminate());
    return made;
}
const connect = (t, { client = openai(), model = 'gpt-realtime', ...props } = {}) =>
    talk(t, new OpenAIRealtimeWS({ ...(props.callID ? {} : { model }), options, ...props }, client));

const TEXT_TURN = [
    'response.created',
    'response.output_item.added',
    'conversation.item.added',
    'response.content_part.added',
    ...Array(4).fill('response.output_text.delta'),
    'response.output_text.done',
    'response.content_part.done',
    'conversation.item.done',
    'response.output_item.done',
    'response.done',
];
const say = (text) => ({
    type: 'conversation.item.create',
    item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
});

test('a turn in text, in the documented order', async (t) => {
    const rt = connect(t);
    const created = await rt.event('session.created');
    assert.equal(created.session.model, 'gpt-realtime');
    assert.equal(created.session.object, 'realtime.session');
    rt.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['text'] } });
    assert.deepEqual((await rt.event('session.updated')).session.output_modalities, ['text']);
    rt.send(say('Is the oven on?'));
    assert.deepEqual(types(await rt.until('conversation.item.done')), ['conversation.item.added', 'conversation.item.done']);
    rt.send({ type: 'response.create' });
    const turn = await rt.until('response.done');
    assert.deepEqual(types(turn), TEXT_TURN);
    assert.equal(turn.at(-1).response.status, 'completed');
    assert.equal(turn.filter((e) => e.delta).map((e) => e.delta).join(''), 'The oven is off.');
    assert.deepEqual(rt.errors, []);
    assert.equal((await rt.close()).code, 1000);
});

test('a turn in audio, after speech was heard', async (t) => {
    const rt = connect(t);
    await rt.event('session.created');
    const session = await realtime.session(1);
    session.hear('Is the oven on?');
    const turn = await rt.until('rate_limits.updated');
    const begin = ['speech_started', 'speech_stopped', 'committed'].map((name) => `input_audio_buffer.${name}`);
    assert.deepEqual(types(turn).slice(0, 3), begin);
    const deltas = turn.filter((e) => e.type === 'response.output_audio.delta');
    const sound = Buffer.concat(deltas.map((e) => Buffer.from(e.delta, 'base64')));
    assert.equal(sound.length, 0.4 * 48000);
    const heard = turn.filter((e) => e.type === 'conversation.item.input_audio_transcription.delta');
    assert.equal(heard.map((e) => e.delta).join(''), 'Is the oven on?');
});

test('audio is committed, from 100 ms on', async (t) => {
    const rt = connect(t);
    rt.connection.socket.once('open', () => {
        rt.send({ type: 'input_audio_buffer.append', audio: pcm(0.05).toString('base64') });
        rt.send({ type: 'input_audio_buffer.commit', event_id: 'mine' });
    });
    const { error } = await rt.event('error');
    assert.equal(error.code, 'input_audio_buffer_commit_empty');
    assert.equal(error.event_id, 'mine');
    rt.send({ type: 'input_audio_buffer.append', audio: pcm(0.1).toString('base64') });
    rt.send({ type: 'input_audio_buffer.commit' });
    await rt.event('input_audio_buffer.committed');
});

test('one reply at a time, which can be cancelled', async (t) => {
    const rt = connect(t);
    await rt.event('session.created');
    const session = await realtime.session(1);
    session.respond({}, null, { hold: true });
    await rt.event('response.created');
    rt.send({ type: 'response.create' });
    assert.equal((await rt.event('error')).error.code, 'conversation_already_has_active_response');
    rt.send({ type: 'response.cancel' });
    const { response } = await rt.event('response.done');
    assert.equal(response.status, 'cancelled');
    assert.deepEqual(response.status_details, { type: 'cancelled', reason: 'client_cancelled' });
    session.respond({}, null, { hold: true });
    session.hear('Stop!', { answer: false });
    assert.equal((await rt.event('response.done')).response.status_details.reason, 'turn_detected');
});

test('what is wrong is told and does not end the session', async (t) => {
    const rt = connect(t);
    await rt.event('session.created');
    const cases = [
        [JSON.stringify({ type: 'response.whistle', event_id: 'x1' }), 'invalid_value'],
        ['{', 'invalid_json'],
        [Buffer.from([1, 2]), 'invalid_event'],
        [JSON.stringify({ type: 'session.update', session: {} }), 'missing_required_parameter'],
    ];
    for (const [frame, code] of cases) {
        rt.connection.socket.send(frame);
        assert.equal((await rt.event('error')).error.code, code);
    }
    assert.equal(rt.events.find((e) => e.error?.code === 'invalid_value').error.event_id, 'x1');
    await (await realtime.session(1)).ping();
});

const inBand = {
    'a wrong key': [{ client: openai('sk-wrong') }, 'invalid_api_key', 3000],
    'an unknown model': [{ model: 'gpt-nothing' }, 'model_not_found', 4004],
    'the preview form': [{ options: { ...options, headers: { 'OpenAI-Beta': 'realtime=v1' } } }, 'beta_api_shape_disabled', 4000],
};
for (const [name, [props, code, close]] of Object.entries(inBand)) {
    test(`${name} is refused in-band`, async (t) => {
        const rt = connect(t, props);
        assert.equal((await rt.event('error')).error.code, code);
        assert.deepEqual(await rt.closed, { code: close, reason: `invalid_request_error.${code}` });
        assert.equal(rt.events.length, 1);
    });
}

test('the SDK of the preview form is refused by the current service', async (t) => {
    const rt = talk(t, new PreviewWS({ model: 'gpt-realtime', options }, openai()));
    assert.equal((await rt.event('error')).error.code, 'beta_api_shape_disabled');
    assert.equal((await rt.closed).code, 4000);
});

test('a call is joined by its id', async (t) => {
    const rt = connect(t, { callID: 'rtc_1' });
    await rt.event('session.created');
    assert.deepEqual((await realtime.session(1)).request.query, { call_id: 'rtc_1' });
});

test('Azure OpenAI in its current form', async (t) => {
    const rt = connect(t, { client: openai(realtime.key, '/openai/v1'), model: 'talk' });
    await rt.event('session.created');
    rt.send({ type: 'session.update', session: { type: 'realtime', output_modalities: ['text'] } });
    rt.send({ type: 'response.create' });
    assert.equal((await rt.until('response.done')).filter((e) => e.type === 'response.output_text.delta').length, 4);
});

test('Azure OpenAI in its preview form has the names of then', async (t) => {
    const rt = talk(t, await PreviewWS.azure(azure(), { options }));
    await rt.event('session.created');
    rt.send({ type: 'session.update', session: { modalities: ['audio', 'text'], voice: 'alloy' } });
    await rt.event('session.updated');
    rt.send(say('Is the oven on?'));
    await rt.event('conversation.item.created');
    rt.send({ type: 'response.create' });
    const names = types(await rt.until('response.done'));
    assert.ok(names.includes('response.audio.delta') && names.includes('response.audio_transcript.done'), names.join(' '));
    assert.ok(!names.some((name) => name.includes('output_audio')), names.join(' '));
    const { query, headers } = (await realtime.session(1)).request;
    assert.equal(query.deployment, 'talk');
    assert.equal(headers['api-key'], realtime.key);
});

test('Azure OpenAI refuses by status', async (t) => {
    const key = talk(t, await OpenAIRealtimeWS.azure(azure('wrong'), { options }));
    assert.equal(await key.refused(), 401);
    const place = talk(t, await OpenAIRealtimeWS.azure(azure(), { deploymentName: 'nowhere', options }));
    assert.equal(await place.refused(), 404);
    const dated = `${realtime.url.replace('https', 'wss')}/openai/v1/realtime?model=talk&api-version=2025-04-01-preview`;
    const query = await refused(dated, { ...options, headers: { 'api-key': realtime.key } });
    assert.equal(query.status, 404);
});

test('frames and the place of the type make no difference', async (t) => {
    realtime.next({ fragment: 7, late: true });
    const rt = connect(t);
    await rt.event('session.created');
    rt.send({ type: 'response.create', response: { output_modalities: ['text'] } });
    assert.deepEqual(types(await rt.until('response.done')), TEXT_TURN);
    assert.equal(Object.keys(rt.events[0]).at(-1), 'type');
});

test('it can be silent, close as told, and vanish', async (t) => {
    realtime.next({ hang: 'events' });
    const silent = connect(t);
    (await realtime.session(1)).close(1001, 'Your session hit the maximum duration of 60 minutes.');
    assert.equal((await silent.closed).code, 1001);
    assert.deepEqual(silent.events, []);
    const lost = connect(t);
    await lost.event('session.created');
    (await realtime.session(2)).vanish();
    assert.equal((await lost.closed).code, 1006);
});
