// Speech over HTTP with a service behind it: what leaves first, how failures are told, who is stopped when a client
// goes.
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { failures, startSpeech } from '../fake/speech.mjs';
import { pcm, wav } from '../fake/tone.mjs';
import { gate } from '../fake/upstream.mjs';
import { RawClient } from './support/raw.mjs';
import { startServer } from './support/server.mjs';
import { bytes } from './support/speech.mjs';

const speech = await startSpeech();
after(() => speech.close());
beforeEach(() => speech.forget());

const common = {
    OPENAI_API_KEY: speech.key,
    OPENAI_BASE_URL: `${speech.url}/v1`,
    UPSTREAM_RETRIES: '0',
    UPSTREAM_BREAKER_FAILURES: '0',
};
const server = await startServer({ after }, { env: { ...common, OPENAI_STT_MODEL: 'gpt-4o-transcribe' } });
const impatient = await startServer({ after }, { env: { ...common, UPSTREAM_FIRST_BYTE_TIMEOUT: '300ms' } });
const azure = await startServer(
    { after },
    {
        env: {
            AZURE_OPENAI_ENDPOINT: `${speech.url}/`,
            AZURE_OPENAI_API_KEY: speech.key,
            AZURE_OPENAI_TTS_DEPLOYMENT: 'talk',
            AZURE_OPENAI_STT_DEPLOYMENT: 'listen',
            LLM_PROVIDER: 'demo',
        },
    },
);

const sdk = (where) => new OpenAI({ apiKey: 'anything', baseURL: `${where.url}/v1`, maxRetries: 0 });
const client = sdk(server);
const say = (input, more = {}) => client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input, ...more });
const post = (where, path, body) =>
    where.fetch(path, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
    });
const hear = (file, more = {}) => client.audio.transcriptions.create({ model: 'gpt-4o-transcribe', file, ...more });
const tone = (seconds = 1) => toFile(wav(pcm(seconds, 16000), 16000), 'audio.wav');

test('what the service gets', async () => {
    await bytes(await say('Hello', { voice: 'nova', response_format: 'mp3', speed: 1.5, model: 'another' }));
    const [request] = speech.requests;
    const asked = { input: 'Hello', voice: 'nova', response_format: 'mp3', speed: 1.5 };
    assert.deepEqual(request.body, { model: 'tts-1', ...asked });
    assert.equal(request.headers.authorization, `Bearer ${speech.key}`);
});

for (const format of ['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm']) {
    test(`${format} passes through`, async () => {
        const [through, direct] = await Promise.all([
            say('A sentence.', { response_format: format }).then(bytes),
            new OpenAI({ apiKey: speech.key, baseURL: `${speech.url}/v1` }).audio.speech
                .create({ model: 'tts-1', voice: 'alloy', input: 'A sentence.', response_format: format })
                .then(bytes),
        ]);
        assert.deepEqual(through, direct);
    });
}

const doors = {
    '/v1/audio/speech': { model: 'tts-1', voice: 'alloy', input: 'A sentence of some length.', response_format: 'mp3' },
    '/api/tts': { text: 'A sentence of some length.' },
};
for (const [path, body] of Object.entries(doors)) {
    test(`${path}: the first bytes leave before the last are there`, async () => {
        const { promise, open } = gate();
        speech.next({ piece: 1000, holdAfter: 1, gate: promise });
        const response = await post(server, path, body);
        assert.equal(response.status, 200);
        assert.equal(response.headers.get('content-type'), 'audio/mpeg');
        const reader = response.body.getReader();
        const first = await reader.read();
        assert.equal(first.value.length, 1000);
        assert.equal(speech.requests[0].sent, 1);
        open();
        let rest = 0;
        for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
            rest += piece.value.length;
        }
        assert.ok(rest > 1000);
    });

    test(`${path}: who leaves stops the service`, async () => {
        const { promise, open } = gate();
        speech.next({ piece: 1000, holdAfter: 1, gate: promise });
        const response = await post(server, path, body);
        const reader = response.body.getReader();
        await reader.read();
        await reader.cancel();
        const request = await speech.request(1);
        assert.deepEqual(await request.ended, { closedEarly: true });
        open();
    });

    test(`${path}: who leaves before the first byte stops the service`, async () => {
        speech.next({ hang: 'headers' });
        const leaving = new AbortController();
        const asked = fetch(server.url + path, {
            method: 'POST',
            body: JSON.stringify(body),
            headers: { 'content-type': 'application/json' },
            signal: leaving.signal,
        });
        const request = await speech.request(1);
        leaving.abort();
        await assert.rejects(asked);
        assert.deepEqual(await request.ended, { closedEarly: true });
    });

    test(`${path}: what breaks off never looks complete`, async () => {
        speech.next({ piece: 1000, cutAfter: 2 });
        await assert.rejects(async () => bytes(await post(server, path, body)));
    });

    test(`${path}: a service that falls silent in mid-speech is given up`, async () => {
        const { promise, open } = gate();
        speech.next({ piece: 1000, holdAfter: 2, gate: promise });
        const response = await post(impatient, path, body);
        assert.equal(response.status, 200);
        await assert.rejects(bytes(response));
        const request = await speech.request(1);
        assert.deepEqual(await request.ended, { closedEarly: true });
        open();
    });
}

test('a piece of one byte is passed on as it is', async () => {
    speech.next({ piece: 1, seconds: 0.02 });
    const audio = await bytes(await say('x', { response_format: 'aac' }));
    speech.next({ seconds: 0.02 });
    assert.deepEqual(audio, await bytes(await say('x', { response_format: 'aac' })));
});

test('a slow reader slows the service down', async () => {
    speech.next({ seconds: 600, piece: 65536 });
    const raw = await RawClient.connect(server.port);
    const body = JSON.stringify({ input: 'x', response_format: 'pcm' });
    raw.socket.pause();
    await raw.write(
        `POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n` +
            `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    const request = await speech.request(1);
    const all = Math.ceil((600 * 48000) / 65536);
    for (let before = -1; request.sent !== before; ) {
        before = request.sent;
        await new Promise((resolve) => setTimeout(resolve, 500));
    }
    assert.ok(request.sent < all, `${request.sent} of ${all}`);
    let got = 0;
    raw.socket.removeAllListeners('data');
    raw.socket.on('data', (chunk) => (got += chunk.length));
    raw.socket.resume();
    await raw.closed();
    assert.ok(got > 600 * 48000);
    assert.equal(request.sent, all);
});

// ---- failures ----

const SECRETS = /sk-|Bad Gateway|quota|Rate limit reached|had an error while|Incorrect/;
const kinds = {
    'a bad key': [failures.badKey('sk-test'), 401, OpenAI.AuthenticationError],
    'a refusal': [failures.badRequest(), 400, OpenAI.BadRequestError],
    'too many requests': [failures.rateLimited({ 'retry-after': '7' }), 429, OpenAI.RateLimitError],
    'an exhausted quota': [failures.quota(), 429, OpenAI.RateLimitError],
    'a server error': [failures.server(500), 500, OpenAI.InternalServerError],
    'a page of HTML': [failures.html(502), 502, OpenAI.InternalServerError],
    'JSON in place of audio': [
        { status: 200, body: '{"error":{"message":"sk-1234567890"}}' },
        502,
        OpenAI.InternalServerError,
    ],
    'no audio': [{ empty: true }, 502, OpenAI.InternalServerError],
};
for (const [name, [plan, status, type]] of Object.entries(kinds)) {
    test(`${name} is told in every dialect's words, never in the service's`, async () => {
        speech.always = plan;
        await assert.rejects(say('x'), (error) => {
            assert.ok(error instanceof type, String(error));
            assert.doesNotMatch(error.message, SECRETS);
            assert.equal(error.status, status);
            return true;
        });
        const plain = await post(server, '/api/tts', { text: 'x' });
        assert.equal(plain.status, status);
        assert.match(plain.headers.get('content-type'), /^text\/plain/);
        assert.match(await plain.text(), /^The speech service /);
        assert.equal(plain.headers.get('retry-after'), plan.headers?.['retry-after'] ?? null);
        const flat = await post(server, '/api/tts', { text: 'x', speed: 1 });
        assert.equal(flat.status, 500);
        const said = await flat.json();
        assert.match(said.id, /^\d+$/);
        assert.match(said.error, /^The speech service /);
        assert.ok(Date.parse(said.timestamp) > 0);
        if (!plan.empty) {
            await assert.rejects(hear(await tone()), (error) => {
                assert.doesNotMatch(error.message, SECRETS);
                return error.status === status;
            });
        }
    });
}

test('nothing is asked of the service that cannot succeed', async () => {
    await assert.rejects(say('😀'.repeat(4097)), OpenAI.BadRequestError);
    assert.equal((await post(server, '/api/tts', { text: 'x'.repeat(4097) })).status, 400);
    assert.equal(speech.requests.length, 0);
    await bytes(await say('😀'.repeat(4096)));
    assert.equal([...speech.requests[0].body.input].length, 4096);
});

test('events: what breaks off ends with an error', async () => {
    speech.next({ piece: 1000, cutAfter: 1 });
    const response = await say('A sentence.', { stream_format: 'sse', response_format: 'mp3' });
    const events = (await response.text()).split('\n\n').filter((event) => event.startsWith('data: '));
    const [first, last] = events.map((event) => JSON.parse(event.slice(6)));
    assert.equal(first.type, 'speech.audio.delta');
    assert.equal(Buffer.from(first.audio, 'base64').length, 1000);
    assert.equal(last.type, 'error');
    assert.match(last.error.message, /^The speech service /);
    assert.equal(events.length, 2);
});

// ---- transcription ----

test('one request per upload, in what the service takes', async () => {
    speech.next({ text: 'Where is my order?' });
    const result = await client.audio.transcriptions.create({
        model: 'whatever',
        file: await toFile(await bytes(await say('x', { response_format: 'mp3' })), 'a.mp3'),
        language: 'de',
        prompt: 'order',
    });
    assert.equal(result.text, 'Is the oven on?'); // the plan was for the request that spoke
    const request = speech.requests[1];
    assert.equal(request.fields.model, 'gpt-4o-transcribe');
    assert.equal(request.fields.language, 'de');
    assert.equal(request.fields.prompt, 'order');
    assert.equal(request.wav.rate, 16000);
    assert.equal(speech.requests.length, 2);
});

test('text is told as the service understands it', async () => {
    const { promise, open } = gate();
    speech.next({ text: 'one two three', holdAfter: 1, gate: promise });
    const deltas = [];
    let done;
    const stream = await hear(await tone(), { stream: true });
    for await (const event of stream) {
        if (event.type === 'transcript.text.delta') {
            deltas.push(event.delta);
            open();
        } else {
            done = event;
        }
    }
    assert.deepEqual(deltas, ['one', ' two', ' three']);
    assert.equal(done.text, 'one two three');
});

test('a transcript that breaks off', async () => {
    speech.next({ text: 'one two', errorAfter: 1 });
    const stream = await hear(await tone(), { stream: true });
    await assert.rejects(async () => {
        for await (const event of stream) {
            assert.equal(event.type, 'transcript.text.delta');
        }
    }, /The speech service/);
});

test('two minutes without a pause are cut into what the service takes', async () => {
    speech.always = { text: 'la' };
    const result = await hear(await tone(120), { response_format: 'json' });
    assert.equal(result.text, 'la la la');
    assert.equal(result.usage.seconds, 120);
    const seconds = speech.requests.map((request) => request.wav.seconds);
    assert.equal(seconds.length, 3);
    assert.equal(Math.round(seconds.reduce((sum, s) => sum + s, 0)), 120);
    assert.ok(Math.max(...seconds) <= 50);
});

test('silence is not worth a request', async () => {
    const file = await toFile(wav(Buffer.alloc(64000), 16000), 'a.wav');
    const result = await client.audio.transcriptions.create({ model: 'x', file });
    assert.equal(result.text, '');
    assert.equal(speech.requests.length, 0);
});

test('who leaves during recognition stops it', async () => {
    speech.next({ hang: 'headers' });
    const leaving = new AbortController();
    const asked = client.audio.transcriptions.create({ model: 'x', file: await tone() }, { signal: leaving.signal });
    const request = await speech.request(1);
    leaving.abort();
    await assert.rejects(asked);
    assert.deepEqual(await request.ended, { closedEarly: true });
});

test('Azure OpenAI', async () => {
    const azureClient = sdk(azure);
    await bytes(await azureClient.audio.speech.create({ model: 'x', voice: 'marin', input: 'x' }));
    speech.next({ text: 'Yes' });
    const heard = await azureClient.audio.transcriptions.create({ model: 'x', file: await tone() });
    assert.equal(heard.text, 'Yes');
    const [said, listened] = speech.requests;
    assert.equal(said.path, '/openai/deployments/talk/audio/speech');
    assert.equal(listened.path, '/openai/deployments/listen/audio/transcriptions');
    assert.equal(said.headers['api-key'], speech.key);
});

test('a server that ends lets speech under way come to its end', async (t) => {
    const leaving = await startServer(t, { env: common });
    const { promise, open } = gate();
    speech.next({ piece: 1000, holdAfter: 1, gate: promise });
    const response = await post(leaving, '/api/tts', doors['/api/tts']);
    const reader = response.body.getReader();
    let got = (await reader.read()).value.length;
    leaving.child.kill('SIGTERM');
    await leaving.logged(/event"?[=:]"?draining/);
    open();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        got += piece.value.length;
    }
    assert.ok(got > 1000);
    await leaving.stop();
});
