// Dialect 000 with speech over HTTP: replies that are spoken, recordings that are understood.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startServer } from './support/server.mjs';
import { ISO, assertError } from './support/shapes.mjs';
import {
    CANCEL,
    NOT_HEARD,
    NOT_PROCESSED,
    SENTENCES,
    Studio,
    assertHeard,
    assertOwnWords,
    cloudEnv,
    failing,
    garbage,
    joined,
} from './support/studio.mjs';

const studio = await Studio.start({ after });
const { upstream, speech, recorder, voiced, echo, mute, cloud } = studio;
let spoken, recorded, silence;
before(async () => {
    await studio.record();
    ({ spoken, recorded, silence } = studio);
});

test('speech is announced', async () => {
    for (const [server, configured] of [
        [voiced, true],
        [mute, false],
    ]) {
        const status = (await server.json('GET', '/api/status')).body;
        assert.equal(status.speechConfigured, configured);
        assert.equal(typeof status.speechRegion, 'string');
        assert.ok(status.endpoints.includes('POST /api/audio') && status.endpoints.includes('POST /api/tts'));
        assert.equal((await server.json('GET', '/health')).body.speechConfigured, configured);
    }
});

describe('POST /api/chat', () => {
    const ask = (server, body) => server.json('POST', '/api/chat', { context: {}, ...body });

    test('a reply of the model is spoken', async () => {
        upstream.next({ text: 'The next tram leaves in ten minutes' });
        const { body } = await ask(voiced, { message: 'When?' });
        assert.equal(body.audioFormat, 'audio/mp3');
        await studio.assertAudible(body.audioData, body.message);
    });

    test('but not when the client wants none, nor an echo', async () => {
        for (const [server, message] of [
            [voiced, { message: 'Hi', audio: false }],
            [echo, { message: 'Hi' }],
        ]) {
            const { status, body } = await ask(server, message);
            assert.equal(status, 200);
            assert.ok(!('audioData' in body) && !('audioFormat' in body));
        }
    });

    test('of a long reply, the beginning is', async (t) => {
        upstream.next({ text: 'So it goes on and on. '.repeat(300) });
        speech.forget();
        speech.next({ seconds: 1 });
        const server = await startServer(t, { env: { ...upstream.openaiEnv, ...azureSpeech(speech) } });
        assert.equal((await server.json('GET', '/api/status')).body.speechRegion, 'eastus2');
        const { body } = await ask(server, { message: 'Tell me' });
        assert.equal(body.message.length, 6600);
        assert.ok(body.audioData);
        const { ssml } = await speech.request(1);
        assert.ok(ssml.text.length <= 4096 && ssml.text.length > 4000, `${ssml.text.length}`);
    });

    test('a synthesis that fails leaves out the audio only', async () => {
        speech.forget();
        for (const plan of [failing(500), failing(429), { empty: true }, { cutAfter: 1 }]) {
            speech.next(plan);
            const { status, body } = await ask(cloud, { message: 'Hello' });
            assert.equal(status, 200);
            assert.equal(body.aiUsed, true);
            assert.ok(!('audioData' in body) && !('audioFormat' in body) && !('error' in body), JSON.stringify(body));
        }
    });

    test('so does one that hangs', async (t) => {
        speech.forget();
        const server = await startServer(t, { env: { ...cloudEnv(speech), UPSTREAM_FIRST_BYTE_TIMEOUT: '300ms' } });
        speech.next({ hang: 'connection' });
        const { body } = await ask(server, { message: 'Hello' });
        assert.ok(body.message.length > 0 && !('audioData' in body));
    });

    test('a recording in place of the message', async () => {
        const audioData = joined(recorded[CANCEL]).toString('base64');
        const { status, body } = await voiced.json('POST', '/api/chat', { audioData });
        assert.equal(status, 200);
        assertHeard(SENTENCES[CANCEL], body.originalMessage);
        assert.equal(body.message, `You said: ${body.originalMessage}`);
        assert.equal(body.audioFormat, 'audio/mp3');
        const echoed = (await echo.json('POST', '/api/chat', { audioData })).body;
        assert.equal(echoed.message, `Echo: ${body.originalMessage}`);
        assert.equal(echoed.aiUsed, false);
    });

    test('a recording beside a message: what is said counts, if anything is', async () => {
        const heard = await ask(voiced, { message: 'typed', audioData: joined(recorded[CANCEL]).toString('base64') });
        assertHeard(SENTENCES[CANCEL], heard.body.originalMessage);
        const typed = await ask(voiced, { message: 'typed', audioData: joined(silence).toString('base64') });
        assert.equal(typed.body.originalMessage, 'typed');
    });

    test('recordings that hold nothing', async () => {
        const silent = await ask(voiced, { audioData: joined(silence).toString('base64') });
        assertError(silent, 400, 'There are no words in the audio', 'INVALID_REQUEST');
        assertError(await ask(voiced, { audioData: '????' }), 400, 'Audio data is not valid base64', 'INVALID_REQUEST');
        assertError(await ask(voiced, { audioData: garbage(20000).toString('base64') }), 400);
        assertError(await ask(voiced, { audioData: '' }), 400, 'Message is required');
    });

    test('recognition that fails', async () => {
        speech.forget();
        speech.next(failing());
        const response = await ask(cloud, { audioData: joined(recorded[CANCEL]).toString('base64') });
        assertError(response, 502, 'Speech recognition failed', 'UPSTREAM');
        assertError(await ask(mute, { audioData: 'AAAA' }), 500, undefined, 'NOT_CONFIGURED');
    });
});

function azureSpeech({ key, url }) {
    return {
        TTS_PROVIDER: 'azure_speech',
        STT_PROVIDER: 'none',
        AZURE_SPEECH_KEY: key,
        AZURE_SPEECH_TTS_URL: url,
    };
}

describe('POST /api/audio', () => {
    const post = (server, body) => server.json('POST', '/api/audio', body);

    test('a spoken question and its answer', async () => {
        for (const slices of recorded.slice(0, 2)) {
            const sentence = SENTENCES[recorded.indexOf(slices)];
            const { status, body } = await post(voiced, {
                audioData: joined(slices).toString('base64'),
                audioFormat: 'audio/webm;codecs=opus',
            });
            assert.equal(status, 200, JSON.stringify(body));
            assert.match(body.id, /^\d{13}$/);
            assert.match(body.timestamp, ISO);
            assert.equal(body.aiUsed, true);
            assert.equal(body.originalMessage, 'Audio input');
            assert.match(body.message, /^You said: /);
            assertHeard(sentence, body.message);
            assert.equal(body.audioFormat, 'mp3');
            await studio.assertAudible(body.audioData, body.message);
        }
    });

    test('other formats, and base64 as others write it', async () => {
        const { pcm } = await recorder.listen(spoken[CANCEL]);
        const webm = joined(recorded[CANCEL]).toString('base64');
        for (const [audioData, audioFormat] of [
            [spoken[CANCEL], 'audio/mpeg'],
            [pcm, 'audio/pcm;rate=16000'],
            [`data:audio/webm;codecs=opus;base64,${webm}`],
            [webm.replace(/.{76}/g, '$&\r\n')],
        ]) {
            const { body } = await post(echo, { audioData, audioFormat, audio: false });
            assert.match(body.message, /^Echo: /);
            assertHeard(SENTENCES[CANCEL], body.message);
            assert.equal(body.aiUsed, false);
            assert.ok(!('audioData' in body));
        }
        const escaped = `{"audioData":"${webm.replaceAll('+', '\\u002B').replaceAll('/', '\\/')}"}`;
        const headers = { 'content-type': 'application/json' };
        const response = await echo.fetch('/api/audio', { method: 'POST', headers, body: escaped });
        assertHeard(SENTENCES[CANCEL], (await response.json()).message);
    });

    test('an MP3 that is damaged in the middle', async () => {
        const mp3 = Buffer.from(spoken[CANCEL], 'base64');
        garbage(400).copy(mp3, Math.floor(mp3.length * 0.8));
        const { status, body } = await post(voiced, { audioData: mp3.toString('base64') });
        assert.ok(status === 200 || body.message === NOT_PROCESSED, JSON.stringify(body));
    });

    test('what is required', async () => {
        for (const body of [{}, { audioData: '' }, { audioData: 5 }, { audioData: null }]) {
            assertError(await post(voiced, body), 400, 'Audio data is required', 'INVALID_REQUEST');
        }
    });

    test('what cannot be processed', async () => {
        const half = joined(recorded[0]).subarray(0, 40).toString('base64');
        for (const audioData of [half, garbage(30000).toString('base64'), 'no base64!']) {
            const { status, body } = await post(voiced, { audioData });
            assert.equal(status, 500);
            assert.match(body.id, /^\d{13}$/);
            assert.equal(body.message, NOT_PROCESSED);
            assert.equal(body.aiUsed, false);
            assert.equal(typeof body.error, 'string');
            assert.match(body.timestamp, ISO);
        }
    });

    test('no words', async () => {
        const { status, body } = await post(voiced, { audioData: joined(silence).toString('base64') });
        assert.equal(status, 200);
        assert.equal(body.message, NOT_HEARD);
        assert.equal(body.aiUsed, false);
    });

    test('without a recognizer', async () => {
        const { status, body } = await post(mute, { audioData: 'AAAA' });
        assert.equal(status, 200);
        assert.deepEqual(Object.keys(body).sort(), ['aiUsed', 'id', 'message', 'timestamp']);
        assert.equal(body.message, 'AI not configured for audio processing');
        assert.equal(body.aiUsed, false);
    });

    test('recognition that fails says so in our words', async () => {
        speech.forget();
        for (const plan of [failing(), failing(401), failing(503)]) {
            speech.next(plan);
            const { status, body } = await post(cloud, { audioData: joined(recorded[CANCEL]).toString('base64') });
            assert.equal(status, 500);
            assert.equal(body.message, NOT_PROCESSED);
            assertOwnWords(body);
        }
    });
});
