// Azure Speech over WebSocket: the stand-in, proven by Microsoft's SDK before anything is tested against it; then the
// server, which listens through it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, beforeEach, test } from 'node:test';
import sdk from 'microsoft-cognitiveservices-speech-sdk';
import OpenAI, { toFile } from 'openai';
import WebSocket from 'ws';
import { startAzureSpeech } from '../fake/azure_speech_socket.mjs';
import { slices } from '../fake/speech.mjs';
import { pcm, wav } from '../fake/tone.mjs';
import { gate } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { JsonSocket } from './support/socket.mjs';

const speech = await startAzureSpeech();
after(() => speech.close());
beforeEach(() => speech.forget());
afterEach(() => assert.deepEqual(speech.violations, []));

const utterance = pcm(1.5, 16000);

const server = await startServer(
    { after },
    {
        env: {
            TTS_PROVIDER: 'local',
            STT_PROVIDER: 'azure_speech',
            AZURE_SPEECH_KEY: speech.key,
            AZURE_SPEECH_STT_URL: speech.url,
            LLM_RETRIES: '0',
        },
    },
);
const client = new OpenAI({ apiKey: 'anything', baseURL: `${server.url}/v1`, maxRetries: 0 });
const spoken = await (async () => {
    const response = await client.audio.speech.create({
        model: 'tts-1',
        voice: 'alloy',
        input: 'Is the oven on?',
        response_format: 'pcm',
    });
    return Buffer.from(await response.arrayBuffer());
})();

// ---- the SDK ----

function recognizer({ key = speech.key, detailed = false } = {}) {
    const config = sdk.SpeechConfig.fromHost(new URL(speech.url.replace('http', 'ws')), key);
    const stream = sdk.AudioInputStream.createPushStream(sdk.AudioStreamFormat.getWaveFormatPCM(16000, 16, 1));
    config.speechRecognitionLanguage = 'en-US';
    config.outputFormat = detailed ? sdk.OutputFormat.Detailed : sdk.OutputFormat.Simple;
    stream.write(utterance);
    stream.close();
    return new sdk.SpeechRecognizer(config, sdk.AudioConfig.fromStreamInput(stream));
}

const first = (one) =>
    new Promise((resolve, reject) => one.recognizeOnceAsync(resolve, reject)).finally(() => one.close());

/** Until the audio is over: what was recognized, and why it ended. */
async function continuous(one) {
    const seen = { phrases: [], hypotheses: [] };
    one.recognizing = (_, event) => seen.hypotheses.push(event.result.text);
    one.recognized = (_, event) => seen.phrases.push(event.result.text);
    const ended = new Promise((resolve) => {
        one.canceled = (_, event) => (seen.canceled = event);
        one.sessionStopped = resolve;
    });
    await new Promise((resolve, reject) => one.startContinuousRecognitionAsync(resolve, reject));
    await ended;
    await new Promise((resolve, reject) => one.stopContinuousRecognitionAsync(resolve, reject));
    one.close();
    return seen;
}

test('the SDK hears an utterance, with what was understood so far', async () => {
    const one = recognizer();
    const partial = [];
    one.recognizing = (_, event) => partial.push(event.result.text);
    const result = await first(one);
    assert.equal(result.reason, sdk.ResultReason.RecognizedSpeech);
    assert.equal(result.text, 'Is the oven on?');
    assert.deepEqual(partial, ['is the', 'is the oven']);
    const turn = await speech.turn(1);
    assert.deepEqual(Buffer.concat(turn.audio), utterance);
    assert.equal(turn.context.phraseDetection.language, 'en-US');
    assert.equal(turn.line.mode, 'interactive');
});

test('the SDK reads detailed results, strings for numbers, tight headers and fragments', async () => {
    const forms = [{}, { strings: true }, { tight: true }, { fragment: 7 }, { strings: true, tight: true, fragment: 50 }];
    for (const form of forms) {
        speech.nextTurn({ phrases: [{ text: 'Où est ma commande ?', confidence: 0.5 }], ...form });
        const result = await first(recognizer({ detailed: true }));
        assert.equal(result.text, 'Où est ma commande ?');
        const details = JSON.parse(result.properties.getProperty(sdk.PropertyId.SpeechServiceResponse_JsonResult));
        assert.equal(Number(details.NBest[0].Confidence), 0.5);
    }
});

test('the SDK hears several phrases in one turn', async () => {
    speech.nextTurn({ phrases: ['One.', 'Two.', 'Three.'], early: 2 });
    const seen = await continuous(recognizer());
    assert.deepEqual(seen.phrases.filter(Boolean), ['One.', 'Two.', 'Three.']);
    assert.deepEqual(seen.hypotheses, ['is the', 'is the oven']);
    assert.equal(seen.canceled.reason, sdk.CancellationReason.EndOfStream);
    assert.equal((await speech.turn(1)).line.mode, 'conversation');
});

test('the SDK understands what is no speech, and what is refused', async () => {
    const of = async (status) => {
        speech.nextTurn({ hypotheses: [], phrases: [{ status }] });
        const result = await first(recognizer());
        const details = result.reason === sdk.ResultReason.Canceled && sdk.CancellationDetails.fromResult(result);
        return details ? details.ErrorCode : result.reason;
    };
    assert.equal(await of('NoMatch'), sdk.ResultReason.NoMatch);
    assert.equal(await of('InitialSilenceTimeout'), sdk.ResultReason.NoMatch);
    assert.equal(await of('BabbleTimeout'), sdk.ResultReason.NoMatch);
    assert.equal(await of('BadRequest'), sdk.CancellationErrorCode.BadRequestParameters);
    assert.equal(await of('Forbidden'), sdk.CancellationErrorCode.Forbidden);
    assert.equal(await of('TooManyRequests'), sdk.CancellationErrorCode.TooManyRequests);
    assert.equal(await of('Error'), sdk.CancellationErrorCode.ServiceError);
});

test('the SDK gives up on a wrong key', async () => {
    const result = await first(recognizer({ key: 'wrong' }));
    assert.equal(result.reason, sdk.ResultReason.Canceled);
    assert.equal((await speech.handshake(1)).refusal.status, 401);
    assert.equal(speech.turns.length, 0);
});

function synthesizer(format = sdk.SpeechSynthesisOutputFormat.Audio24Khz48KBitRateMonoMp3) {
    const config = sdk.SpeechConfig.fromHost(new URL(speech.url.replace('http', 'ws')), speech.key);
    config.speechSynthesisVoiceName = 'en-US-JennyNeural';
    config.speechSynthesisOutputFormat = format;
    return new sdk.SpeechSynthesizer(config, null);
}
const say = (one, text) =>
    new Promise((resolve, reject) => one.speakTextAsync(text, resolve, reject)).finally(() => one.close());

test('the SDK speaks', async () => {
    const result = await say(synthesizer(), 'Fish & <chips>');
    assert.equal(result.reason, sdk.ResultReason.SynthesizingAudioCompleted);
    assert.ok(result.audioData.byteLength > 1000);
    assert.deepEqual([...new Uint8Array(result.audioData, 0, 2)], [0xff, 0xf3]);
    const turn = await speech.turn(1);
    assert.equal(turn.ssml.text, 'Fish & <chips>');
    assert.equal(turn.ssml.voice, 'en-US-JennyNeural');
});

test('the SDK speaks PCM, as long as the text', async () => {
    const text = 'Your order left today.';
    const result = await say(synthesizer(sdk.SpeechSynthesisOutputFormat.Raw16Khz16BitMonoPcm), text);
    assert.deepEqual(Buffer.from(result.audioData), pcm(text.length * 0.06, 16000));
});

// ---- the stand-in is the judge of what is sent to it, so it must be able to refuse ----

async function raw(query, headers = { 'ocp-apim-subscription-key': speech.key, 'x-connectionid': ID }) {
    const path = '/speech/recognition/conversation/cognitiveservices/v1';
    const socket = new WebSocket(`${speech.url.replace('http', 'ws')}${path}?${query}`, { headers });
    const opened = new Promise((resolve) => {
        socket.on('open', () => resolve(101));
        socket.on('unexpected-response', (_, response) => resolve(response.statusCode));
        socket.on('error', () => {});
    });
    return { socket, status: await opened };
}
const ID = '0123456789ABCDEF0123456789abcdef';
const NOW = 'X-Timestamp: 2026-11-21T06:52:29.808Z';
const text = (path, body, id = ID) => `Path: ${path}\r\nX-RequestId: ${id}\r\n${NOW}\r\n\r\n${body}`;
const binary = (headers, body = '', length = headers.length) =>
    Buffer.concat([Buffer.from([length >> 8, length & 255]), Buffer.from(headers), Buffer.from(body)]);
const sound = (more = '', body = '') => binary(`Path: audio\r\nX-RequestId: ${ID}\r\n${NOW}\r\n${more}`, body);
const CONFIG = text('speech.config', '{"context":{"system":{"version":"1"},"os":{}}}');
const BEGIN = [CONFIG, text('speech.context', '{}')];
const HEAD = sound('Content-Type: audio/x-wav\r\n', wav(Buffer.alloc(0), 16000));

test('the stand-in refuses handshakes that the service would refuse', async () => {
    const query = 'language=en-US';
    const key = { 'ocp-apim-subscription-key': speech.key };
    const statusOf = async (...args) => {
        const { socket, status } = await raw(...args);
        socket.terminate();
        return status;
    };
    assert.equal(await statusOf(query), 101);
    assert.equal(await statusOf(`${query}&Ocp-Apim-Subscription-Key=${speech.key}&X-ConnectionId=${ID}`, {}), 101);
    assert.equal(await statusOf(query, { authorization: `Bearer ${speech.key}`, 'x-connectionid': ID }), 101);
    assert.equal(await statusOf('format=simple'), 400);
    assert.equal(await statusOf(query, key), 400);
    assert.equal(await statusOf(query, { ...key, 'x-connectionid': '1-2' }), 400);
    assert.equal(await statusOf(query, { 'x-connectionid': ID }), 403);
    assert.equal(await statusOf(query, { 'ocp-apim-subscription-key': 'wrong', 'x-connectionid': ID }), 401);
});

test('the stand-in refuses what is against the protocol', async () => {
    const cases = {
        'a message without headers': ['hello'],
        'a message without Path': [`${NOW}\r\n\r\n{}`],
        'a header twice': [`Path: speech.config\r\nPath: speech.config\r\n${NOW}\r\n\r\n{}`],
        'no time': ['Path: speech.config\r\n\r\n{}'],
        'a turn before speech.config': [text('speech.context', '{}')],
        'speech.config twice': [CONFIG, CONFIG],
        'an id with dashes': [CONFIG, text('speech.context', '{}', '01234567-89AB-CDEF-0123-456789abcdef')],
        'audio of no turn': [CONFIG, HEAD],
        'audio as text': [...BEGIN, text('audio', '')],
        'audio without a head': [...BEGIN, sound('', 'xx')],
        'a head of another rate': [...BEGIN, sound('Content-Type: audio/x-wav\r\n', wav(Buffer.alloc(0), 8000))],
        'half a sample': [...BEGIN, HEAD, sound('', 'xxx')],
        'audio behind its end': [...BEGIN, HEAD, sound('', 'xx'), sound(), sound('', 'xx')],
        'headers longer than the message': [CONFIG, binary('Path: audio\r\n', '', 300)],
        'an empty line behind binary headers': [CONFIG, binary(`Path: audio\r\n${NOW}\r\n\r\n`)],
        'no headers at all': [CONFIG, Buffer.from([0])],
    };
    for (const [name, messages] of Object.entries(cases)) {
        speech.nextTurn({ gate: new Promise(() => {}) });
        const { socket } = await raw('language=en-US');
        messages.forEach((message) => socket.send(message));
        const [code] = await once(socket, 'close');
        assert.equal(code, 1002, name);
        assert.equal(speech.violations.length, 1, name);
        speech.forget();
    }
});

// ---- the server ----

async function hear(plan = {}, samples = spoken) {
    speech.nextTurn(plan);
    const response = await server.fetch('/api/stt', {
        method: 'POST',
        body: samples,
        headers: { 'content-type': 'audio/pcm; rate=24000' },
    });
    const body = await response.json();
    assert.ok(!JSON.stringify(body).includes(speech.key), JSON.stringify(body));
    return { status: response.status, ...body };
}

test('an utterance is heard over the WebSocket', async () => {
    const { status, text, confidence } = await hear({ phrases: [{ text: 'Is the oven on?', confidence: 0.75 }] });
    assert.deepEqual([status, text, confidence], [200, 'Is the oven on?', 0.75]);
    const turn = await speech.turn(1);
    assert.equal(turn.context.phraseDetection.language, 'en-US');
    assert.equal(turn.line.format, 'detailed');
    assert.equal(turn.line.mode, 'conversation');
    const seconds = Buffer.concat(turn.audio).length / 32000;
    assert.ok(seconds > 0.3 && seconds <= spoken.length / 48000 + 0.1, `${seconds} s`);
    assert.equal(await turn.line.closed, 1000);
    const handshake = await speech.handshake(1);
    assert.equal(handshake.headers['ocp-apim-subscription-key'], speech.key);
    assert.equal(handshake.query['Ocp-Apim-Subscription-Key'], undefined);
    assert.equal(speech.requests.length, 0);
});

test('whatever form its messages have', async () => {
    const forms = [{ strings: true }, { tight: true }, { fragment: 3 }, { early: 1 }, { strings: true, tight: true, fragment: 40 }];
    for (const form of forms) {
        const { text } = await hear({ phrases: ['Où est', 'le four ?'], ...form });
        assert.equal(text, 'Où est le four ?');
    }
    assert.equal((await hear({ phrases: ['Yes.'], early: 1, endEarly: true })).text, 'Yes.');
});

test('no speech is no text', async () => {
    for (const status of ['NoMatch', 'InitialSilenceTimeout', 'BabbleTimeout', 'EndOfDictation']) {
        const heard = await hear({ hypotheses: [], phrases: [{ status }] });
        assert.deepEqual([heard.status, heard.text], [200, '']);
    }
    assert.equal((await hear({ hypotheses: [], phrases: [] })).text, '');
});

test('failures are errors of ours', async () => {
    const phrase = (status) => ({ hypotheses: [], phrases: [{ status }] });
    const refused = [phrase('BadRequest'), phrase('Forbidden'), phrase('TooManyRequests'), { closeAfter: 1, close: [1007, 'No'] }];
    const failed = [
        phrase('Error'),
        { cutAfter: 0 },
        { closeAfter: 1, close: [1011, `No more of ${speech.key}`] },
        { raw: ['Path: speech.phrase\r\n'] },
        { raw: ['no message'] },
    ];
    for (const plan of refused) {
        const { status, error } = await hear(plan);
        assert.ok(status >= 400 && status < 600 && error.length > 0, JSON.stringify(plan));
    }
    for (const plan of failed) {
        const { status, code, error } = await hear(plan);
        assert.deepEqual([status, code, error], [502, 'UPSTREAM', 'The speech service failed'], JSON.stringify(plan));
    }
});

test('a key that is refused is told to nobody', async () => {
    speech.refuse({ status: 401 });
    const heard = await hear();
    assert.ok(heard.status >= 400 && heard.error, JSON.stringify(heard));
    assert.equal(speech.requests.length, 0);
    speech.forget();
});

test('where WebSockets do not come through, requests do', async () => {
    speech.refuse({ status: 403, body: '<html>Upgrades are not allowed here</html>' });
    speech.next({ text: 'Over REST.' });
    assert.equal((await hear()).text, 'Over REST.');
    assert.equal(speech.requests.length, 1);
    assert.equal(speech.turns.length, 0);
    speech.forget();
    assert.equal((await hear({ phrases: ['Over the socket.'] })).text, 'Over the socket.');
});

test('settled phrases are told as they come', async () => {
    const { promise, open } = gate();
    speech.nextTurn({ hypotheses: ['one'], phrases: ['One.', 'Two.'], early: 1, gate: promise });
    const file = await toFile(wav(spoken, 24000), 'a.wav');
    const deltas = [];
    for await (const event of await client.audio.transcriptions.create({ model: 'gpt-4o-transcribe', file, stream: true })) {
        if (event.type === 'transcript.text.delta') {
            deltas.push(event.delta);
            open();
        } else {
            assert.equal(event.text, 'One. Two.');
        }
    }
    assert.equal(deltas.join(''), 'One. Two.');
    assert.equal(deltas[0], 'One.');
});

test('who speaks on a socket reads along', async (t) => {
    const { promise, open } = gate();
    speech.nextTurn({ hypotheses: ['is', 'is the', 'is the oven'], phrases: ['Is the oven on?'], gate: promise });
    const socket = await JsonSocket.open(`${server.wsUrl}/ws/audio`);
    t.after(() => socket.close());
    await socket.expect('connection');
    const file = wav(Buffer.concat([spoken, Buffer.alloc(3 * 48000)]), 24000, { sizes: false });
    for (const piece of slices(file, 9600)) {
        socket.send({ type: 'audio', data: piece.toString('base64'), timestamp: '' });
    }
    const recognizing = (await socket.collect((frame) => frame.type === 'speech_recognizing')).at(-1);
    assert.match(recognizing.message, /^is( the)?( oven)?$/);
    open();
    const recognized = (await socket.collect((frame) => frame.type === 'speech_recognized')).at(-1);
    assert.equal(recognized.message, 'Is the oven on?');
});
