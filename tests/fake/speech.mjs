// Stand-in for speech in the cloud, on a port of its own: OpenAI's /v1/audio/speech and /v1/audio/transcriptions, the same
// of Azure OpenAI (dated and v1 paths), and Azure Speech's REST services (SSML to audio, short audio to text).
//   const speech = await startSpeech({ key: 'sk-test' });
//   speech.next({ text: 'Hello there' });                  // what the next request hears; several calls queue up
//   speech.always = failures.server(500);                  // when nothing is queued
//   const rq = await speech.request(1);                    // the first request, once it is there
//   await rq.ended;                                        // -> { closedEarly }
// Run by itself it listens on $PORT (default 9098).
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { readForm } from './multipart.mjs';
import { errorBody } from './plan.mjs';
import { readSsml } from './ssml.mjs';
import { audio, readWav } from './tone.mjs';

export { failures } from './plan.mjs';

/** @typedef {object} Plan
 * @property {number} status             of the answer
 * @property {object} headers            more response headers
 * @property {string|Buffer|null} body   whole answer instead of audio or a transcript
 * @property {string} text               what was heard
 * @property {string} recognition        RecognitionStatus of Azure Speech
 * @property {boolean} strings           Azure Speech writes numbers as strings
 * @property {number} seconds            of audio; 0: as long as the text
 * @property {boolean} empty             no audio at all
 * @property {number} first              ms before the first byte
 * @property {number} delay              ms between pieces
 * @property {number} piece              bytes of audio per write
 * @property {number} cutAfter           pieces (of audio, or events) before the connection is cut; -1: none
 * @property {number} holdAfter          pieces before waiting for `gate`; -1: never
 * @property {number} errorAfter         events before an error event; -1: none
 * @property {Promise<void>|null} gate
 * @property {string} hang               "" | "connection" (no byte at all) | "headers" (head only)
 */
const DEFAULTS = {
    status: 200,
    headers: {},
    body: null,
    text: 'Is the oven on?',
    recognition: 'Success',
    strings: false,
    seconds: 0,
    empty: false,
    first: 0,
    delay: 0,
    piece: 4096,
    cutAfter: -1,
    holdAfter: -1,
    errorAfter: -1,
    gate: null,
    hang: '',
};

export const TYPES = {
    mp3: 'audio/mpeg',
    opus: 'audio/ogg',
    aac: 'audio/aac',
    flac: 'audio/flac',
    wav: 'audio/wav',
    pcm: 'audio/pcm',
};
const VOICES = 'alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar'.split(' ');
const SPEECH_MEMBERS = ['model', 'input', 'voice', 'instructions', 'response_format', 'speed', 'stream_format'];
const FILE_TYPES = /\.(flac|mp3|mp4|mpeg|mpga|m4a|ogg|wav|webm)$/;
const FILE_MAX = 25 << 20;
export const AZURE_FORMATS = {
    'audio-24khz-48kbitrate-mono-mp3': ['mp3'],
    'audio-24khz-96kbitrate-mono-mp3': ['mp3'],
    'ogg-24khz-16bit-mono-opus': ['opus'],
    'raw-8khz-16bit-mono-pcm': ['pcm', 8000],
    'raw-16khz-16bit-mono-pcm': ['pcm', 16000],
    'raw-22050hz-16bit-mono-pcm': ['pcm', 22050],
    'raw-24khz-16bit-mono-pcm': ['pcm', 24000],
    'raw-44100hz-16bit-mono-pcm': ['pcm', 44100],
    'raw-48khz-16bit-mono-pcm': ['pcm', 48000],
};

/** A request that the service would refuse. */
class Refusal extends Error {
    constructor(status, message, param = null) {
        super(message);
        this.status = status;
        this.body = errorBody(message, 'invalid_request_error', null, param);
    }
}

/** As long as somebody takes to say it. */
export const secondsOf = (text, speed) => Math.max(0.3, (text.length * 0.06) / speed);

function checkSpeech(rq) {
    const body = rq.body;
    const unknown = Object.keys(body).filter((key) => !SPEECH_MEMBERS.includes(key));
    if (unknown.length) {
        throw new Refusal(400, `Unknown parameter: '${unknown[0]}'.`, unknown[0]);
    }
    if (typeof body.model !== 'string' || typeof body.input !== 'string' || body.input === '') {
        throw new Refusal(400, 'model and input are required');
    }
    if ([...body.input].length > 4096) {
        throw new Refusal(400, 'Input should have at most 4096 characters', 'input');
    }
    if (!VOICES.includes(body.voice) && !/^voice_/.test(body.voice?.id ?? '')) {
        throw new Refusal(400, `Invalid voice: ${JSON.stringify(body.voice)}`, 'voice');
    }
    const speed = body.speed ?? 1;
    if (!(speed >= 0.25 && speed <= 4)) {
        throw new Refusal(400, 'speed must be between 0.25 and 4', 'speed');
    }
    if (!(body.response_format in TYPES) && body.response_format !== undefined) {
        throw new Refusal(400, 'Invalid response_format', 'response_format');
    }
}

/** Fills in rq.fields and rq.file, and rq.wav when the file is one. */
function readTranscription(rq) {
    let form;
    try {
        form = readForm(rq.headers['content-type'], rq.bytes);
    } catch (error) {
        throw new Refusal(400, `Could not parse multipart form: ${error.message}`);
    }
    rq.fields = Object.fromEntries(form.fields);
    rq.file = form.files.get('file');
    if (!rq.file || !rq.fields.model) {
        throw new Refusal(400, 'file and model are required');
    }
    if (!FILE_TYPES.test(rq.file.filename)) {
        throw new Refusal(400, `Invalid file format: ${rq.file.filename}`, 'file');
    }
    if (rq.file.data.length > FILE_MAX) {
        throw new Refusal(413, 'Maximum content size limit (26214400) exceeded');
    }
    if (rq.file.filename.endsWith('.wav')) {
        try {
            rq.wav = readWav(rq.file.data);
        } catch (error) {
            throw new Refusal(400, `Audio file might be corrupted or unsupported (${error.message})`, 'file');
        }
    }
    if (rq.wav && rq.wav.seconds < 0.1) {
        throw new Refusal(400, 'Audio file is too short. Minimum audio length is 0.1 seconds.', 'file');
    }
}

const asEvent = (json) => Buffer.from(`data: ${JSON.stringify(json)}\n\n`);

/** The transcript's events, a word each. */
function transcriptEvents(text) {
    const words = text.match(/\S+\s*|\s+/g) ?? [];
    return [
        ...words.map((delta) => asEvent({ type: 'transcript.text.delta', delta })),
        asEvent({ type: 'transcript.text.done', text, usage: { type: 'tokens', total_tokens: words.length } }),
    ];
}

export function slices(bytes, size) {
    const pieces = [];
    for (let at = 0; at < bytes.length; at += size) {
        pieces.push(bytes.subarray(at, at + size));
    }
    return pieces;
}

export class Speech extends EventEmitter {
    constructor({ key = 'sk-test' } = {}) {
        super();
        this.setMaxListeners(0);
        this.key = key;
        this.forget();
        this.server = http.createServer((req, res) => this.#handle(req, res));
        this.server.on('upgrade', (rq, socket, head) => this.upgrade(rq, socket, head));
        this.server.keepAliveTimeout = 0;
    }

    async listen(port = 0) {
        this.server.listen(port, '127.0.0.1');
        await once(this.server, 'listening');
        this.port = this.server.address().port;
        return this;
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    next(plan) {
        this.queue.push(plan);
        return this;
    }

    /** The nth request (from 1), as soon as it is complete. */
    async request(n) {
        while (this.requests.length < n) {
            await once(this, 'request');
        }
        return this.requests[n - 1];
    }

    forget() {
        this.requests = [];
        this.queue = [];
        this.always = {};
    }

    async close() {
        this.server.close();
        this.server.closeAllConnections();
        await once(this.server, 'close');
    }

    /** There are no WebSockets here; azure_speech_socket.mjs has them. */
    upgrade(rq, socket) {
        socket.on('error', () => {}).end('HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    }

    async #handle(req, res) {
        const url = new URL(req.url, this.url);
        const rq = {
            method: req.method,
            path: url.pathname,
            query: Object.fromEntries(url.searchParams),
            headers: req.headers,
            sent: 0,
        };
        rq.ended = new Promise((resolve) => {
            res.on('close', () => resolve({ closedEarly: !res.writableFinished }));
        });
        try {
            const chunks = [];
            for await (const chunk of req) {
                chunks.push(chunk);
            }
            rq.bytes = Buffer.concat(chunks);
            this.requests.push(rq);
            rq.plan = { ...DEFAULTS, ...(this.queue.shift() ?? this.always) };
            this.emit('request', rq);
            await this.#route(rq, res);
        } catch (error) {
            if (error instanceof Refusal) {
                res.writeHead(error.status, { 'content-type': 'application/json' }).end(error.body);
            } else if (!res.destroyed && !req.destroyed) {
                throw error;
            }
        }
    }

    async #route(rq, res) {
        const openai = /^(?:\/openai)?\/v1(\/audio\/(?:speech|transcriptions))$/.exec(rq.path);
        const dated = /^\/openai\/deployments\/([^/]+)(\/audio\/(?:speech|transcriptions))$/.exec(rq.path);
        const recognition = /^\/speech\/recognition\/(?:interactive|conversation|dictation)\/cognitiveservices\/v1$/;
        if (rq.method !== 'POST') {
            throw new Refusal(405, `Not allowed: ${rq.method}`);
        }
        if (openai || dated) {
            rq.deployment = dated && decodeURIComponent(dated[1]);
            this.#checkOpenai(rq);
            const operation = openai?.[1] ?? dated[2];
            await (operation === '/audio/speech' ? this.#speech(rq, res) : this.#transcription(rq, res));
        } else if (rq.path === '/cognitiveservices/v1') {
            await this.#azureSpeech(rq, res);
        } else if (recognition.test(rq.path)) {
            await this.#azureRecognition(rq, res);
        } else {
            throw new Refusal(404, `Invalid URL (POST ${rq.path})`);
        }
    }

    #checkOpenai(rq) {
        const azure = rq.path.startsWith('/openai/');
        const key = azure ? rq.headers['api-key'] : rq.headers.authorization?.replace(/^Bearer /, '');
        if (rq.deployment && !rq.query['api-version']) {
            throw new Refusal(404, 'Resource not found');
        }
        if (key !== this.key) {
            throw new Refusal(401, azure ? 'Access denied due to invalid subscription key.' : `Incorrect API key: ${key}.`);
        }
    }

    async #speech(rq, res) {
        rq.body = JSON.parse(rq.bytes.toString());
        checkSpeech(rq);
        const format = rq.body.response_format ?? 'mp3';
        const seconds = rq.plan.seconds || secondsOf(rq.body.input, rq.body.speed ?? 1);
        const pieces = rq.plan.empty ? [] : slices(audio(format, seconds), rq.plan.piece);
        await this.#answer(rq, res, TYPES[format], pieces);
    }

    async #transcription(rq, res) {
        readTranscription(rq);
        const { text } = rq.plan;
        const format = rq.fields.response_format ?? 'json';
        if (rq.fields.stream === 'true' && /transcribe/.test(rq.fields.model)) {
            await this.#answer(rq, res, 'text/event-stream', transcriptEvents(text));
        } else if (format === 'text') {
            await this.#answer(rq, res, 'text/plain', [Buffer.from(`${text}\n`)]);
        } else {
            const usage = { type: 'duration', seconds: Math.ceil(rq.wav?.seconds ?? 1) };
            await this.#answer(rq, res, 'application/json', [Buffer.from(JSON.stringify({ text, usage }))]);
        }
    }

    /** Azure Speech says little when it refuses: often nothing at all. */
    #checkAzureSpeech(rq, res) {
        const token = rq.headers['ocp-apim-subscription-key'] ?? rq.headers.authorization?.replace(/^Bearer /, '');
        const status = token === undefined ? 403 : token === this.key ? 200 : 401;
        if (status !== 200) {
            res.writeHead(status).end();
        }
        return status === 200;
    }

    async #azureSpeech(rq, res) {
        const format = AZURE_FORMATS[rq.headers['x-microsoft-outputformat']];
        if (!this.#checkAzureSpeech(rq, res)) {
            return;
        }
        if (rq.headers['content-type'] !== 'application/ssml+xml') {
            res.writeHead(415).end();
            return;
        }
        try {
            rq.ssml = readSsml(rq.bytes.toString());
        } catch (error) {
            rq.error = error;
        }
        if (!rq.ssml || !format || !rq.headers['user-agent'] || !/^[a-z]+-[\w-]+Neural$/i.test(rq.ssml.voice)) {
            res.writeHead(400).end();
            return;
        }
        const seconds = rq.plan.seconds || secondsOf(rq.ssml.text, 1 + parseInt(rq.ssml.rate ?? '0', 10) / 100);
        const pieces = rq.plan.empty ? [] : slices(audio(format[0], seconds, format[1]), rq.plan.piece);
        await this.#answer(rq, res, TYPES[format[0]], pieces);
    }

    async #azureRecognition(rq, res) {
        if (!this.#checkAzureSpeech(rq, res)) {
            return;
        }
        try {
            rq.wav = readWav(rq.bytes);
        } catch (error) {
            rq.error = error;
        }
        const type = rq.headers['content-type'];
        if (!rq.query.language || type !== 'audio/wav; codecs=audio/pcm; samplerate=16000' || rq.wav?.rate !== 16000) {
            res.writeHead(400).end();
            return;
        }
        if (rq.wav.seconds > 60) {
            res.writeHead(413).end();
            return;
        }
        await this.#answer(rq, res, 'application/json', [Buffer.from(JSON.stringify(this.#recognized(rq)))]);
    }

    #recognized(rq) {
        const number = (value) => (rq.plan.strings ? String(value) : value);
        const heard = rq.plan.recognition === 'Success' ? rq.plan.text : '';
        const result = {
            RecognitionStatus: rq.plan.recognition,
            Offset: number(0),
            Duration: number(Math.round(rq.wav.seconds * 1e7)),
        };
        if (rq.query.format !== 'detailed') {
            return { ...result, DisplayText: heard };
        }
        const best = { Confidence: number(0.93), Lexical: heard.toLowerCase(), ITN: heard, MaskedITN: heard, Display: heard };
        return heard ? { ...result, NBest: [best] } : result;
    }

    /** Writes the pieces as the plan says: whole, slowly, in part, or something else. */
    async #answer(rq, res, type, pieces) {
        const { plan } = rq;
        if (plan.hang === 'connection') {
            return;
        }
        if (plan.first) {
            await sleep(plan.first);
        }
        if (plan.body !== null || plan.status !== 200) {
            res.writeHead(plan.status, { 'content-type': 'application/json', ...plan.headers }).end(plan.body ?? '');
            return;
        }
        res.writeHead(200, { 'content-type': type, ...plan.headers });
        res.flushHeaders();
        if (plan.hang === 'headers') {
            return;
        }
        for (let i = 0; i <= pieces.length && !res.destroyed; i++) {
            if (i === plan.cutAfter) {
                await new Promise((sent) => res.write('', sent));
                res.destroy();
                return;
            }
            if (i === plan.errorAfter) {
                res.end(asEvent({ error: { message: 'The service stumbled', type: 'server_error' } }));
                return;
            }
            if (i === plan.holdAfter) {
                await plan.gate;
            }
            if (i < pieces.length) {
                await this.#write(rq, res, pieces[i]);
            }
        }
        res.end();
    }

    async #write(rq, res, piece) {
        const room = res.write(piece);
        rq.sent++;
        if (rq.plan.delay) {
            await sleep(rq.plan.delay);
        } else if (!room) {
            await new Promise((resolve) => res.once('drain', resolve).once('close', resolve));
        } else {
            await new Promise(setImmediate);
        }
    }
}

export function startSpeech(options = {}) {
    return new Speech(options).listen(options.port ?? 0);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
    const speech = await startSpeech({ port: Number(process.env.PORT ?? 9098), key: process.env.KEY ?? 'sk-test' });
    console.log(`listening on ${speech.url}, key ${speech.key}`);
}
