// What voice tests need: servers with speech of every kind, and sentences as Chromium records them.
import assert from 'node:assert/strict';
import { startSpeech } from '../../fake/speech.mjs';
import { startUpstream } from '../../fake/upstream.mjs';
import { Recorder } from './recorder.mjs';
import { startServer } from './server.mjs';

export const SENTENCES = [
    'hello how are you today',
    'i would like to cancel my order',
    'what time does the store open tomorrow',
    'the weather is very nice today',
    'thank you for your help',
];
export const CANCEL = 1;
export const NOT_HEARD = "Sorry, I couldn't hear any words. Please try again.";
export const NOT_PROCESSED = "Sorry, I couldn't process that audio. Please try again.";

const SECRET = 'The very own words of the service';
/** A plan of the stand-in for speech. */
export const failing = (status = 500) => ({ status, body: JSON.stringify({ error: { message: SECRET } }) });
export const assertOwnWords = (value) => assert.ok(!JSON.stringify(value).includes(SECRET), JSON.stringify(value));

export const joined = (slices) => Buffer.concat(slices.map((slice) => Buffer.from(slice, 'base64')));
/** Bytes that are no audio. */
export const garbage = (length) => Buffer.from(Array.from({ length }, (_, i) => (i * 7919 + (i >> 3)) & 255));

export const words = (text) => text.toLowerCase().match(/[a-z']+/g) ?? [];

/** Share of the words of `said` that are in `heard`, in order. */
export function share(said, heard) {
    const [a, b] = [words(said), words(heard)];
    let row = new Array(b.length + 1).fill(0);
    for (const word of a) {
        const next = [0];
        for (let j = 1; j <= b.length; j++) {
            next.push(word === b[j - 1] ? row[j - 1] + 1 : Math.max(row[j], next[j - 1]));
        }
        row = next;
    }
    return row.at(-1) / a.length;
}

export const assertHeard = (said, heard) => {
    assert.ok(share(said, heard) >= 0.8, `"${said}" was heard as "${heard}"`);
};

export const cloudEnv = (speech) => ({
    LLM_PROVIDER: 'demo',
    TTS_PROVIDER: 'openai',
    STT_PROVIDER: 'openai',
    OPENAI_API_KEY: speech.key,
    OPENAI_BASE_URL: `${speech.url}/v1`,
    UPSTREAM_RETRIES: '0',
});

export class Studio {
    /** Ends with the tests of `t`. */
    static async start(t) {
        const studio = new Studio();
        studio.upstream = await startUpstream();
        studio.speech = await startSpeech();
        studio.recorder = await Recorder.start();
        t.after(async () => {
            await studio.upstream.close();
            await studio.speech.close();
            await studio.recorder.close();
        });
        const local = { TTS_PROVIDER: 'local', STT_PROVIDER: 'local', SPEECH_RECOGNIZERS: '4' };
        const env = { ...studio.upstream.openaiEnv, ...local };
        studio.voiced = await startServer(t, { env }); // a model, the embedded voice and ears
        studio.echo = await startServer(t); // no model
        studio.mute = await startServer(t, { env: { TTS_PROVIDER: 'none', STT_PROVIDER: 'none' } });
        studio.cloud = await startServer(t, { env: cloudEnv(studio.speech) });
        return studio;
    }

    /** Speaks the sentences and records them: `spoken` (MP3) and `recorded` (slices, with silence behind). */
    async record() {
        this.spoken = [];
        for (const sentence of SENTENCES) {
            this.upstream.next({ text: sentence });
            const { body } = await this.voiced.json('POST', '/api/chat', { message: 'Speak', context: {} });
            this.spoken.push(body.audioData);
        }
        this.recorded = await Promise.all(this.spoken.map((file) => this.recorder.record([file])));
        this.silence = await this.recorder.record([], { trail: 3 });
    }

    /** Not silent, and about as long as somebody takes to say it. */
    async assertAudible(audioData, text) {
        const sound = await this.recorder.listen(audioData);
        assert.ok(sound.rms > 0.01, `loudness ${sound.rms}`);
        const usual = words(text).length * 0.35;
        assert.ok(sound.seconds > usual * 0.4 && sound.seconds < usual * 3 + 1, `${sound.seconds} s of "${text}"`);
    }
}
