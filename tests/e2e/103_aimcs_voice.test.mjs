// Dialect 000 with speech: what Chromium records goes in, text and speech come out.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { failures as speechFailures, startSpeech } from '../fake/speech.mjs';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { Recorder } from './support/recorder.mjs';
import { startServer } from './support/server.mjs';
import { ISO, assertError } from './support/shapes.mjs';
import { JsonSocket } from './support/socket.mjs';

const SENTENCES = [
    'hello how are you today',
    'i would like to cancel my order',
    'what time does the store open tomorrow',
    'the weather is very nice today',
    'thank you for your help',
];
const CANCEL = 1;
const NOT_HEARD = "Sorry, I couldn't hear any words. Please try again.";
const NOT_PROCESSED = "Sorry, I couldn't process that audio. Please try again.";
const SECRET = 'The very own words of the service';

const upstream = await startUpstream();
const speech = await startSpeech();
const recorder = await Recorder.start();
after(async () => {
    await upstream.close();
    await speech.close();
    await recorder.close();
});

const local = { TTS_PROVIDER: 'local', STT_PROVIDER: 'local' };
const voiced = await startServer({ after }, { env: { ...upstream.openaiEnv, ...local, SPEECH_RECOGNIZERS: '4' } });
const echo = await startServer({ after });
const mute = await startServer({ after }, { env: { TTS_PROVIDER: 'none', STT_PROVIDER: 'none' } });
const cloudEnv = {
    LLM_PROVIDER: 'demo',
    TTS_PROVIDER: 'openai',
    STT_PROVIDER: 'openai',
    OPENAI_API_KEY: speech.key,
    OPENAI_BASE_URL: `${speech.url}/v1`,
    UPSTREAM_RETRIES: '0',
};
const cloud = await startServer({ after }, { env: cloudEnv });

const spoken = []; // of each sentence: an MP3
const recorded = []; // and its slices, with silence behind it
let dialogue; // slices of one stream with three of them
let cut; // slices of one that ends with its last word
let silence;
let noise;
let seconds; // slices of a second each

const joined = (slices) => Buffer.concat(slices.map((slice) => Buffer.from(slice, 'base64')));
const loud = (length) => Buffer.from(Array.from({ length }, (_, i) => (i * 7919 + (i >> 3)) & 255));

before(async () => {
    for (const sentence of SENTENCES) {
        upstream.next({ text: sentence });
        const { body } = await voiced.json('POST', '/api/chat', { message: 'Speak', context: {} });
        spoken.push(body.audioData);
    }
    const all = SENTENCES.map((_, i) => recorder.record([spoken[i]]));
    const others = [
        recorder.record([spoken[0], spoken[CANCEL], spoken[4]]),
        recorder.record([spoken[CANCEL]], { trail: 0.05 }),
        recorder.record([], { trail: 3 }),
        recorder.record([], { trail: 4, noise: 0.02 }),
        recorder.record([spoken[CANCEL]], { slice: 1000 }),
    ];
    recorded.push(...(await Promise.all(all)));
    [dialogue, cut, silence, noise, seconds] = await Promise.all(others);
});

const words = (text) => text.toLowerCase().match(/[a-z']+/g) ?? [];

/** Share of the words of `said` that are in `heard`, in order. */
function share(said, heard) {
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

const assertHeard = (said, heard) => assert.ok(share(said, heard) >= 0.8, `"${said}" was heard as "${heard}"`);

/** Not silent, and about as long as somebody takes to say it. */
async function assertAudible(audioData, text) {
    const sound = await recorder.listen(audioData);
    assert.ok(sound.rms > 0.01, `loudness ${sound.rms}`);
    const usual = words(text).length * 0.35;
    assert.ok(sound.seconds > usual * 0.4 && sound.seconds < usual * 3 + 1, `${sound.seconds} s of "${text}"`);
}

async function open(t, server = voiced, path = '/ws/audio') {
    const socket = await JsonSocket.open(server.wsUrl + path);
    t.after(() => socket.close());
    await socket.expect('connection');
    return socket;
}

const send = (socket, slices) => slices.forEach((data) => socket.send({ type: 'audio', data, timestamp: '' }));

/** Everything up to the first frame of this type, without the acknowledgements. */
async function until(socket, type) {
    const all = await socket.collect((frame) => frame.type === type);
    all.forEach((frame) => assert.match(frame.timestamp, ISO));
    return all.filter((frame) => frame.type !== 'audio_received');
}

const last = async (socket, type) => (await until(socket, type)).at(-1);
const assertOwnWords = (value) => assert.ok(!JSON.stringify(value).includes(SECRET), JSON.stringify(value));
const failing = (status = 500) => ({ status, body: JSON.stringify({ error: { message: SECRET } }) });

async function metric(server, name) {
    const text = await (await server.fetch('/metrics')).text();
    return Number(text.match(new RegExp(`^${name} (\\S+)$`, 'm'))?.[1] ?? 0);
}

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
        await assertAudible(body.audioData, body.message);
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
        const server = await startServer(t, { env: { ...cloudEnv, UPSTREAM_FIRST_BYTE_TIMEOUT: '300ms' } });
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
        assertError(await ask(voiced, { audioData: loud(20000).toString('base64') }), 400);
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
            await assertAudible(body.audioData, body.message);
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
        loud(400).copy(mp3, Math.floor(mp3.length * 0.8));
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
        for (const audioData of [half, loud(30000).toString('base64'), 'no base64!']) {
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
        for (const plan of [failing(), failing(401), speechFailures.server?.(503) ?? failing(503)]) {
            speech.next(plan);
            const { status, body } = await post(cloud, { audioData: joined(recorded[CANCEL]).toString('base64') });
            assert.equal(status, 500);
            assert.equal(body.message, NOT_PROCESSED);
            assertOwnWords(body);
        }
    });
});

describe('the speech turn on /ws/audio', () => {
    test('is told in order', async (t) => {
        const socket = await open(t);
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'speech_response');
        const types = frames.map((frame) => frame.type);
        const spare = types.filter((type) => type !== 'speech_recognizing');
        assert.deepEqual(spare, ['audio_processing', 'speech_recognized', 'chat_response', 'speech_response']);
        assert.ok(types.includes('speech_recognizing') && types.lastIndexOf('speech_recognizing') < types.length - 3);
        const [recognized, chat, reply] = frames.slice(-3);
        assertHeard(SENTENCES[CANCEL], recognized.message);
        assert.equal(chat.originalMessage, recognized.message);
        assert.equal(chat.message, `You said: ${recognized.message}`);
        assert.equal(chat.aiUsed, true);
        assert.equal(reply.message, chat.message);
        await assertAudible(reply.audioData, reply.message);
        assert.equal(frames[0].dataSize <= joined(recorded[CANCEL]).length && frames[0].dataSize > 0, true);
    });

    test('most words are understood', async (t) => {
        const socket = await open(t);
        let heard = '';
        for (const slices of recorded) {
            send(socket, slices); // each with a head of its own
            heard += ` ${(await last(socket, 'speech_recognized')).message}`;
            await last(socket, 'speech_response');
        }
        assertHeard(SENTENCES.join(' '), heard);
    });

    test('several sentences in one stream', async (t) => {
        const socket = await open(t);
        const heard = [];
        send(socket, dialogue);
        while (heard.length < 3) {
            heard.push((await last(socket, 'chat_response')).originalMessage);
        }
        assertHeard([0, CANCEL, 4].map((i) => SENTENCES[i]).join(' '), heard.join(' '));
    });

    test('without a model, the transcript is echoed and spoken', async (t) => {
        const socket = await open(t, echo);
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'speech_response');
        const chat = frames.at(-2);
        assert.equal(chat.message, `Echo: ${chat.originalMessage}`);
        assert.equal(chat.aiUsed, false);
        assertHeard(SENTENCES[CANCEL], chat.originalMessage);
        await assertAudible(frames.at(-1).audioData, chat.message);
    });

    test('stop_audio ends what is said, and takes one more slice', async (t) => {
        const socket = await open(t);
        send(socket, cut.slice(0, -1));
        socket.send({ type: 'stop_audio' });
        send(socket, cut.slice(-1));
        const frames = await until(socket, 'chat_response');
        assert.ok(frames.some((frame) => frame.type === 'audio_stopped'));
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
        await last(socket, 'speech_response');
        send(socket, cut.slice(-1)); // belongs to nothing
        send(socket, recorded[0]);
        assertHeard(SENTENCES[0], (await last(socket, 'chat_response')).originalMessage);
    });

    test('stop_audio at once, and without any audio', async (t) => {
        const socket = await open(t);
        await socket.ask({ type: 'stop_audio' }, 'audio_stopped');
        send(socket, recorded[0].slice(0, 3));
        socket.send({ type: 'stop_audio' });
        await last(socket, 'audio_stopped');
        await socket.ask({ type: 'stop_audio' }, 'audio_stopped');
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'chat_response');
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
    });

    for (const [name, slices] of [
        ['half a head', () => [recorded[0][0].slice(0, 40)]],
        ['no audio', () => [loud(20000).toString('base64')]],
        ['no base64', () => ['no base64!']],
    ]) {
        test(`a broken recording is told, and the next head starts over: ${name}`, async (t) => {
            const socket = await open(t);
            send(socket, slices());
            socket.send({ type: 'stop_audio' });
            const { message, error } = await last(socket, 'audio_error');
            assert.equal(message, 'Failed to process audio');
            assert.ok(error.length > 0);
            if (name !== 'no base64') {
                send(socket, [recorded[0][5]]); // of the recording that is over
            }
            send(socket, recorded[CANCEL]);
            const frames = await until(socket, 'chat_response');
            assert.ok(frames.every((frame) => frame.type !== 'audio_error'));
            assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
        });
    }

    test('what comes behind a head may be anything', async (t) => {
        const socket = await open(t);
        send(socket, [recorded[0][0], ...Array.from({ length: 4 }, () => loud(20000).toString('base64'))]);
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'chat_response');
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
    });

    test('silence and noise are no words', async (t) => {
        const socket = await open(t);
        send(socket, silence);
        send(socket, noise);
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'chat_response');
        frames
            .filter((frame) => frame.type === 'speech_recognized')
            .slice(0, -1)
            .forEach((frame) => assert.equal(frame.message, ''));
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
    });

    test('ten minutes of PCM, faster than anybody could hear them', async (t) => {
        const socket = await open(t);
        const { pcm } = await recorder.listen(spoken[CANCEL]);
        const second = Buffer.alloc(32000).toString('base64');
        const slice = (data) => socket.send({ type: 'audio', data, audioFormat: 'audio/pcm;rate=16000' });
        for (let i = 0; i < 600; i++) {
            slice(second);
        }
        slice(pcm);
        slice(second);
        slice(second);
        const frames = await until(socket, 'chat_response');
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
    });

    test('the text of a turn is kept, and known to the next one', async (t) => {
        const socket = await open(t);
        upstream.forget();
        send(socket, recorded[0]);
        const { conversationId, originalMessage } = await last(socket, 'chat_response');
        await last(socket, 'speech_response');
        await socket.ask({ type: 'chat', message: 'And now?' }, 'chat_response');
        const { messages } = (await upstream.request(2)).body;
        assert.ok(messages.some((message) => message.content === originalMessage));
        assert.equal(typeof conversationId, 'string');
    });
});

describe('failures of the services', () => {
    test('recognition: an apology, and the next utterance is heard', async (t) => {
        speech.forget();
        const socket = await open(t, cloud);
        speech.next(failing());
        send(socket, recorded[0]);
        const failed = await last(socket, 'chat_response');
        assert.equal(failed.message, NOT_PROCESSED);
        assert.equal(failed.aiUsed, false);
        assert.equal(typeof failed.error, 'string');
        assertOwnWords(failed);
        speech.next({ text: 'Hello there' });
        send(socket, recorded[0]);
        const frames = await until(socket, 'speech_response');
        assert.equal(frames.at(-2).originalMessage, 'Hello there');
        assert.ok(frames.at(-1).audioData.length > 0);
    });

    test('synthesis: the text is there, without speech', async (t) => {
        speech.forget();
        const socket = await open(t, cloud);
        speech.next({ text: 'First' }).next(failing()).next({ text: 'Second' });
        send(socket, recorded[0]);
        assert.equal((await last(socket, 'chat_response')).originalMessage, 'First');
        send(socket, recorded[0]);
        const frames = await until(socket, 'speech_response');
        assertOwnWords(frames);
        assert.equal(frames.filter((frame) => frame.type === 'speech_response').length, 1);
        assert.equal(frames.find((frame) => frame.type === 'chat_response').originalMessage, 'Second');
    });

    test('a recognizer that hangs', async (t) => {
        speech.forget();
        const server = await startServer(t, { env: { ...cloudEnv, UPSTREAM_FIRST_BYTE_TIMEOUT: '300ms' } });
        const socket = await open(t, server);
        speech.next({ hang: 'connection' });
        send(socket, recorded[0]);
        const failed = await last(socket, 'chat_response');
        assert.equal(failed.message, NOT_PROCESSED);
        assert.equal(failed.aiUsed, false);
    });

    test('new speech: the older reply is not spoken any more, its text stays', async (t) => {
        speech.forget();
        const hold = gate();
        const socket = await open(t, cloud);
        speech.next({ text: 'First' }).next({ holdAfter: 1, gate: hold.promise }).next({ text: 'Second' });
        send(socket, recorded[0]);
        assert.equal((await last(socket, 'chat_response')).originalMessage, 'First');
        const held = await speech.request(2);
        send(socket, recorded[0]);
        const frames = await until(socket, 'speech_response');
        assert.deepEqual(await held.ended, { closedEarly: true });
        hold.open();
        const chat = frames.find((frame) => frame.type === 'chat_response');
        assert.equal(chat.originalMessage, 'Second');
        assert.equal(frames.at(-1).message, chat.message);
    });

    test('a socket that closes stops recognition and synthesis', async (t) => {
        speech.forget();
        for (const plan of [{ hang: 'connection' }, { hang: 'headers' }]) {
            const socket = await open(t, cloud);
            const nth = plan.hang === 'headers' ? 2 : 1;
            speech.forget();
            if (nth === 2) {
                speech.next({ text: 'Hello' });
            }
            speech.next(plan);
            send(socket, recorded[0]);
            const request = await speech.request(nth);
            socket.ws.terminate();
            assert.deepEqual(await request.ended, { closedEarly: true });
        }
    });
});

describe('audio_chunk on /', () => {
    const chunk = (socket, audioData, isFinal = false) =>
        socket.send({ type: 'audio_chunk', audioData, audioFormat: 'audio/webm;codecs=opus', isFinal });

    test('is answered with text and speech', async (t) => {
        const socket = await open(t, voiced, '/');
        seconds.forEach((slice, i) => chunk(socket, slice, i === seconds.length - 1));
        const frames = await until(socket, 'audio_response');
        assert.deepEqual(
            frames.map((frame) => frame.type),
            ['audio_response'],
        );
        const [answer] = frames;
        assert.match(answer.id, /^\d{13}$/);
        assert.equal(answer.aiUsed, true);
        assert.equal(answer.originalMessage, 'Audio input');
        assert.match(answer.message, /^You said: /);
        assertHeard(SENTENCES[CANCEL], answer.message);
        assert.equal(answer.audioFormat, 'mp3');
        await assertAudible(answer.audioData, answer.message);
    });

    test('without words there is an answer too, and only one', async (t) => {
        const socket = await open(t, voiced, '/');
        silence.forEach((slice, i) => chunk(socket, slice, i === silence.length - 1));
        const silent = await last(socket, 'audio_response');
        assert.equal(silent.message, NOT_HEARD);
        assert.equal(silent.aiUsed, false);
        chunk(socket, loud(9000).toString('base64'), true);
        assert.equal((await until(socket, 'audio_response')).length, 1, 'bytes without a head belong to nothing');
        chunk(socket, recorded[0][0].slice(0, 40), true);
        const broken = await until(socket, 'audio_response');
        assert.deepEqual(
            broken.map((frame) => frame.type),
            ['audio_error', 'audio_response'],
        );
    });

    test('empty ones', async (t) => {
        const socket = await open(t, voiced, '/');
        for (const audioData of ['', undefined, null, 7]) {
            socket.send({ type: 'audio_chunk', audioData });
            assert.equal((await socket.expect('error')).message, 'Audio data is required');
        }
        seconds.forEach((slice) => chunk(socket, slice));
        chunk(socket, '', true); // the end of what came before
        const answer = await last(socket, 'audio_response');
        assertHeard(SENTENCES[CANCEL], answer.message);
    });

    test('recognition that fails, or is not there', async (t) => {
        speech.forget();
        speech.next(failing());
        const socket = await open(t, cloud, '/');
        seconds.forEach((slice, i) => chunk(socket, slice, i === seconds.length - 1));
        const failed = await last(socket, 'audio_response');
        assert.equal(failed.message, NOT_PROCESSED);
        assert.equal(typeof failed.error, 'string');
        assertOwnWords(failed);
        const deaf = await open(t, mute, '/');
        chunk(deaf, seconds[0], true);
        assert.equal((await last(deaf, 'audio_response')).message, 'AI not configured for audio processing');
        deaf.send({ type: 'audio', data: seconds[0] });
        await deaf.expect('audio_received');
    });

    test('text_message is answered with speech', async (t) => {
        const socket = await open(t, voiced, '/');
        const answer = await socket.ask({ type: 'text_message', text: 'Good morning' }, 'text_response');
        assert.equal(answer.audioFormat, 'mp3');
        await assertAudible(answer.audioData, answer.message);
        const quiet = await socket.ask({ type: 'text_message', text: 'Good morning', audio: false }, 'text_response');
        assert.ok(!('audioData' in quiet));
    });
});

describe('many sockets', () => {
    test('200 at once, a few of which speak', async (t) => {
        const sockets = await Promise.all(Array.from({ length: 200 }, () => open(t)));
        const speakers = sockets.slice(0, 4);
        speakers.forEach((socket, i) => send(socket, recorded[i]));
        const answers = await Promise.all(speakers.map((socket) => last(socket, 'chat_response')));
        assertHeard(SENTENCES.slice(0, 4).join(' '), answers.map((answer) => answer.originalMessage).join(' '));
        await Promise.all(sockets.slice(4).map((socket) => socket.ask({ type: 'ping' }, 'pong')));
    });

    test('closed in mid-sentence, nothing is left', async (t) => {
        const sockets = await Promise.all(Array.from({ length: 8 }, () => open(t)));
        for (const socket of sockets) {
            send(socket, recorded[CANCEL].slice(0, 12));
            await socket.expect('audio_received');
        }
        sockets.forEach((socket, i) => (i % 2 ? socket.ws.terminate() : socket.ws.close()));
        while ((await metric(voiced, 'parley_media_streams')) > 0) {
            await sleep(20);
        }
    });

    test('as many decoders as are allowed', async (t) => {
        const server = await startServer(t, { env: { MEDIA_WORKERS: '1', LLM_PROVIDER: 'demo' } });
        const [first, second] = [await open(t, server), await open(t, server)];
        send(first, recorded[0].slice(0, 5));
        await first.expect('audio_received');
        while ((await metric(server, 'parley_media_streams')) < 1) {
            await sleep(10);
        }
        send(second, recorded[CANCEL]);
        const refused = await last(second, 'audio_error');
        assert.equal(refused.code, 'OVERLOADED');
        await first.close();
        send(second, recorded[CANCEL]);
        assertHeard(SENTENCES[CANCEL], (await last(second, 'chat_response')).originalMessage);
    });
});

test('SIGTERM in mid-sentence', async (t) => {
    const server = await startServer(t, { env: { LLM_PROVIDER: 'demo' } });
    const socket = await open(t, server);
    send(socket, recorded[CANCEL].slice(0, 15));
    while ((await metric(server, 'parley_media_streams')) < 1) {
        await sleep(10);
    }
    server.child.kill('SIGTERM');
    assert.deepEqual(await socket.closed, { code: 1000, reason: 'Server shutting down' });
    assert.equal((await server.exited).code, 0);
});
