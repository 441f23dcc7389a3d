// Noise reduction of realtime sessions: what is set is shown, and who speaks in noise is understood.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startServer } from './support/server.mjs';
import { pcmLevel, sentences, understood } from './support/speech.mjs';
import { VoiceSession, noise, silence, speech } from './support/voice_session.mjs';

const SPEECH = { REALTIME_PROVIDER: 'local', TTS_PROVIDER: 'local', STT_PROVIDER: 'local' };
const server = await startServer({ after }, { env: { ...SPEECH, VOICE_NOISE_REDUCTION: 'off' } });
const BETA = { headers: { 'OpenAI-Beta': 'realtime=v1' } };
const HEARD = 'conversation.item.input_audio_transcription.completed';

test('it is shown as it was set, and stays until it is set again', async (t) => {
    const s = await VoiceSession.open(t, server);
    const set = async (input) => (await s.update({ audio: { input } })).audio.input.noise_reduction;
    assert.equal(s.created.session.audio.input.noise_reduction, null);
    assert.deepEqual(await set({ noise_reduction: { type: 'near_field' } }), { type: 'near_field' });
    assert.deepEqual(await set({ turn_detection: null }), { type: 'near_field' });
    assert.deepEqual(await set({ noise_reduction: { type: 'far_field' } }), { type: 'far_field' });
    assert.equal(await set({ noise_reduction: null }), null);
    const { param } = await s.refused('session.update', {
        session: { type: 'realtime', audio: { input: { noise_reduction: { type: 'middle_field' } } } },
    });
    assert.equal(param, 'session.audio.input.noise_reduction.type');
    await s.works();
});

test('the preview has a name of its own for it', async (t) => {
    const s = await VoiceSession.open(t, server, { ...BETA, greeting: 2 });
    const set = async (session) => {
        s.send('session.update', { session });
        return (await s.expect('session.updated')).session.input_audio_noise_reduction;
    };
    assert.equal(s.created.session.input_audio_noise_reduction, null);
    assert.deepEqual(await set({ input_audio_noise_reduction: { type: 'far_field' } }), { type: 'far_field' });
    assert.deepEqual(await set({ instructions: 'Be brief.' }), { type: 'far_field' });
    assert.equal(await set({ input_audio_noise_reduction: null }), null);
});

test('a client that says nothing gets what is configured, and by default what is good for who listens', async (t) => {
    const byDefault = async (env) => {
        const other = await startServer(t, { env: { ...SPEECH, ...env } });
        const s = await VoiceSession.open(t, other);
        return [s, s.created.session.audio.input.noise_reduction];
    };
    const [s, local] = await byDefault({});
    assert.deepEqual(local, { type: 'near_field' });
    assert.equal((await s.update({ audio: { input: { noise_reduction: null } } })).audio.input.noise_reduction, null);
    const [, far] = await byDefault({ VOICE_NOISE_REDUCTION: 'far' });
    assert.deepEqual(far, { type: 'far_field' });
    const [, service] = await byDefault({ STT_PROVIDER: 'openai', OPENAI_API_KEY: 'sk-test' });
    assert.equal(service, null);
});

/** Sentences with a noise behind them that is `below` decibels quieter. */
async function inNoise(said, below) {
    const parts = [silence(2500)];
    for (const sentence of said) {
        parts.push(await speech(server, sentence), silence(2000));
    }
    const pcm = Buffer.concat(parts);
    const level = pcmLevel(parts[1]) / 10 ** (below / 20);
    const background = noise((pcm.length / 48000) * 1000, level * Math.sqrt(3));
    for (let i = 0; i + 1 < Math.min(pcm.length, background.length); i += 2) {
        const sum = pcm.readInt16LE(i) + background.readInt16LE(i);
        pcm.writeInt16LE(Math.max(-32768, Math.min(32767, sum)), i);
    }
    return pcm;
}

/** How many words of these were understood. */
async function wordsUnderstood(t, said, pcm, noise_reduction) {
    const s = await VoiceSession.open(t, server);
    const turn_detection = { type: 'server_vad', create_response: false };
    await s.update({ audio: { input: { transcription: { model: 'whisper-1' }, noise_reduction, turn_detection } } });
    s.speak(pcm);
    const order = []; // two are recognized at a time, either may be done first
    const heard = new Map();
    while (heard.size < said.length) {
        const event = await s.next();
        assert.ok(!/failed$|^error$/.test(event.type), JSON.stringify(event));
        if (event.type === 'input_audio_buffer.committed') {
            order.push(event.item_id);
        } else if (event.type === HEARD) {
            heard.set(event.item_id, event.transcript);
        }
    }
    await s.close();
    t.diagnostic(`${noise_reduction?.type}: ${order.map((id) => heard.get(id)).join(' | ')}`);
    return said.reduce((right, sentence, i) => right + understood(heard.get(order[i]), sentence).right, 0);
}

test('somebody who speaks in noise is understood better', async (t) => {
    const said = sentences.slice(0, 5);
    const all = said.join(' ').split(' ').length;
    const pcm = await inNoise(said, 20);
    const without = await wordsUnderstood(t, said, pcm, null);
    const reduced = await wordsUnderstood(t, said, pcm, { type: 'near_field' });
    assert.ok(reduced > without, `${reduced} words instead of ${without}`);
    assert.ok(reduced / all >= 0.7, `${reduced} of ${all}`);
});
