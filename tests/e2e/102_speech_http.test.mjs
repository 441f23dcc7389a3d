// Speech over HTTP without an account: the official SDK of OpenAI, and plain requests, against the embedded voices and
// recognizer.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { pcm, wav } from '../fake/tone.mjs';
import { startServer } from './support/server.mjs';
import { assertUnderstood, bytes, pcmLevel, sentences, understood } from './support/speech.mjs';

const server = await startServer({ after }, { env: { SPEECH_RECOGNIZERS: '2' } });
const client = new OpenAI({ apiKey: 'anything', baseURL: `${server.url}/v1`, maxRetries: 0 });

const say = (input, more = {}) => client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input, ...more });
const spoken = async (input, more) => bytes(await say(input, more));
const hear = (file, more = {}) => client.audio.transcriptions.create({ model: 'whisper-1', file, ...more });
const post = (path, body, headers = {}) => server.fetch(path, { method: 'POST', body, headers });
const JSON_TYPE = { 'content-type': 'application/json' };

const FORMATS = {
    mp3: ['audio/mpeg', /^(ID3|\xff[\xf2\xf3\xfb])/],
    opus: ['audio/ogg', /^OggS/],
    aac: ['audio/aac', /^\xff[\xf0\xf1\xf8\xf9]/],
    flac: ['audio/flac', /^fLaC/],
    wav: ['audio/wav', /^RIFF....WAVEfmt /s],
    pcm: ['audio/pcm', /^/],
};
const VOICES = 'alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar'.split(' ');

const mp3 = await spoken(sentences[1]);

for (const [format, [type, beginning]] of Object.entries(FORMATS)) {
    test(`speaks ${format}, which is understood again`, async () => {
        const sentence = sentences[1];
        const response = await say(sentence, { response_format: format });
        assert.equal(response.headers.get('content-type'), type);
        const audio = await bytes(response);
        assert.match(audio.toString('latin1', 0, 16), beginning);
        if (format === 'pcm') {
            assert.ok(pcmLevel(audio) > 300, 'audible');
            return;
        }
        const heard = await hear(await toFile(audio, `a.${format}`));
        assertUnderstood(heard.text, sentence);
        assert.equal(heard.usage.type, 'duration');
    });
}

test('every voice of OpenAI speaks, and is understood', async () => {
    let right = 0;
    let all = 0;
    for (const [i, voice] of VOICES.entries()) {
        const sentence = sentences[i % sentences.length];
        const heard = await hear(await toFile(await spoken(sentence, { voice, response_format: 'wav' }), 'a.wav'));
        const score = understood(heard.text, sentence);
        right += score.right;
        all += score.all;
    }
    assert.ok(right / all >= 0.8, `${right} of ${all} words`);
});

test('members nobody knows, a voice by its id, and the speed', async () => {
    const like = { response_format: 'pcm', some_new_member: [1] };
    const slow = await spoken('hello how are you today', { voice: { id: 'echo' }, ...like });
    const fast = await spoken('hello how are you today', { voice: 'echo', speed: 2, response_format: 'pcm' });
    assert.ok(fast.length < slow.length * 0.7);
});

test('speech as events', async () => {
    const response = await say('hello how are you today', { stream_format: 'sse', response_format: 'pcm' });
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
    const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('data: '));
    const parsed = events.map((event) => JSON.parse(event.slice(6)));
    assert.equal(parsed.at(-1).type, 'speech.audio.done');
    assert.equal(typeof parsed.at(-1).usage.total_tokens, 'number');
    const audio = Buffer.concat(parsed.slice(0, -1).map(({ type, audio: piece }) => {
        assert.equal(type, 'speech.audio.delta');
        return Buffer.from(piece, 'base64');
    }));
    assert.ok(pcmLevel(audio) > 300);
});

const refusedSpeech = {
    'too long an input': [{ input: '😀'.repeat(4097) }, 'input', 'string_above_max_length'],
    'no input': [{ input: undefined }, 'input', 'missing_required_parameter'],
    'an empty input': [{ input: ' ' }, 'input', 'string_below_min_length'],
    'an input that is no text': [{ input: 7 }, 'input', 'invalid_type'],
    'too long instructions': [{ instructions: 'x'.repeat(4097) }, 'instructions', 'string_above_max_length'],
    'a voice that is none': [{ voice: { name: 'x' } }, 'voice', 'invalid_type'],
    'a format that is none': [{ response_format: 'midi' }, 'response_format', 'invalid_value'],
    'a speed below': [{ speed: 0.2 }, 'speed', 'decimal_below_min_value'],
    'a speed above': [{ speed: 4.1 }, 'speed', 'decimal_above_max_value'],
    'a stream that is none': [{ stream_format: 'rtp' }, 'stream_format', 'invalid_value'],
};
for (const [name, [more, param, code]] of Object.entries(refusedSpeech)) {
    test(`refuses ${name}`, async () => {
        await assert.rejects(say('x', more), (error) => {
            assert.ok(error instanceof OpenAI.BadRequestError, String(error));
            assert.deepEqual([error.type, error.param, error.code], ['invalid_request_error', param, code]);
            return true;
        });
    });
}

test('bodies that are no JSON object are 400 in the shape of OpenAI', async () => {
    for (const body of ['', '[]', '{', '"x"', '{"input":"\xff"}']) {
        const response = await post('/v1/audio/speech', Buffer.from(body, 'latin1'), JSON_TYPE);
        assert.equal(response.status, 400, body);
        assert.equal((await response.json()).error.type, 'invalid_request_error');
    }
});

test('4096 emoji are taken', async () => {
    const audio = await spoken('😀'.repeat(4096), { response_format: 'pcm' });
    assert.ok(audio.length > 0); // nothing that could be read: a moment of silence
});

// ---- transcriptions ----

const twoSentences = async () => {
    const a = await spoken(sentences[5], { response_format: 'pcm' });
    const b = await spoken(sentences[0], { response_format: 'pcm' });
    return wav(Buffer.concat([a, Buffer.alloc(48000 * 2), b, Buffer.alloc(48000)]), 24000);
};

test('every shape of a transcript', async () => {
    const file = () => toFile(recording, 'a.wav');
    const recording = await twoSentences();
    const whole = `${sentences[5]} ${sentences[0]}`;
    const fields = { language: 'en', prompt: 'computer', temperature: 0 };
    assertUnderstood((await hear(await file(), { response_format: 'json', ...fields })).text, whole);
    assertUnderstood(await hear(await file(), { response_format: 'text' }), whole);

    const verbose = await hear(await file(), { response_format: 'verbose_json', timestamp_granularities: ['segment'] });
    assertUnderstood(verbose.text, whole);
    assert.equal(verbose.task, 'transcribe');
    assert.ok(Math.abs(verbose.duration - (recording.length - 44) / 48000) < 0.05);
    assert.equal(verbose.segments.length, 2);
    const [first, second] = verbose.segments;
    assert.ok(first.start < first.end && first.end < second.start && second.start < second.end);
    assert.ok(second.start - first.end > 1.2, `${first.end} to ${second.start}`);
    assertUnderstood(first.text, sentences[5]);
    assertUnderstood(second.text, sentences[0]);

    const srt = await hear(await file(), { response_format: 'srt' });
    assert.match(srt, /^1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\n.+\n\n2\n00:00:0\d,\d{3} --> /);
    assert.match(srt, / --> 00:00:\d\d,\d{3}\n.+\n\n$/);
    const vtt = await hear(await file(), { response_format: 'vtt' });
    assert.match(vtt, /^WEBVTT\n\n00:00:0\d\.\d{3} --> 00:00:0\d\.\d{3}\n.+\n\n00:00:0\d\.\d{3} --> /);
});

test('a transcript as events', async () => {
    const sentence = sentences[9];
    const file = await toFile(await spoken(sentence, { response_format: 'mp3' }), 'a.mp3');
    let deltas = '';
    let done;
    for await (const event of await hear(file, { stream: true })) {
        if (event.type === 'transcript.text.delta') {
            deltas += event.delta;
        } else {
            done = event;
        }
    }
    assert.equal(done.type, 'transcript.text.done');
    assert.equal(done.text, deltas);
    assertUnderstood(done.text, sentence);
});

const refusedFiles = {
    'no audio at all': [Buffer.from('this is no audio, but a text that is long enough to be looked at'), 'file'],
    'an empty file': [Buffer.alloc(0), 'file'],
    'half a WebM header': [Buffer.from('1a45dfa39f4286810142f7810142f2810442f3810842828477', 'hex'), 'file'],
    'noise in place of MP3': [Buffer.from(mp3.map((byte, i) => (i % 3 === 0 ? byte ^ 0x5a : byte))), 'file'],
};
for (const [name, [content, param]] of Object.entries(refusedFiles)) {
    test(`refuses ${name}`, async () => {
        await assert.rejects(hear(await toFile(content, 'a.mp3')), (error) => {
            assert.ok(error instanceof OpenAI.BadRequestError, String(error));
            assert.deepEqual([error.type, error.param, error.code], ['invalid_request_error', param, 'invalid_value']);
            return true;
        });
    });
}

test('what breaks off is understood as far as it goes', async () => {
    const heard = await hear(await toFile(mp3.subarray(0, mp3.length * 0.9), 'a.mp3'));
    assert.match(heard.text, /^i would like to/);
});

test('refuses fields that are wrong', async () => {
    const file = () => toFile(wav(pcm(0.5, 16000), 16000), 'a.wav');
    const wrong = {
        response_format: 'diarized_json',
        language: '<x>',
        temperature: 2,
        timestamp_granularities: ['word'],
        prompt: 'x'.repeat(5000),
    };
    for (const [param, value] of Object.entries(wrong)) {
        const isAbout = (error) => error.status === 400 && error.param === param;
        await assert.rejects(hear(await file(), { [param]: value }), isAbout, param);
    }
    await assert.rejects(hear(await file(), { language: 'fr' }), (error) => error.status === 400);
    await assert.rejects(client.audio.translations.create({ model: 'whisper-1', file: await file() }), (error) => {
        return error.status === 400 && error.code === 'unsupported_operation';
    });
    const response = await post('/v1/audio/transcriptions', '{}', JSON_TYPE);
    assert.equal(response.status, 400);
    assert.match((await response.json()).error.message, /multipart/);
});

test('a file of more than 25 MB is 413 in the shape of OpenAI', async () => {
    await assert.rejects(hear(await toFile(Buffer.alloc((26 << 20) + 1), 'a.mp3')), (error) => {
        return error.status === 413 && error.error.type === 'invalid_request_error';
    });
});

test('10 minutes are uploaded and understood, a sentence in each of them', async () => {
    const minutes = [];
    for (const sentence of sentences) {
        const minute = Buffer.alloc(60 * 48000);
        (await spoken(sentence, { response_format: 'pcm' })).copy(minute, 20 * 48000);
        minutes.push(minute);
    }
    const response = await post('/api/stt', wav(Buffer.concat(minutes), 24000), { 'content-type': 'audio/wav' });
    const { text, durationMs } = await response.json();
    assert.equal(durationMs, 600000);
    const { right, all } = understood(text, sentences.join(' '));
    assert.ok(right / all >= 0.8, text);
});

// ---- POST /api/stt ----

test('/api/stt takes audio as it is, in a form, and in JSON', async () => {
    const sentence = sentences[1];
    const check = async (response) => {
        assert.equal(response.status, 200, await response.clone().text());
        const { text, confidence, durationMs } = await response.json();
        assertUnderstood(text, sentence);
        assert.ok(confidence > 0 && confidence <= 1);
        assert.ok(durationMs > 500);
    };
    await check(await post('/api/stt', mp3, { 'content-type': 'audio/mpeg' }));
    await check(await post('/api/v1/stt?language=en', mp3, { 'content-type': 'application/octet-stream' }));
    const form = new FormData();
    form.append('language', 'en-US');
    form.append('file', new Blob([mp3]), 'ä".mp3');
    await check(await post('/api/stt', form));
    const json = (audioData, more = {}) =>
        post('/api/stt', JSON.stringify({ audioData, ...more }).replaceAll('/', '\\/'), JSON_TYPE);
    await check(await json(mp3.toString('base64'), { audioFormat: 'audio/mpeg', language: 'en' }));
    await check(await json(`data:audio/mpeg;base64,${mp3.toString('base64url')}`));
    const raw = await spoken(sentence, { response_format: 'pcm' });
    await check(await json(raw.toString('base64'), { audioFormat: 'pcm16' }));
    await check(await post('/api/stt', raw, { 'content-type': 'audio/pcm; rate=24000' }));
});

test('/api/stt says what is wrong', async () => {
    const cases = [
        ['', 'audio/mpeg', 400, 'Audio data is required'],
        ['{}', 'application/json', 400, 'Audio data is required'],
        ['{"audioData":""}', 'application/json', 400, 'Audio data is required'],
        ['{"audioData":"@@@@"}', 'application/json', 400, 'The audio is not valid base64'],
        ['{"audioData":', 'application/json', 400, undefined],
        ['no audio in here, whatever its type says', 'audio/mpeg', 400, undefined],
        ['xx', 'audio/pcm;rate=1', 400, 'The sample rate must be 8000 to 48000 Hz'],
        ['--B--', 'multipart/form-data; boundary=B', 400, 'Audio data is required'],
        ['xx', 'multipart/form-data', 400, undefined],
    ];
    for (const [body, type, status, text] of cases) {
        const response = await post('/api/stt', body, { 'content-type': type });
        const said = await response.json();
        assert.equal(response.status, status, body);
        assert.equal(said.code, 'INVALID_REQUEST');
        assert.equal(said.error, said.message);
        if (text) {
            assert.equal(said.error, text);
        }
    }
});

// ---- POST /api/tts ----

test('/api/tts as dialect 001: an MP3 stream, errors in plain text', async () => {
    const response = await post('/api/tts', JSON.stringify({ text: sentences[9] }), JSON_TYPE);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'audio/mpeg');
    assertUnderstood((await hear(await toFile(await bytes(response), 'a.mp3'))).text, sentences[9]);
    const refusals = [
        ['{}', 'Text is required'],
        ['', 'Text is required'],
        ['{"text":"  "}', 'Text is required'],
        ['{"text":7}', 'Text is required'],
        ['no JSON', 'Text is required'],
        [JSON.stringify({ text: '😀'.repeat(2048) + 'x' }), 'Text exceeds maximum length of 4096 characters'],
    ];
    for (const path of ['/api/tts', '/api/v1/tts', '/openai/api/tts']) {
        for (const [body, text] of refusals) {
            const refused = await post(path, body, JSON_TYPE);
            assert.equal(refused.status, 400);
            assert.match(refused.headers.get('content-type'), /^text\/plain/);
            assert.equal(await refused.text(), text);
        }
    }
    const longest = await post('/api/tts', JSON.stringify({ text: '😀'.repeat(2048) }));
    assert.equal(longest.status, 200);
    assert.ok((await bytes(longest)).length > 0);
});

test('/api/tts as dialect 000: JSON', async () => {
    const ways = [
        ['/api/tts', { text: sentences[0], speed: 1.5 }, {}],
        ['/api/tts', { text: sentences[0], voice: 'en-US-GuyNeural' }, {}],
        ['/api/v1/tts', { text: sentences[0] }, { accept: 'application/json' }],
        ['/aimcs/api/tts', { text: sentences[0] }, {}],
    ];
    for (const [path, body, headers] of ways) {
        const { status, body: said } = await server.json('POST', path, body, headers);
        assert.equal(status, 200);
        assert.match(said.id, /^\d+$/);
        assert.equal(said.text, sentences[0]);
        assert.equal(said.audioFormat, 'mp3');
        assert.equal(said.voice, body.voice ?? 'en-US-JennyNeural');
        assert.equal(said.speed, body.speed ?? 1);
        assert.ok(Date.parse(said.timestamp) > 0);
        assert.equal('audioUrl' in said, false);
        assert.match(Buffer.from(said.audioData, 'base64').toString('latin1', 0, 4), FORMATS.mp3[1]);
    }
    const refusals = [
        [{ speed: 1 }, 'Text is required'],
        [{ text: '', speed: 1 }, 'Text is required'],
        [{ text: 'x'.repeat(4097), speed: 1 }, 'Text exceeds maximum length of 4096 characters'],
        [{ text: 'x', speed: 9 }, 'Speed must be a number from 0.25 to 4'],
        [{ text: 'x', speed: 'fast' }, 'Speed must be a number from 0.25 to 4'],
    ];
    for (const [body, text] of refusals) {
        const { status, body: said } = await server.json('POST', '/api/tts', body);
        assert.equal(status, 400);
        assert.deepEqual(said, { error: text, message: text, code: 'INVALID_REQUEST' });
    }
});

test('nobody speaks, nobody listens', async (t) => {
    const mute = await startServer(t, { env: { TTS_PROVIDER: 'none', STT_PROVIDER: 'none' } });
    const plain = await mute.json('POST', '/api/tts', { text: 'x' });
    assert.deepEqual([plain.status, plain.text], [500, 'Error: OpenAI API key not configured']);
    const flat = await mute.json('POST', '/api/tts', { text: 'x', speed: 1 });
    assert.equal(flat.status, 500);
    assert.equal(flat.body.error, 'TTS not configured');
    const v1 = await mute.json('POST', '/v1/audio/speech', { model: 'tts-1', input: 'x', voice: 'alloy' });
    assert.deepEqual([v1.status, v1.body.error.code], [500, 'NOT_CONFIGURED']);
    const stt = await mute.fetch('/api/stt', { method: 'POST', body: mp3, headers: { 'content-type': 'audio/mpeg' } });
    assert.deepEqual([stt.status, (await stt.json()).code], [500, 'NOT_CONFIGURED']);
});

test('in production it takes a token, or an operator who opens the dialect', async (t) => {
    const token = 'a-token-for-the-tests-0123456789abcdef';
    const env = {
        ENVIRONMENT: 'production',
        API_TOKEN: token,
        JWT_SECRET: 'a-secret-for-the-tests-0123456789abcdef',
        OPEN_DIALECTS: 'aimcs',
        TTS_PROVIDER: 'none',
        STT_PROVIDER: 'none',
    };
    const strict = await startServer(t, { env });
    const form = () => {
        const data = new FormData();
        data.append('file', new Blob(['x']), 'a.wav');
        return data;
    };
    const ask = async (path, body, headers = {}) => {
        const response = await strict.fetch(path, { method: 'POST', body, headers });
        return [response.status, await response.text()];
    };
    const bearer = { authorization: `Bearer ${token}` };
    for (const [path, body] of [['/v1/audio/speech', '{"input":"x"}'], ['/v1/audio/transcriptions', form()]]) {
        const [status, text] = await ask(path, body);
        assert.equal(status, 401);
        assert.equal(JSON.parse(text).error.type, 'authentication_error');
        assert.equal((await ask(path, path.endsWith('speech') ? body : form(), bearer))[0], 500);
    }
    assert.equal((await ask('/openai/api/tts', '{"text":"x"}'))[0], 401);
    assert.equal((await ask('/api/tts', '{"text":"x"}'))[0], 401);
    assert.equal((await ask('/api/tts', '{"text":"x"}', bearer))[0], 500);
    assert.deepEqual(JSON.parse((await ask('/api/tts', '{"text":"x","speed":1}'))[1]).error, 'TTS not configured');
    assert.deepEqual(JSON.parse((await ask('/aimcs/api/tts', '{"text":"x"}'))[1]).error, 'TTS not configured');
});
