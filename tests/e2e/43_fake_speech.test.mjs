// The stand-in for speech services, proven by the official SDK before anything is tested against it; what has no SDK here
// (Azure Speech's REST services) is asked as its documentation says.
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import OpenAI, { AzureOpenAI, toFile } from 'openai';
import { readForm } from '../fake/multipart.mjs';
import { failures, startSpeech } from '../fake/speech.mjs';
import { readSsml } from '../fake/ssml.mjs';
import { pcm, readWav, wav } from '../fake/tone.mjs';
import { gate } from '../fake/upstream.mjs';

const speech = await startSpeech();
after(() => speech.close());
beforeEach(() => speech.forget());

const client = new OpenAI({ apiKey: speech.key, baseURL: `${speech.url}/v1`, maxRetries: 0 });
const azure = new AzureOpenAI({
    apiKey: speech.key,
    endpoint: speech.url,
    deployment: 'talk',
    apiVersion: '2025-03-01-preview',
    maxRetries: 0,
});
const say = (input, more = {}) => client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input, ...more });
const utterance = (seconds = 1) => toFile(wav(pcm(seconds, 16000), 16000), 'audio.wav', { type: 'audio/wav' });
const hear = async (more = {}) =>
    client.audio.transcriptions.create({ model: 'gpt-4o-transcribe', file: await utterance(), ...more });

const bytes = async (response) => Buffer.from(await response.arrayBuffer());

const BEGINNINGS = { mp3: [0xff, 0xf3], opus: 'OggS', aac: [0xff, 0xf1], flac: 'fLaC', wav: 'RIFF' };
const TYPES = { mp3: 'audio/mpeg', opus: 'audio/ogg', aac: 'audio/aac', flac: 'audio/flac', wav: 'audio/wav' };

for (const [format, beginning] of Object.entries(BEGINNINGS)) {
    test(`speaks ${format}`, async () => {
        const response = await say('Your order left today.', { response_format: format });
        assert.equal(response.headers.get('content-type'), TYPES[format]);
        const audio = await bytes(response);
        assert.deepEqual(audio.subarray(0, beginning.length), Buffer.from(beginning));
        assert.ok(audio.length > 1000);
    });
}

test('speaks PCM as long as the text, at the speed', async () => {
    const text = 'Your order left today.';
    const audio = await bytes(await say(text, { response_format: 'pcm' }));
    assert.equal(audio.length, Math.round(text.length * 0.06 * 24000) * 2);
    const fast = await bytes(await say(text, { response_format: 'pcm', speed: 2 }));
    assert.equal(fast.length, audio.length / 2);
    assert.deepEqual(speech.requests.at(-1).body, {
        model: 'tts-1',
        voice: 'alloy',
        input: text,
        response_format: 'pcm',
        speed: 2,
    });
});

test('speech begins before it is complete', async () => {
    const { promise, open } = gate();
    speech.next({ holdAfter: 1, gate: promise });
    const response = await say('A long sentence, for several pieces.', { response_format: 'pcm' });
    const reader = response.body.getReader();
    const first = await reader.read();
    assert.ok(first.value.length > 0);
    assert.equal(speech.requests[0].sent, 1);
    open();
    let rest = 0;
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        rest += piece.value.length;
    }
    assert.ok(rest > 0);
});

const refusedSpeech = {
    'text that is too long': { input: '🌍'.repeat(4097) },
    'no text': { input: '' },
    'a voice that is none': { voice: 'nobody' },
    'a speed past the limit': { speed: 4.5 },
    'a format that is none': { response_format: 'midi' },
    'a member that is none': { language: 'en' },
};
for (const [name, more] of Object.entries(refusedSpeech)) {
    test(`refuses ${name}`, async () => {
        await assert.rejects(say('x', more), OpenAI.BadRequestError);
    });
}

test('takes 4096 characters of four bytes', async () => {
    const audio = await bytes(await say('🌍'.repeat(4096), { response_format: 'mp3' }));
    assert.ok(audio.length > 100_000);
});

test('fails as it is told to', async () => {
    speech.next(failures.badKey('sk-x')).next(failures.rateLimited({ 'retry-after': '2' })).next(failures.server(500));
    await assert.rejects(say('x'), OpenAI.AuthenticationError);
    await assert.rejects(say('x'), (error) => error instanceof OpenAI.RateLimitError && error.headers.get('retry-after') === '2');
    await assert.rejects(say('x'), OpenAI.InternalServerError);
    await assert.rejects(new OpenAI({ apiKey: 'wrong', baseURL: `${speech.url}/v1`, maxRetries: 0 }).audio.speech.create({
        model: 'tts-1',
        voice: 'alloy',
        input: 'x',
    }), OpenAI.AuthenticationError);
});

test('audio may break off, or be none', async () => {
    speech.next({ cutAfter: 1 }).next({ empty: true });
    const response = await say('A long sentence, for several pieces.', { response_format: 'pcm' });
    await assert.rejects(bytes(response));
    assert.equal((await bytes(await say('x'))).length, 0);
});

test('who leaves is noticed', async () => {
    const { promise, open } = gate();
    speech.next({ holdAfter: 1, gate: promise });
    const response = await say('A long sentence, for several pieces.', { response_format: 'pcm' });
    const reader = response.body.getReader();
    await reader.read();
    await reader.cancel();
    const request = await speech.request(1);
    assert.deepEqual(await request.ended, { closedEarly: true });
    open();
});

test('transcribes, and keeps what it got', async () => {
    speech.next({ text: 'Où est ma commande ?' });
    const result = await hear({ model: 'whisper-1', language: 'fr', prompt: 'commande' });
    assert.equal(result.text, 'Où est ma commande ?');
    assert.deepEqual(result.usage, { type: 'duration', seconds: 1 });
    const [request] = speech.requests;
    assert.deepEqual(request.fields, { model: 'whisper-1', language: 'fr', prompt: 'commande' });
    assert.equal(request.file.filename, 'audio.wav');
    assert.deepEqual(request.wav.samples, pcm(1, 16000));
    assert.equal(request.wav.rate, 16000);
});

test('transcribes bit by bit', async () => {
    const { promise, open } = gate();
    speech.next({ text: 'one two three', holdAfter: 1, gate: promise });
    const deltas = [];
    let done;
    for await (const event of await hear({ stream: true })) {
        if (event.type === 'transcript.text.delta') {
            deltas.push(event.delta);
            open();
        } else {
            done = event;
        }
    }
    assert.deepEqual(deltas, ['one ', 'two ', 'three']);
    assert.equal(done.type, 'transcript.text.done');
    assert.equal(done.text, 'one two three');
});

test('whisper-1 does not stream', async () => {
    speech.next({ text: 'all at once' });
    const form = new FormData();
    form.append('model', 'whisper-1');
    form.append('stream', 'true');
    form.append('file', new Blob([wav(pcm(1, 16000), 16000)]), 'a.wav');
    const response = await fetch(`${speech.url}/v1/audio/transcriptions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${speech.key}` },
        body: form,
    });
    assert.equal((await response.json()).text, 'all at once');
});

test('a transcript may fail in the middle', async () => {
    speech.next({ text: 'one two', errorAfter: 1 }).next({ text: 'one two', cutAfter: 1 });
    for (let i = 0; i < 2; i++) {
        await assert.rejects(async () => {
            for await (const event of await hear({ stream: true })) {
                assert.equal(event.type, 'transcript.text.delta');
            }
        });
    }
});

test('refuses what is no audio, too short, or too large', async () => {
    const file = (data, name) => toFile(data, name);
    await assert.rejects(hear({ file: await file(Buffer.from('hello'), 'a.wav') }), OpenAI.BadRequestError);
    await assert.rejects(hear({ file: await file(Buffer.from('hello'), 'a.txt') }), OpenAI.BadRequestError);
    await assert.rejects(hear({ file: await utterance(0.05) }), OpenAI.BadRequestError);
    await assert.rejects(hear({ file: await file(Buffer.alloc((25 << 20) + 1), 'a.mp3') }), (error) => error.status === 413);
});

test('Azure OpenAI: deployment paths, api-key, api-version', async () => {
    const audio = await bytes(await azure.audio.speech.create({ model: 'talk', voice: 'alloy', input: 'x' }));
    assert.ok(audio.length > 1000);
    speech.next({ text: 'Yes' });
    const heard = await azure.audio.transcriptions.create({ model: 'talk', file: await utterance() });
    assert.equal(heard.text, 'Yes');
    const [said, listened] = speech.requests;
    assert.equal(said.path, '/openai/deployments/talk/audio/speech');
    assert.equal(listened.path, '/openai/deployments/talk/audio/transcriptions');
    for (const request of [said, listened]) {
        assert.equal(request.deployment, 'talk');
        assert.equal(request.query['api-version'], '2025-03-01-preview');
        assert.equal(request.headers['api-key'], speech.key);
    }
    const stranger = new AzureOpenAI({ apiKey: 'x', endpoint: speech.url, apiVersion: '2025-03-01-preview', maxRetries: 0 });
    await assert.rejects(
        stranger.audio.speech.create({ model: 'talk', voice: 'alloy', input: 'x' }),
        OpenAI.AuthenticationError,
    );
});

test('Azure OpenAI: the v1 form is the SDK of OpenAI with another address', async () => {
    const v1 = new OpenAI({
        apiKey: '-',
        baseURL: `${speech.url}/openai/v1`,
        defaultHeaders: { 'api-key': speech.key },
        maxRetries: 0,
    });
    const audio = await bytes(await v1.audio.speech.create({ model: 'talk', voice: 'alloy', input: 'x' }));
    assert.ok(audio.length > 1000);
    assert.equal(speech.requests[0].path, '/openai/v1/audio/speech');
});

// ---- Azure Speech ----

const ssml = (inner, voice = 'en-US-JennyNeural') =>
    `<speak version='1.0' xml:lang='en-US'><voice name='${voice}'>${inner}</voice></speak>`;
const azureSay = (body, headers = {}) =>
    fetch(`${speech.url}/cognitiveservices/v1`, {
        method: 'POST',
        headers: {
            'ocp-apim-subscription-key': speech.key,
            'content-type': 'application/ssml+xml',
            'x-microsoft-outputformat': 'raw-16khz-16bit-mono-pcm',
            'user-agent': 'test',
            ...headers,
        },
        body,
    });
const azureHear = (body, { query = 'language=en-US&format=detailed', headers = {} } = {}) =>
    fetch(`${speech.url}/speech/recognition/conversation/cognitiveservices/v1?${query}`, {
        method: 'POST',
        headers: {
            'ocp-apim-subscription-key': speech.key,
            'content-type': 'audio/wav; codecs=audio/pcm; samplerate=16000',
            accept: 'application/json',
            ...headers,
        },
        body,
    });

test('Azure Speech speaks SSML', async () => {
    const response = await azureSay(ssml('Hello &amp; welcome'));
    assert.equal(response.status, 200);
    assert.equal((await bytes(response)).length, Math.round('Hello & welcome'.length * 0.06 * 16000) * 2);
    assert.equal(speech.requests[0].ssml.text, 'Hello & welcome');
    assert.equal(speech.requests[0].ssml.voice, 'en-US-JennyNeural');
});

test('Azure Speech refuses what is wrong', async () => {
    const status = async (response) => (await response).status;
    assert.equal(await status(azureSay(ssml('Fish & chips'))), 400);
    assert.equal(await status(azureSay(ssml('a</voice><voice name="x">b'))), 400);
    assert.equal(await status(azureSay(ssml('x', 'nobody'))), 400);
    assert.equal(await status(azureSay(ssml('x'), { 'x-microsoft-outputformat': 'mp3' })), 400);
    assert.equal(await status(azureSay(ssml('x'), { 'content-type': 'text/xml' })), 415);
    assert.equal(await status(azureSay(ssml('x'), { 'ocp-apim-subscription-key': 'wrong' })), 401);
    assert.equal(await status(azureHear(wav(pcm(1, 8000), 8000))), 400);
    assert.equal(await status(azureHear(wav(pcm(1, 16000), 16000), { query: 'format=simple' })), 400);
    assert.equal(await status(azureHear(wav(pcm(61, 16000), 16000))), 413);
    assert.equal(await status(azureHear('x', { headers: { 'ocp-apim-subscription-key': 'wrong' } })), 401);
});

test('Azure Speech recognizes short audio', async () => {
    speech.next({ text: 'Where is my order?' }).next({ strings: true }).next({ recognition: 'NoMatch' });
    const short = wav(pcm(2, 16000), 16000);
    const detailed = await (await azureHear(short)).json();
    assert.equal(detailed.RecognitionStatus, 'Success');
    assert.equal(detailed.NBest[0].Display, 'Where is my order?');
    assert.equal(detailed.Duration, 20000000);
    const simple = await (await azureHear(short, { query: 'language=en-US' })).json();
    assert.equal(simple.DisplayText, 'Is the oven on?');
    assert.equal(simple.Duration, '20000000');
    const nothing = await (await azureHear(short)).json();
    assert.equal(nothing.RecognitionStatus, 'NoMatch');
    assert.equal(nothing.NBest, undefined);
});

// ---- the readers: they are the tests' judges, so they must be able to fail ----

test('the SSML reader takes well-formed documents only', () => {
    assert.equal(readSsml(ssml("<prosody rate='+10%'>a &lt;b&gt;</prosody>")).rate, '+10%');
    const broken = ['a & b', 'a &copy; b', '<b>x</b>', "<prosody rate='x'>", '</voice>', '\u0001', "<prosody x='1'>a</prosody>"];
    for (const inner of broken) {
        assert.throws(() => readSsml(ssml(inner)), undefined, inner);
    }
    assert.throws(() => readSsml('<speak><voice name="en-US-JennyNeural">x</voice>'));
});

test('the form reader takes whole forms only', () => {
    const part = 'Content-Disposition: form-data; name="a"\r\n\r\n1';
    const read = (body) => readForm('multipart/form-data; boundary=B', Buffer.from(body));
    assert.equal(read(`--B\r\n${part}\r\n--B--\r\n`).fields.get('a'), '1');
    for (const body of [`--B\r\n${part}\r\n--B`, `--B\r\n${part}`, `x--B\r\n${part}\r\n--B--\r\n`, `--B\n${part}\r\n--B--`]) {
        assert.throws(() => read(body), undefined, body);
    }
    assert.throws(() => readForm('text/plain', Buffer.from('')));
});

test('the WAV reader takes what says its size only', () => {
    const file = wav(pcm(0.1, 16000), 16000);
    assert.equal(readWav(file).seconds, 0.1);
    assert.throws(() => readWav(file.subarray(0, 100)));
    assert.throws(() => readWav(wav(pcm(0.1, 16000), 16000, { sizes: false })));
});
