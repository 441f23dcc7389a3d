// Realtime sessions under strain: clients that read slowly, and two hundred at once.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { pcmLevel, understood } from './support/speech.mjs';
import { VoiceSession, audioOf, deltas, message, silence, speech } from './support/voice_session.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const SPEECH = { REALTIME_PROVIDER: 'local', TTS_PROVIDER: 'local', STT_PROVIDER: 'local', UPSTREAM_RETRIES: '0' };
const server = await startServer({ after }, { env: { ...upstream.openaiEnv, ...SPEECH } });
const open = (t, options) => VoiceSession.open(t, server, options);

/** What was said, as soon as that is known. */
async function transcript(s) {
    for (;;) {
        const event = await s.next();
        assert.ok(!/failed$|^error$/.test(event.type), JSON.stringify(event));
        if (event.type === 'conversation.item.input_audio_transcription.completed') {
            return event.transcript;
        }
    }
}

async function bytesSent() {
    const text = await (await server.fetch('/metrics')).text();
    return Number(text.match(/^parley_websocket_bytes_total\{direction="out"\} ([\d.e+]+)$/m)?.[1] ?? NaN);
}

/** Resolves once the server has sent nothing more for a while. */
async function standStill() {
    for (let before = -1, calm = 0; ; ) {
        const now = await bytesSent();
        assert.ok(now >= 0);
        calm = now === before ? calm + 1 : 0;
        before = now;
        if (calm === 15) {
            return now;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

test('a client that does not read holds its replies up, and misses nothing of them', async (t) => {
    const s = await open(t);
    await s.update({ audio: { output: { voice: 'kal16' } } });
    const text = 'There once was a long story about a small town with a tower and a river. '.repeat(7).trim();
    for (let i = 0; i < 4; i++) {
        upstream.next({ text });
    }
    const before = await bytesSent();
    s.socket.ws.pause();
    for (let i = 0; i < 4; i++) {
        s.send('response.create', { response: { conversation: 'none', input: [message('tell me a story')] } });
    }
    const sent = (await standStill()) - before;
    s.socket.ws.resume();
    const events = [];
    for (let i = 0; i < 4; i++) {
        events.push(...(await s.until('response.done')));
    }
    for (const { response } of events.filter(({ type }) => type === 'response.done')) {
        assert.equal(response.status, 'completed', JSON.stringify(response).slice(0, 500));
        const own = events.filter(({ response_id }) => response_id === response.id);
        assert.equal(deltas(own, 'response.output_audio_transcript.delta').trim(), text);
        const audio = audioOf(own);
        assert.ok(audio.length > 48000 * 10, `${audio.length}`);
        assert.ok(pcmLevel(audio.subarray(-96000, -24000)) > 300);
    }
    const all = (await bytesSent()) - before;
    // More than the system's own buffers hold (4 MiB and a little), less than the queue that ends a socket.
    assert.ok(sent < all - 200000, `${sent} of ${all} bytes were sent while nobody read`);
    await s.works();
});

test('two hundred at once, most of them silent', async (t) => {
    const sentence = 'please help me with my account';
    const audio = Buffer.concat([silence(300), await speech(server, sentence), silence(1600)]);
    const all = await Promise.all(Array.from({ length: 200 }, () => open(t)));
    assert.equal(new Set(all.map(({ created }) => created.session.id)).size, 200);
    const silent = all.slice(6, 60);
    const speaking = all.slice(0, 6);
    for (const s of speaking) {
        await s.update({ audio: { input: { transcription: { model: 'whisper-1' }, turn_detection: { type: 'server_vad', create_response: false } } } });
    }
    for (const s of silent) {
        s.speak(silence(3000), 9600);
    }
    const heard = [];
    for (let i = 0; i < speaking.length; i += 2) {
        const two = speaking.slice(i, i + 2); // as many as are heard at a time
        two.forEach((s) => s.speak(audio, 9600));
        heard.push(...(await Promise.all(two.map(transcript))));
    }
    const scores = heard.map((text) => understood(text, sentence));
    const right = scores.reduce((sum, score) => sum + score.right, 0);
    assert.ok(right >= 0.8 * scores.length * scores[0].all, heard.join(' | '));
    for (const s of all.slice(6)) {
        await s.works();
    }
    for (const s of all.slice(0, 100)) {
        s.socket.ws.terminate();
    }
    await Promise.all(all.slice(100).map((s) => s.close()));
});
