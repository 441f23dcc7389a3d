// Stand-in for Azure Speech over WebSocket, beside what speech.mjs answers on the same port: recognition with what was
// understood so far, and synthesis. A turn is one utterance, or one text that is spoken.
//   const speech = await startAzureSpeech({ key });
//   speech.nextTurn({ hypotheses: ['where is'], phrases: ['Where is my order?'] });  // several calls queue up
//   speech.alwaysTurn = { phrases: [{ status: 'NoMatch' }] };                        // when nothing is queued
//   speech.refuse({ status: 401 });                                                  // the next handshake
//   const turn = await speech.turn(1);                                               // the first turn, once it began
//   await turn.ended;
// Whatever a client sends against the protocol closes its socket (1002) and is in speech.violations: empty at the end.
import { once } from 'node:events';
import { WebSocketServer } from 'ws';
import { AZURE_FORMATS, Speech, TYPES, secondsOf, slices } from './speech.mjs';
import { readSsml } from './ssml.mjs';
import { audio } from './tone.mjs';

/** @typedef {object} Turn
 * @property {string[]} hypotheses       said one by one, with every further message of audio
 * @property {(string|object)[]} phrases said at the end of the audio: text, or { status, text, confidence }
 * @property {number} early              so many of them are said before, behind the hypotheses
 * @property {boolean} endEarly          then the turn ends, although audio is to come
 * @property {boolean} strings           numbers are written as strings
 * @property {boolean} tight             headers have no space behind the colon, and lower-case names
 * @property {number} fragment           bytes of a WebSocket frame; 0: whole messages
 * @property {number} cutAfter           messages of audio before the connection is cut; -1: none
 * @property {number} closeAfter         messages of audio before it is closed with `close`; -1: none
 * @property {[number, string]} close    code and reason
 * @property {boolean} silent            nothing is ever said
 * @property {string[]} raw              messages sent as they are, at the end of the audio
 * @property {Promise<void>|null} gate   awaited before the phrases at the end
 * @property {number} holdAfter          pieces of synthesized audio before waiting for `gate`; -1: never
 */
const DEFAULTS = {
    hypotheses: ['is the', 'is the oven'],
    phrases: ['Is the oven on?'],
    early: 0,
    endEarly: false,
    strings: false,
    tight: false,
    fragment: 0,
    cutAfter: -1,
    closeAfter: -1,
    close: [1011, 'The service stumbled'],
    silent: false,
    raw: [],
    gate: null,
    holdAfter: -1,
};

const RECOGNITION = /^\/speech\/recognition\/(interactive|conversation|dictation)\/cognitiveservices\/v1$/;
const SYNTHESIS = '/tts/cognitiveservices/websocket/v1';
const HEX = /^[0-9a-f]{32}$/i;
const HEADERS_MAX = 8192;
const AUDIO_MAX = 64 * 1024;

class Violation extends Error {}

function check(condition, what) {
    if (!condition) {
        throw new Violation(what);
    }
}

function readHeaders(text) {
    const headers = {};
    for (const line of text.split('\r\n').filter(Boolean)) {
        const [, name, value] = /^([\w-]+):\s*(.*?)\s*$/.exec(line) ?? [];
        check(name && !(name.toLowerCase() in headers), `the header ${JSON.stringify(line)}`);
        headers[name.toLowerCase()] = value;
    }
    return headers;
}

/** { binary, headers, body } of a message; throws when it is none. */
export function readMessage(data, binary) {
    if (!binary) {
        const text = data.toString();
        const end = text.indexOf('\r\n\r\n');
        check(end > 0, 'a text message without an end of its headers');
        return { binary, headers: readHeaders(text.slice(0, end)), body: text.slice(end + 4) };
    }
    check(data.length >= 2, 'a binary message without the length of its headers');
    const length = data.readUInt16BE(0);
    check(length <= HEADERS_MAX && length <= data.length - 2, `headers of ${length} in ${data.length} bytes`);
    const text = data.toString('latin1', 2, 2 + length);
    check(text.endsWith('\r\n') && !text.endsWith('\r\n\r\n'), 'headers with a wrong end');
    return { binary, headers: readHeaders(text), body: data.subarray(2 + length) };
}

/** What the client says of its PCM; throws when the service could not use it. */
function readHead(head) {
    check(head.length === 44 && head.toString('latin1', 0, 4) === 'RIFF', `a WAV head of ${head.length} bytes`);
    check(head.toString('latin1', 8, 16) === 'WAVEfmt ' && head.toString('latin1', 36, 40) === 'data', 'a WAV head');
    const [format, channels, bits] = [20, 22, 34].map((at) => head.readUInt16LE(at));
    const rate = head.readUInt32LE(24);
    check(format === 1 && channels === 1 && rate === 16000 && bits === 16, `WAV of ${[format, channels, rate, bits]}`);
    check(head.readUInt32LE(28) === rate * 2 && head.readUInt16LE(32) === 2, 'a WAV head');
    return rate;
}

/** One WebSocket. */
class Line {
    constructor(service, socket, info) {
        Object.assign(this, { service, socket, ...info });
        this.turns = [];
        socket.on('message', (data, binary) => this.#guard(() => this.#message(data, binary)));
        this.closed = once(socket, 'close').then(([code]) => code);
    }

    #guard(work) {
        Promise.resolve()
            .then(work)
            .catch((error) => {
                if (!(error instanceof Violation)) {
                    throw error;
                }
                this.service.violations.push(error.message);
                this.socket.close(1002, error.message.slice(0, 100));
            });
    }

    #message(data, binary) {
        const message = readMessage(data, binary);
        const { path, 'x-requestid': id, 'x-timestamp': timestamp } = message.headers;
        check(path, 'a message without Path');
        check(!Number.isNaN(Date.parse(timestamp)) && timestamp.endsWith('Z'), `X-Timestamp: ${timestamp}`);
        check(binary === (path.toLowerCase() === 'audio'), `${binary ? 'binary' : 'text'} of ${path}`);
        if (path === 'speech.config') {
            check(!this.config, 'a second speech.config');
            this.config = JSON.parse(message.body);
            check(this.config.context?.system?.version && this.config.context.os, 'speech.config without a system');
            return;
        }
        check(this.config, `${path} before speech.config`);
        check(HEX.test(id), `X-RequestId: ${id}`);
        this.#route(path.toLowerCase(), id, message);
    }

    #route(path, id, message) {
        const begins = this.synthesis ? 'synthesis.context' : 'speech.context';
        if (path === begins) {
            this.#begin(id, JSON.parse(message.body));
            return;
        }
        const turn = this.turns.find((one) => one.id === id);
        check(turn, `${path} of an unknown turn`);
        if (path === 'telemetry') {
            turn.telemetry = JSON.parse(message.body);
        } else if (path === 'audio' && !this.synthesis) {
            this.#audio(turn, message);
        } else if (path === 'ssml' && this.synthesis) {
            this.#guard(() => this.#speak(turn, message));
        } else {
            check(false, `a message of ${path}`);
        }
    }

    #begin(id, context) {
        check(!this.turns.some((turn) => turn.id === id), 'a turn with the id of another');
        check(this.turns.every((turn) => turn.over), 'a turn before the other is over');
        const plan = { ...DEFAULTS, ...(this.service.turnQueue.shift() ?? this.service.alwaysTurn) };
        const turn = { line: this, id, context, plan, audio: [], arrivals: [], messages: 0, said: 0, over: false };
        turn.pending = [
            ...plan.hypotheses.map((text) => ['hypothesis', text]),
            ...plan.phrases.slice(0, plan.early).map((phrase) => ['phrase', phrase]),
        ];
        turn.complete = new Promise((resolve) => (turn.markComplete = resolve));
        turn.ended = new Promise((resolve) => (turn.markEnded = resolve));
        this.turns.push(turn);
        this.service.turns.push(turn);
        this.service.emit('turn', turn);
    }

    // ---- recognition ----

    #audio(turn, { headers, body }) {
        const { plan } = turn;
        if (turn.over) {
            return; // it was under way when the turn ended
        }
        if (turn.rate === undefined) {
            check(headers['content-type'] === 'audio/x-wav', `Content-Type: ${headers['content-type']}`);
            turn.rate = readHead(body);
            this.#say(turn, 'turn.start', { context: { serviceTag: '0af3' } });
            return;
        }
        check(headers['content-type'] === undefined, 'Content-Type behind the head');
        check(body.length % 2 === 0 && body.length <= AUDIO_MAX, `${body.length} bytes of audio`);
        if (body.length === 0) {
            this.#endOfAudio(turn);
            return;
        }
        check(!turn.finished, 'audio behind its end');
        turn.arrivals.push({ at: performance.now(), bytes: body.length });
        turn.audio.push(body);
        this.service.emit('audio', turn);
        this.#during(turn, turn.messages++, plan);
    }

    #during(turn, n, plan) {
        if (n === plan.cutAfter) {
            this.socket.terminate();
            turn.markEnded();
            return;
        }
        if (n === plan.closeAfter) {
            this.socket.close(...plan.close);
            turn.markEnded();
            return;
        }
        if (n === 0) {
            this.#say(turn, 'speech.startDetected', { Offset: this.#number(turn, 0) });
        }
        const next = turn.pending.shift();
        if (next) {
            this.#tell(turn, ...next);
        } else if (plan.endEarly && !turn.over) {
            this.#end(turn);
        }
    }

    #endOfAudio(turn) {
        if (turn.finished) {
            return; // said twice
        }
        turn.finished = true;
        turn.markComplete();
        this.#guard(async () => {
            await turn.plan.gate;
            turn.pending.forEach((next) => this.#tell(turn, ...next));
            this.#say(turn, 'speech.endDetected', { Offset: this.#number(turn, turn.audio.length * 1e6) });
            turn.plan.phrases.slice(turn.plan.early).forEach((phrase) => this.#tell(turn, 'phrase', phrase));
            turn.plan.raw.forEach((text) => this.#send(turn, text));
            this.#end(turn);
        });
    }

    #number(turn, value) {
        return turn.plan.strings ? String(value) : value;
    }

    #tell(turn, kind, what) {
        const heard = Math.min(turn.audio.length, ++turn.said) * 1e6;
        const where = { Offset: this.#number(turn, 0), Duration: this.#number(turn, heard) };
        if (kind === 'hypothesis') {
            const path = this.mode === 'dictation' ? 'speech.fragment' : 'speech.hypothesis';
            this.#say(turn, path, { Text: what, ...where });
            return;
        }
        const { status = 'Success', text = '', confidence = 0.93 } = typeof what === 'string' ? { text: what } : what;
        const result = { RecognitionStatus: status, ...where };
        const forms = { Lexical: text.toLowerCase(), ITN: text, MaskedITN: text, Display: text };
        const best = { Confidence: this.#number(turn, confidence), ...forms };
        const detailed = this.format === 'detailed';
        this.#say(turn, 'speech.phrase', {
            ...result,
            ...(status !== 'Success' ? {} : detailed ? { NBest: [best] } : { DisplayText: text }),
        });
    }

    // ---- synthesis ----

    async #speak(turn, { headers, body }) {
        check(headers['content-type'] === 'application/ssml+xml', `Content-Type: ${headers['content-type']}`);
        try {
            turn.ssml = readSsml(body);
        } catch (error) {
            check(false, error.message);
        }
        turn.format = turn.context.synthesis?.audio?.outputFormat;
        check(AZURE_FORMATS[turn.format], `outputFormat: ${turn.format}`);
        const [format, rate] = AZURE_FORMATS[turn.format];
        const streamId = turn.id.split('').reverse().join('');
        this.#say(turn, 'turn.start', { context: { serviceTag: '0af3' } });
        this.#say(turn, 'response', { context: { serviceTag: '0af3' }, audio: { type: 'inline', streamId } });
        const pieces = slices(audio(format, secondsOf(turn.ssml.text, 1), rate), 4096);
        for (const [i, piece] of pieces.entries()) {
            if (i === turn.plan.holdAfter) {
                await turn.plan.gate;
            }
            if (i === turn.plan.cutAfter) {
                this.socket.terminate();
                turn.markEnded();
                return;
            }
            this.#sendAudio(turn, streamId, TYPES[format], piece);
        }
        this.#sendAudio(turn, streamId, TYPES[format], Buffer.alloc(0));
        this.#end(turn);
    }

    // ---- what is sent ----

    #end(turn) {
        turn.over = true;
        this.#say(turn, 'turn.end', {});
        turn.markEnded();
    }

    #headers(turn, path, type) {
        const space = turn.plan.tight ? '' : ' ';
        const lines = [`Path:${space}${path}`, `X-RequestId:${space}${turn.id}`, `Content-Type:${space}${type}`];
        return turn.plan.tight ? lines.map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase())) : lines;
    }

    #say(turn, path, body) {
        const lines = this.#headers(turn, path, 'application/json; charset=utf-8');
        this.#send(turn, `${lines.join('\r\n')}\r\n\r\n${JSON.stringify(body)}`);
    }

    #sendAudio(turn, streamId, type, piece) {
        const lines = [...this.#headers(turn, 'audio', type), `X-StreamId:${streamId}`];
        const head = Buffer.from(lines.map((line) => `${line}\r\n`).join(''));
        this.#send(turn, Buffer.concat([Buffer.from([head.length >> 8, head.length & 255]), head, piece]));
    }

    #send(turn, message) {
        const bytes = Buffer.from(message);
        const binary = typeof message !== 'string';
        const pieces = turn.plan.fragment ? slices(bytes, turn.plan.fragment) : [bytes];
        if (turn.plan.silent) {
            return;
        }
        pieces.forEach((piece, i) => this.socket.send(piece, { binary, fin: i === pieces.length - 1 }));
    }
}

export class AzureSpeech extends Speech {
    #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 1 << 20 });

    nextTurn(plan) {
        this.turnQueue.push(plan);
        return this;
    }

    refuse(answer) {
        this.refusals.push(answer);
        return this;
    }

    /** The nth turn (from 1), as soon as it began. */
    async turn(n) {
        while (this.turns.length < n) {
            await once(this, 'turn');
        }
        return this.turns[n - 1];
    }

    /** The nth handshake (from 1), taken or not. */
    async handshake(n) {
        while (this.handshakes.length < n) {
            await once(this, 'handshake');
        }
        return this.handshakes[n - 1];
    }

    forget() {
        super.forget();
        this.turns = [];
        this.handshakes = [];
        this.violations = [];
        this.refusals = [];
        this.turnQueue = [];
        this.alwaysTurn = {};
    }

    async close() {
        this.#sockets.clients.forEach((socket) => socket.terminate());
        await super.close();
    }

    /** Why it is refused, or null. */
    #refusal(rq, query, path) {
        const given = (name) => rq.headers[name.toLowerCase()] ?? query.get(name);
        const token = given('Ocp-Apim-Subscription-Key') ?? given('Authorization')?.replace(/^Bearer /, '');
        const recognition = RECOGNITION.test(path);
        if (!recognition && path !== SYNTHESIS) {
            return { status: 404 };
        }
        if (!HEX.test(given('X-ConnectionId') ?? '') || (recognition && !query.get('language'))) {
            return { status: 400 };
        }
        return token === this.key ? null : { status: token === undefined || token === null ? 403 : 401 };
    }

    upgrade(rq, socket, head) {
        const url = new URL(rq.url, this.url);
        const planned = this.refusals.shift();
        const refusal = planned ?? this.#refusal(rq, url.searchParams, url.pathname);
        socket.on('error', () => {});
        this.handshakes.push({ path: url.pathname, query: Object.fromEntries(url.searchParams), headers: rq.headers, refusal });
        this.emit('handshake');
        if (refusal) {
            const { status, headers = {}, body = '' } = refusal;
            const lines = Object.entries({ ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' });
            socket.end(`HTTP/1.1 ${status} No\r\n${lines.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n${body}`);
            return;
        }
        this.#sockets.handleUpgrade(rq, socket, head, (ws) => {
            const mode = RECOGNITION.exec(url.pathname)?.[1];
            ws.on('error', () => {});
            new Line(this, ws, { mode, synthesis: !mode, format: url.searchParams.get('format') });
        });
    }
}

export function startAzureSpeech(options = {}) {
    return new AzureSpeech(options).listen(options.port ?? 0);
}
