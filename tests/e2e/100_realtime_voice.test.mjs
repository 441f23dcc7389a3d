// Speaking with the server over realtime sessions, without any account: what is said is understood, what is answered can
// be heard, and who interrupts is let speak.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { assertUnderstood, pcmLevel, sentences, understood } from './support/speech.mjs';
import { VoiceSession, audioOf, deltas, message, noise, silence, speech, types } from './support/voice_session.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const local = await startServer({ after });
const SPEECH = { REALTIME_PROVIDER: 'local', TTS_PROVIDER: 'local', STT_PROVIDER: 'local', UPSTREAM_RETRIES: '0' };
const scripted = await startServer({ after }, { env: { ...upstream.openaiEnv, ...SPEECH } });

const open = (t, options, server = local) => VoiceSession.open(t, server, options);
const TRANSCRIBE = { transcription: { model: 'whisper-1' } };
const HEARD = 'conversation.item.input_audio_transcription.completed';
const onceEach = (list) => list.filter((type, i) => type !== list[i - 1]);
const withPause = (audio) => Buffer.concat([silence(300), audio, silence(1600)]);
const said = new Map();
async function pcm(sentence) {
    if (!said.has(sentence)) {
        said.set(sentence, await speech(local, sentence));
    }
    return said.get(sentence);
}

/** It is a voice, of about the length that the text takes. */
function assertAudible(audio, text, rate = 24000) {
    const seconds = audio.length / 2 / rate;
    const count = text.split(' ').length;
    assert.ok(pcmLevel(audio) > 300, `level ${pcmLevel(audio)}`);
    assert.ok(seconds > count * 0.12 && seconds < count * 1.2 + 2, `${seconds} s for "${text}"`);
}

test('ten sentences are understood', async (t) => {
    const s = await open(t);
    await s.update({ audio: { input: { ...TRANSCRIBE, turn_detection: { type: 'server_vad', create_response: false } } } });
    let right = 0;
    let all = 0;
    const heard = [];
    for (const sentence of sentences) {
        s.speak(withPause(await pcm(sentence)));
        const { transcript } = await s.event(HEARD);
        const score = understood(transcript, sentence);
        right += score.right;
        all += score.all;
        heard.push(transcript);
    }
    assert.ok(right / all >= 0.8, `${right} of ${all}: ${heard.join(' | ')}`);
});

test('a spoken turn, in the documented order, and an answer that can be heard', async (t) => {
    const s = await open(t);
    await s.update({ audio: { input: TRANSCRIBE } });
    const sentence = 'my name is john and i live in london';
    s.speak(withPause(await pcm(sentence)));
    const events = await s.until('response.done');
    const heard = events.find((event) => event.type === HEARD);
    const order = onceEach(types(events.filter(({ type }) => !type.includes('input_audio_transcription'))));
    assert.deepEqual(order.slice(0, 9), [
        'input_audio_buffer.speech_started',
        'input_audio_buffer.speech_stopped',
        'input_audio_buffer.committed',
        'conversation.item.added',
        'conversation.item.done',
        'response.created',
        'response.output_item.added',
        'conversation.item.added',
        'response.content_part.added',
    ]);
    assert.deepEqual(order.slice(-6), [
        'response.output_audio.done',
        'response.output_audio_transcript.done',
        'response.content_part.done',
        'conversation.item.done',
        'response.output_item.done',
        'response.done',
    ]);
    assertUnderstood(heard.transcript, sentence);
    assert.equal(heard.usage.type, 'duration');
    assert.ok(heard.usage.seconds > 1 && heard.usage.seconds < 10, `${heard.usage.seconds}`);
    const of = (type) => events.find((event) => event.type === type);
    const started = of('input_audio_buffer.speech_started');
    const stopped = of('input_audio_buffer.speech_stopped');
    assert.ok(started.audio_start_ms < 700 && stopped.audio_end_ms > 1500, `${started.audio_start_ms} ${stopped.audio_end_ms}`);
    assert.equal(started.item_id, stopped.item_id);
    assert.equal(of('input_audio_buffer.committed').item_id, started.item_id);
    assert.equal(of('conversation.item.added').item.content[0].type, 'input_audio');
    const { transcript } = of('response.output_audio_transcript.done');
    assert.ok(transcript.length > 10);
    assert.equal(deltas(events, 'response.output_audio_transcript.delta'), transcript);
    assert.deepEqual(of('response.content_part.done').part, { type: 'audio', transcript });
    assert.deepEqual(events.at(-1).response.output[0].content, [{ type: 'output_audio', transcript }]);
    assert.deepEqual(events.at(-1).response.output_modalities, ['audio']);
    assertAudible(audioOf(events), transcript);
    for (const event of events.filter(({ type }) => type === 'response.output_audio.delta')) {
        assert.ok(event.delta.length <= 12808, 'at most 200 ms');
    }
    s.send('conversation.item.retrieve', { item_id: started.item_id });
    const { item } = await s.expect('conversation.item.retrieved');
    assert.deepEqual(item.content, [{ type: 'input_audio', transcript: heard.transcript }]);
});

test('the front end of dialect 001: its spellings, and no word about a session', async (t) => {
    const s = await open(t, { path: '/api/realtime' });
    assert.deepEqual(s.created.session.output_modalities, ['audio']);
    assert.equal(s.created.session.audio.output.voice, 'alloy');
    s.speak(withPause(await pcm('hello how are you today')));
    const events = await s.until('response.done');
    const heard = events.find((event) => event.type === HEARD).transcript;
    assertUnderstood(heard, 'hello how are you today');
    assert.equal(deltas(events, 'conversation.item.input_audio_transcript.delta'), heard);
    const transcript = deltas(events, 'response.output_audio_transcript.delta');
    assertAudible(audioOf(events), transcript);
    for (const type of ['response.created', 'response.output_audio.done', 'input_audio_buffer.speech_stopped']) {
        assert.ok(types(events).includes(type), type);
    }
});

test('what that front end sends too late is answered as it expects', async (t) => {
    const s = await open(t, { path: '/api/realtime' }, scripted);
    const hold = gate();
    upstream.next({ text: 'Yes. And more.', holdAfter: 1, gate: hold.promise });
    s.speak(withPause(await pcm('thank you for your help')));
    const before = await s.until('response.created');
    assert.ok(types(before).includes('input_audio_buffer.committed'));
    s.send('input_audio_buffer.commit');
    s.send('response.create');
    const codes = [];
    while (codes.length < 2) {
        const event = await s.next();
        if (event.type === 'error') {
            codes.push(event.error.code);
        }
    }
    assert.deepEqual(codes, ['input_audio_buffer_commit_empty', 'conversation_already_has_active_response']);
    s.send('response.cancel');
    const events = await s.until('response.done');
    hold.open();
    assert.equal(events.at(-1).response.status, 'cancelled');
    const cancelled = events.filter(({ type }) => type === 'response.cancelled');
    assert.deepEqual(cancelled.map(({ response }) => response.id), [events.at(-1).response.id]);
});

test('who asks for an answer that comes anyway gets one answer', async (t) => {
    const s = await open(t, { path: '/api/realtime' });
    s.speak(withPause(await pcm('i want to buy a new computer')));
    const all = await s.until('input_audio_buffer.committed');
    s.send('response.create');
    while (all.at(-1).type !== 'response.done') {
        all.push(await s.next());
    }
    const errors = all.filter(({ type }) => type === 'error').map(({ error }) => error.code);
    assert.ok(errors.length <= 1 && errors.every((code) => code === 'conversation_already_has_active_response'), errors.join());
    assert.equal(all.at(-1).response.status, 'completed');
    assertUnderstood(all.find(({ type }) => type === HEARD).transcript, 'i want to buy a new computer');
    s.send('response.create', { response: { conversation: 'none', output_modalities: ['text'], input: [message('x')] } });
    const later = await s.until('response.done');
    assert.equal([...all, ...later].filter(({ type }) => type === 'response.created').length, 2, 'one each');
});

test('nobody says anything for a while', async (t) => {
    const s = await open(t);
    await s.update({
        output_modalities: ['text'],
        audio: { input: { turn_detection: { type: 'server_vad', idle_timeout_ms: 5000 } } },
    });
    await s.add(message('hello'));
    s.send('response.create');
    await s.until('response.done');
    s.speak(silence(6000));
    const events = await s.until('input_audio_buffer.timeout_triggered');
    const { audio_start_ms, audio_end_ms, item_id } = events.at(-1);
    assert.ok(audio_end_ms >= audio_start_ms && /^item_/.test(item_id), JSON.stringify(events.at(-1)));
    assert.equal((await s.event('response.done')).response.status, 'completed');
});

test('binary messages are audio there', async (t) => {
    const s = await open(t, { path: '/api/realtime' });
    s.raw(Buffer.alloc(961));
    assert.equal((await s.expect('error')).error.code, 'invalid_value');
    const audio = withPause(await pcm('the weather is very nice today'));
    for (let at = 0; at < audio.length; at += 1920) {
        s.raw(audio.subarray(at, at + 1920));
    }
    assertUnderstood((await s.event(HEARD)).transcript, 'the weather is very nice today');
});

test('who speaks while it speaks interrupts it', async (t) => {
    const s = await open(t, { path: '/api/realtime' }, scripted);
    const hold = gate();
    t.after(() => hold.open());
    const first = 'This is the first of many sentences that I am going to say to you now. ';
    upstream.next({ text: `${first}This one here is never said.`, holdAfter: 18, gate: hold.promise });
    await s.add(message('tell me a long story'));
    s.send('response.create');
    await s.until('response.output_audio.delta');
    s.speak(withPause(await pcm('please help me with my account')));
    const events = await s.until('response.done');
    const { response } = events.at(-1);
    assert.equal(response.status, 'cancelled', JSON.stringify(response));
    assert.deepEqual(response.status_details, { type: 'cancelled', reason: 'turn_detected' });
    const order = types(events);
    assert.ok(order.indexOf('input_audio_buffer.speech_started') >= 0);
    assert.ok(order.includes('response.cancelled'));
    const [item] = response.output;
    assert.equal(item.status, 'incomplete');
    const next = await s.until('response.done');
    assert.equal(next.at(-1).response.status, 'completed');
    s.send('conversation.item.truncate', { item_id: item.id, content_index: 0, audio_end_ms: 500 });
    const truncated = await s.event('conversation.item.truncated');
    assert.deepEqual([truncated.item_id, truncated.content_index, truncated.audio_end_ms], [item.id, 0, 500]);
    upstream.forget();
    await s.add(message('and now?'));
    s.send('response.create');
    await s.until('response.done');
    const asked = (await upstream.request(1)).body.messages;
    const spoken = asked.filter(({ role }) => role === 'assistant').map(({ content }) => content);
    assert.ok(!spoken.some((text) => text.includes('never said')), spoken.join(' | '));
});

test('silence is nobody, and neither is noise', async (t) => {
    const s = await open(t);
    await s.update({ audio: { input: { turn_detection: { type: 'server_vad' } } } });
    s.speak(silence(5000));
    await s.works();
    s.speak(noise(5000));
    s.speak(silence(1000));
    await s.works();
    s.speak(withPause(await pcm('thank you for your help')));
    await s.expect('input_audio_buffer.speech_started');
});

test('without detection the client says when', async (t) => {
    const s = await open(t);
    await s.update({ audio: { input: { ...TRANSCRIBE, turn_detection: null } } });
    s.speak(await pcm('can you tell me where the station is'));
    s.send('input_audio_buffer.commit');
    const { item_id } = await s.expect('input_audio_buffer.committed');
    assert.equal((await s.expect('conversation.item.added')).item.id, item_id);
    await s.expect('conversation.item.done');
    s.send('response.create');
    const events = await s.until('response.done');
    const heard = events.find((event) => event.type === HEARD);
    assert.equal(heard.item_id, item_id);
    assertUnderstood(heard.transcript, 'can you tell me where the station is');
    assert.equal(events.at(-1).response.status, 'completed');
    assert.ok(!types(events).includes('input_audio_buffer.speech_started'));
    assertAudible(audioOf(events), deltas(events, 'response.output_audio_transcript.delta'));
});

test('text is heard, speech is read', async (t) => {
    const s = await open(t);
    await s.add(message('hello'));
    s.send('response.create');
    const spoken = await s.until('response.done');
    assertAudible(audioOf(spoken), deltas(spoken, 'response.output_audio_transcript.delta'));
    s.send('response.create', { response: { output_modalities: ['text'] } });
    const written = await s.until('response.done');
    assert.equal(audioOf(written).length, 0);
    assert.ok(deltas(written, 'response.output_text.delta').length > 0);
    const error = await s.refused('session.update', { session: { type: 'realtime', audio: { output: { voice: 'echo' } } } });
    assert.equal(error.code, 'cannot_update_voice');
});

test('nobody who does not ask for transcripts gets them', async (t) => {
    const s = await open(t);
    s.speak(withPause(await pcm('hello how are you today')));
    const events = await s.until('response.done');
    assert.ok(!types(events).some((type) => type.includes('transcription')), types(events).join(' '));
});

test('audio as an item', async (t) => {
    const s = await open(t);
    await s.update({ audio: { input: TRANSCRIBE } });
    const audio = (await pcm('i want to buy a new computer')).toString('base64');
    s.send('conversation.item.create', { item: { id: 'item_said', type: 'message', role: 'user', content: [{ type: 'input_audio', audio }] } });
    const events = await s.until(HEARD);
    assert.equal(events[0].type, 'conversation.item.added');
    assert.equal(events.at(-1).item_id, 'item_said');
    assertUnderstood(events.at(-1).transcript, 'i want to buy a new computer');
    await s.works();
});

// ---- G.711 ----

/** One byte of mu-law or A-law. */
function compand(sample, law) {
    if (law === 'pcmu') {
        const sign = sample < 0 ? 0x80 : 0;
        const value = Math.min(Math.abs(sample), 32635) + 132;
        const segment = Math.floor(Math.log2(value)) - 7;
        return ~(sign | (segment << 4) | ((value >> (segment + 3)) & 15)) & 0xff;
    }
    const sign = sample < 0 ? 0 : 0x80;
    const value = sample < 0 ? -sample - 1 : sample;
    const segment = value < 256 ? 0 : Math.floor(Math.log2(value)) - 7;
    return (sign | (segment << 4) | ((value >> (segment ? segment + 3 : 4)) & 15)) ^ 0x55;
}
function expand(byte, law) {
    if (law === 'pcmu') {
        const bits = ~byte & 0xff;
        const value = ((((bits & 15) << 3) | 0x84) << ((bits >> 4) & 7)) - 132;
        return bits & 0x80 ? -value : value;
    }
    const bits = byte ^ 0x55;
    const segment = (bits >> 4) & 7;
    const step = ((bits & 15) << 4) | 8;
    const value = segment ? (step | 0x100) << (segment - 1) : step;
    return bits & 0x80 ? value : -value;
}
/** From 24 to 8 kHz, without what a telephone does not carry: windowed sinc, up to 3.7 kHz. */
const TAPS = Array.from({ length: 97 }, (_, i) => {
    const x = ((i - 48) * 2 * 3700) / 24000;
    const window = 0.5 + 0.5 * Math.cos((Math.PI * (i - 48)) / 49);
    return ((x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)) * window * 2 * 3700) / 24000;
});
function toTelephone(audio, law) {
    const out = Buffer.alloc(Math.floor(audio.length / 6));
    for (let i = 0; i < out.length; i++) {
        const sum = TAPS.reduce((all, tap, k) => {
            const at = (i * 3 + k - 48) * 2;
            return at >= 0 && at < audio.length ? all + tap * audio.readInt16LE(at) : all;
        }, 0);
        out[i] = compand(Math.max(-32768, Math.min(32767, Math.round(sum))), law);
    }
    return out;
}
function fromTelephone(bytes, law) {
    const out = Buffer.alloc(bytes.length * 2);
    bytes.forEach((byte, i) => out.writeInt16LE(expand(byte, law), i * 2));
    return out;
}

// The embedded recognizer was made for more than a telephone carries: these two it understands.
for (const [law, sentence] of [
    ['pcmu', 'my name is john and i live in london'],
    ['pcma', 'the weather is very nice today'],
]) {
    test(`a telephone's audio: ${law}`, async (t) => {
        const s = await open(t);
        const format = { type: `audio/${law}` };
        await s.update({ audio: { input: { ...TRANSCRIBE, format }, output: { format } } });
        s.speak(toTelephone(withPause(await pcm(sentence)), law), 320);
        const events = await s.until('response.done');
        assertUnderstood(events.find((event) => event.type === HEARD).transcript, sentence);
        const transcript = deltas(events, 'response.output_audio_transcript.delta');
        assertAudible(fromTelephone(audioOf(events), law), transcript, 8000);
        await s.update({ audio: { input: { turn_detection: null }, output: { format: { type: 'audio/pcm' } } } });
        s.send('input_audio_buffer.append', { audio: Buffer.alloc(800, 0xd5).toString('base64') });
        s.send('input_audio_buffer.commit');
        await s.event('input_audio_buffer.committed');
    });
}

// ---- the preview ----

const BETA = { headers: { 'OpenAI-Beta': 'realtime=v1' } };

test('the preview: its session, names and items', async (t) => {
    const s = await open(t, { ...BETA, greeting: 2 }, scripted);
    assert.deepEqual(types(s.greeting), ['session.created', 'conversation.created']);
    const { session } = s.created;
    assert.deepEqual([session.modalities, session.input_audio_format, session.temperature], [['audio', 'text'], 'pcm16', 0.8]);
    assert.equal(session.turn_detection.type, 'server_vad');
    assert.equal(session.audio, undefined);
    s.send('session.update', {
        session: {
            modalities: ['text', 'audio'],
            voice: 'echo',
            temperature: 0.6,
            max_response_output_tokens: 99,
            input_audio_transcription: { model: 'whisper-1' },
            turn_detection: null,
        },
    });
    const updated = (await s.expect('session.updated')).session;
    assert.deepEqual([updated.voice, updated.temperature, updated.max_response_output_tokens], ['echo', 0.6, 99]);
    assert.deepEqual([updated.turn_detection, updated.input_audio_transcription.model], [null, 'whisper-1']);
    s.send('conversation.item.create', { item: message('hello') });
    await s.expect('conversation.item.created');
    upstream.forget();
    s.send('response.create', { response: { modalities: ['text'] } });
    const text = await s.until('response.done');
    assert.deepEqual(onceEach(types(text)), [
        'response.created',
        'response.output_item.added',
        'conversation.item.created',
        'response.content_part.added',
        'response.text.delta',
        'response.text.done',
        'response.content_part.done',
        'response.output_item.done',
        'response.done',
    ]);
    assert.equal((await upstream.request(1)).body.temperature, 0.6);
    assert.deepEqual(text.at(-1).response.output[0].content, [{ type: 'text', text: 'You said: hello' }]);
    s.send('response.create');
    const spoken = await s.until('response.done');
    assert.deepEqual(spoken.at(-1).response.modalities, ['audio', 'text']);
    assert.equal(spoken.at(-1).response.output[0].content[0].type, 'audio');
    assertAudible(audioOf(spoken), deltas(spoken, 'response.audio_transcript.delta'));
    assert.ok(types(spoken).includes('response.audio.done') && types(spoken).includes('response.audio_transcript.done'));
    assert.equal((await s.refused('session.update', { session: { modalities: ['audio'] } })).param, 'session.modalities');
});

test('the preview by the shape of the first update', async (t) => {
    const s = await open(t);
    s.send('session.update', { session: { modalities: ['text'], input_audio_format: 'g711_ulaw' } });
    const { session } = await s.expect('session.updated');
    assert.deepEqual([session.modalities, session.input_audio_format], [['text'], 'g711_ulaw']);
    s.send('conversation.item.create', { item: message('hello') });
    await s.expect('conversation.item.created');
});

// ---- transcription ----

test('a transcription session listens, and says nothing', async (t) => {
    const s = await open(t, { path: '/v1/realtime?intent=transcription' });
    const { session } = s.created;
    assert.deepEqual([session.type, session.object], ['transcription', 'realtime.transcription_session']);
    assert.equal(session.audio.output, undefined);
    s.send('session.update', { session: { type: 'transcription', audio: { input: { transcription: { model: 'gpt-4o-transcribe', language: 'en' } } } } });
    assert.equal((await s.expect('session.updated')).session.audio.input.transcription.model, 'gpt-4o-transcribe');
    s.speak(withPause(await pcm('i would like to cancel my order')));
    const events = await s.until(HEARD);
    assertUnderstood(events.at(-1).transcript, 'i would like to cancel my order');
    assert.equal((await s.refused('response.create')).code, 'invalid_value');
    const error = await s.refused('session.update', { session: { type: 'realtime' } });
    assert.equal(error.param, 'session.type');
    await s.works();
});

test('a transcription session of the preview', async (t) => {
    const s = await open(t, { ...BETA, path: '/v1/realtime?intent=transcription' });
    assert.equal(s.created.type, 'transcription_session.created');
    s.send('transcription_session.update', { session: { input_audio_transcription: { model: 'whisper-1' }, turn_detection: { type: 'server_vad', silence_duration_ms: 400 } } });
    const { session } = await s.expect('transcription_session.updated');
    assert.equal(session.turn_detection.silence_duration_ms, 400);
    s.speak(withPause(await pcm('please call me back in ten minutes')));
    assertUnderstood((await s.event(HEARD)).transcript, 'please call me back in ten minutes');
});
