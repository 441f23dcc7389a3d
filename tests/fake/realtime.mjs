// Stand-in for realtime voice in the cloud, on a port of its own: OpenAI's /v1/realtime, Azure OpenAI's current form
// (/openai/v1/realtime) and its preview form (/openai/realtime), which speaks the older names.
//   const realtime = await startRealtime({ key: 'sk-test', tls: { cert, key } });
//   realtime.next({ fragment: 100 });                      // the next session only; several calls queue up
//   realtime.always = { hang: 'opening' };                 // when nothing is queued
//   const session = await realtime.session(1);             // the first one, as soon as it is there
//   const append = await session.event('input_audio_buffer.append');   // what the client sent, one after the other
//   await session.hear('Is the oven on?');                 // as if somebody had spoken
//   await session.closed;                                  // -> { code, reason }
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { WebSocketServer } from 'ws';
import { errorBody } from './plan.mjs';
import { pcm } from './tone.mjs';

/** @typedef {object} Plan
 * @property {string} hang      "" | "opening" (the upgrade is never answered) | "events" (nothing is said after it)
 * @property {Promise<void>|null} gate  what the upgrade waits for
 * @property {number} status    of an answer in place of the upgrade
 * @property {string|null} body of that answer
 * @property {object} headers   of that answer
 * @property {object|null} refusal  { type, code, message, close }: told in-band, then the socket is closed
 * @property {number} fragment  bytes per frame of what is sent; 0: one frame each
 * @property {boolean} late     `type` is the last member of an event
 * @property {number} seconds   of audio in a reply
 * @property {string} text      of a reply
 */
const DEFAULTS = {
    hang: '',
    gate: null,
    status: 101,
    body: null,
    headers: {},
    refusal: null,
    fragment: 0,
    late: false,
    seconds: 0.4,
    text: 'The oven is off.',
};

const MODELS = /^gpt-(realtime|4o-realtime-preview|4o-mini-realtime-preview)/;
const MINIMUM = 4800; // bytes of 100 ms
const DELTA = 4800;
const PREVIEW_NAMES = [
    [/^response\.output_text\./, 'response.text.'],
    [/^response\.output_audio\./, 'response.audio.'],
    [/^response\.output_audio_transcript\./, 'response.audio_transcript.'],
    [/^conversation\.item\.added$/, 'conversation.item.created'],
];

/** The event's name in the preview form. */
function previewName(type) {
    const [now, then] = PREVIEW_NAMES.find(([name]) => name.test(type)) ?? [/^/, ''];
    return type.replace(now, then);
}

let ids = 0;
const newId = (kind) => `${kind}_${(++ids).toString(36).padStart(12, '0')}`;

const refusals = {
    key: (key) => ({
        type: 'invalid_request_error',
        code: 'invalid_api_key',
        message: `Incorrect API key provided: ${key}. You can find your API key in your account.`,
        close: 3000,
    }),
    missingModel: { type: 'invalid_request_error', code: 'missing_model', message: 'You must provide a model.', close: 4000 },
    invalidModel: { type: 'invalid_request_error', code: 'invalid_model', message: 'No model with this intent.', close: 4000 },
    unknownModel: (model) => ({
        type: 'invalid_request_error',
        code: 'model_not_found',
        message: `The model ${model} does not exist or you do not have access to it.`,
        close: 4004,
    }),
    preview: {
        type: 'invalid_request_error',
        code: 'beta_api_shape_disabled',
        message: 'The preview form is not served any more.',
        close: 4000,
    },
};

/** One client of the service. `received` has its events, parsed; `messages` everything as it came. */
export class Session extends EventEmitter {
    constructor(ws, request, plan) {
        super();
        this.setMaxListeners(0);
        Object.assign(this, { ws, request, plan, messages: [], received: [], audio: [], response: null, pongs: 0 });
        this.taken = {};
        this.items = [];
        this.config = { type: request.query.intent === 'transcription' ? 'transcription' : 'realtime' };
        this.closed = new Promise((resolve) => {
            ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
        });
        ws.on('error', () => {});
        ws.on('pong', () => {
            this.pongs++;
            this.emit('pong');
        });
        ws.on('message', (data, binary) => this.#receive(data, binary));
        if (!plan.hang) {
            this.#open();
        }
    }

    #open() {
        if (this.plan.refusal) {
            const { type, code, message, close } = this.plan.refusal;
            this.error(code, message, { type });
            this.ws.close(close, `${type}.${code}`);
            return;
        }
        const model = this.request.query.model ?? this.request.query.deployment;
        const session = { ...this.config, object: 'realtime.session', id: newId('sess'), model };
        this.send({ type: 'session.created', session: { ...session, expires_at: Math.floor(Date.now() / 1000) + 3600 } });
        if (this.request.preview) {
            this.send({ type: 'conversation.created', conversation: { id: newId('conv') } });
        }
    }

    /** An event, with an id; `type` last when the plan says so. */
    send(event) {
        const { type, ...rest } = event;
        const named = this.request.preview ? previewName(type) : type;
        const id = { event_id: newId('event') };
        this.raw(JSON.stringify(this.plan.late ? { ...id, ...rest, type: named } : { type: named, ...id, ...rest }));
    }

    /** The text as it is, in frames as the plan has them. */
    raw(text, { fragment = this.plan.fragment } = {}) {
        const bytes = Buffer.from(text);
        if (!fragment) {
            this.ws.send(text);
            return;
        }
        for (let at = 0; at < bytes.length || at === 0; at += fragment) {
            const fin = at + fragment >= bytes.length;
            this.ws.send(bytes.subarray(at, at + fragment), { binary: false, fin });
        }
    }

    error(code, message, { type = 'invalid_request_error', param = null, eventId = null } = {}) {
        this.send({ type: 'error', error: { type, code, message, param, event_id: eventId } });
    }

    #receive(data, binary) {
        this.messages.push({ data, binary });
        this.emit('message');
        if (this.plan.hang) {
            return;
        }
        if (binary) {
            this.error('invalid_event', 'Binary messages are not taken.');
            return;
        }
        let event;
        try {
            event = JSON.parse(data.toString());
        } catch {
            this.error('invalid_json', 'The event is no JSON.');
            return;
        }
        this.received.push(event);
        this.#handle(event);
        this.emit('event', event);
    }

    #handle(event) {
        const handlers = {
            'session.update': () => this.#update(event),
            'input_audio_buffer.append': () => this.audio.push(Buffer.from(event.audio, 'base64')),
            'input_audio_buffer.commit': () => this.#commit(event),
            'input_audio_buffer.clear': () => {
                this.audio = [];
                this.send({ type: 'input_audio_buffer.cleared' });
            },
            'conversation.item.create': () => this.#add(event.item),
            'response.create': () => this.respond(event.response, event.event_id),
            'response.cancel': () => this.cancel('client_cancelled'),
        };
        if (handlers[event.type]) {
            handlers[event.type]();
        } else {
            this.error('invalid_value', `Invalid value: '${event.type}'.`, { param: 'type', eventId: event.event_id ?? null });
        }
    }

    #update({ session, event_id: eventId = null }) {
        const kinds = ['realtime', 'transcription'];
        if (!this.request.preview && !kinds.includes(session?.type)) {
            this.error('missing_required_parameter', "Missing required parameter: 'session.type'.", { eventId });
            return;
        }
        if (this.request.preview && session?.type !== undefined) {
            this.error('unknown_parameter', "Unknown parameter: 'session.type'.", { eventId });
            return;
        }
        Object.assign(this.config, session);
        this.send({ type: 'session.updated', session: { object: 'realtime.session', ...this.config } });
    }

    #commit({ event_id: eventId = null }) {
        const bytes = this.audio.reduce((sum, piece) => sum + piece.length, 0);
        if (bytes < MINIMUM) {
            const message = 'Error committing input audio buffer: buffer too small. Expected at least 100ms of audio.';
            this.error('input_audio_buffer_commit_empty', message, { eventId });
            return;
        }
        this.audio = [];
        this.#committed('');
    }

    #committed(text) {
        const id = newId('item');
        const content = [{ type: 'input_audio', transcript: null }];
        this.send({ type: 'input_audio_buffer.committed', previous_item_id: this.items.at(-1) ?? null, item_id: id });
        this.#add({ id, type: 'message', role: 'user', content });
        for (const delta of text.match(/\S+\s*/g) ?? []) {
            this.send({ type: 'conversation.item.input_audio_transcription.delta', item_id: id, content_index: 0, delta });
        }
        const usage = { type: 'duration', seconds: 1 };
        const completed = { item_id: id, content_index: 0, transcript: text, usage };
        this.send({ type: 'conversation.item.input_audio_transcription.completed', ...completed });
    }

    #add(item) {
        const whole = { id: newId('item'), object: 'realtime.item', status: 'completed', ...item };
        const previous = this.items.at(-1) ?? null;
        this.items.push(whole.id);
        this.send({ type: 'conversation.item.added', previous_item_id: previous, item: whole });
        if (!this.request.preview) {
            this.send({ type: 'conversation.item.done', previous_item_id: previous, item: whole });
        }
        return whole;
    }

    /** Somebody speaks, and is understood; with `answer` the reply follows, as with server VAD. */
    hear(text, { answer = true } = {}) {
        const id = newId('item');
        this.send({ type: 'input_audio_buffer.speech_started', audio_start_ms: 100, item_id: id });
        if (this.response) {
            this.cancel('turn_detected');
        }
        this.send({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: 900, item_id: id });
        this.#committed(text);
        if (answer) {
            this.respond();
        }
    }

    #responseObject(status, more = {}) {
        const modalities = { output_modalities: this.config.output_modalities ?? ['audio'] };
        return { object: 'realtime.response', id: this.response, status, ...modalities, output: [], usage: null, ...more };
    }

    /** A whole reply, in the documented order; `hold`: only its beginning, then it goes on until cancel(). */
    respond(wanted = {}, eventId = null, { hold = false } = {}) {
        if (this.response) {
            const message = `Conversation already has an active response in progress: ${this.response}.`;
            this.error('conversation_already_has_active_response', message, { eventId });
            return;
        }
        this.response = newId('resp');
        const modalities = wanted?.output_modalities ?? this.config.output_modalities ?? this.config.modalities ?? ['audio'];
        const kind = modalities.includes('audio') ? 'audio' : 'text';
        const item = { id: newId('item'), object: 'realtime.item', type: 'message', role: 'assistant', content: [] };
        const ids = { response_id: this.response, item_id: item.id, output_index: 0, content_index: 0 };
        const part = { type: `output_${kind}` };
        this.send({ type: 'response.created', response: this.#responseObject('in_progress') });
        this.send({ type: 'response.output_item.added', response_id: this.response, output_index: 0, item });
        this.send({ type: 'conversation.item.added', previous_item_id: this.items.at(-1) ?? null, item });
        this.send({ type: 'response.content_part.added', ...ids, part });
        this.#say(kind, ids);
        if (!hold) {
            this.#finish(kind, ids, item, part);
        }
    }

    #say(kind, ids) {
        const words = this.plan.text.match(/\S+\s*/g) ?? [];
        if (kind === 'text') {
            words.forEach((delta) => this.send({ type: 'response.output_text.delta', ...ids, delta }));
            return;
        }
        const sound = pcm(this.plan.seconds);
        for (let at = 0, word = 0; at < sound.length; at += DELTA) {
            if (word < words.length) {
                this.send({ type: 'response.output_audio_transcript.delta', ...ids, delta: words[word++] });
            }
            const delta = sound.subarray(at, at + DELTA).toString('base64');
            this.send({ type: 'response.output_audio.delta', ...ids, delta });
        }
    }

    #finish(kind, ids, item, part) {
        const { text } = this.plan;
        if (kind === 'text') {
            this.send({ type: 'response.output_text.done', ...ids, text });
        } else {
            this.send({ type: 'response.output_audio.done', ...ids });
            this.send({ type: 'response.output_audio_transcript.done', ...ids, transcript: text });
        }
        this.send({ type: 'response.content_part.done', ...ids, part });
        const done = { ...item, status: 'completed' };
        this.items.push(item.id);
        this.send({ type: 'conversation.item.done', previous_item_id: null, item: done });
        this.send({ type: 'response.output_item.done', response_id: ids.response_id, output_index: 0, item: done });
        this.#done('completed', { output: [done], usage: { total_tokens: 20, input_tokens: 8, output_tokens: 12 } });
        this.send({ type: 'rate_limits.updated', rate_limits: [] });
    }

    #done(status, more) {
        this.send({ type: 'response.done', response: this.#responseObject(status, more) });
        this.response = null;
    }

    cancel(reason) {
        if (!this.response) {
            this.error('response_cancel_not_active', 'Cancellation failed: no active response found');
            return;
        }
        this.#done('cancelled', { status_details: { type: 'cancelled', reason } });
    }

    /** The next event of this type that the client sent and that was not taken yet. */
    async event(type) {
        for (;;) {
            const all = this.received.filter((event) => event.type === type);
            const at = this.taken[type] ?? 0;
            if (at < all.length) {
                this.taken[type] = at + 1;
                return all[at];
            }
            await Promise.race([once(this, 'event'), this.#ended(type)]);
        }
    }

    /** The nth message (from 1), of any kind: { data, binary }. */
    async message(n) {
        while (this.messages.length < n) {
            await Promise.race([once(this, 'message'), this.#ended(`message ${n}`)]);
        }
        return this.messages[n - 1];
    }

    async #ended(what) {
        const { code } = await this.closed;
        throw new Error(`the client closed (${code}) before ${what}`);
    }

    /** Resolves once the client answered a ping. */
    async ping() {
        const pong = once(this, 'pong');
        this.ws.ping('are you there?');
        await pong;
    }

    close(code, reason) {
        this.ws.close(code, reason);
    }

    /** Gone without a word. */
    vanish() {
        this.ws.terminate();
    }

    /** Stops and continues reading what the client sends. */
    stall(stalled) {
        if (stalled) {
            this.ws._socket.pause();
        } else {
            this.ws._socket.resume();
        }
    }
}

export class Realtime extends EventEmitter {
    constructor({ key = 'sk-test', tls = null } = {}) {
        super();
        this.setMaxListeners(0);
        Object.assign(this, { key, secure: !!tls, sockets: new Set() });
        this.forget();
        this.server = tls ? https.createServer(tls) : http.createServer();
        this.acceptor = new WebSocketServer({ noServer: true, maxPayload: 1 << 28, perMessageDeflate: false });
        this.server.on('request', (req, res) => res.writeHead(404).end());
        this.server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket, head));
        this.server.on('connection', (socket) => {
            this.sockets.add(socket);
            socket.on('close', () => this.sockets.delete(socket));
        });
        this.server.on('tlsClientError', () => {});
    }

    async listen(port = 0) {
        this.server.listen(port, '127.0.0.1');
        await once(this.server, 'listening');
        this.port = this.server.address().port;
        return this;
    }

    get url() {
        return `${this.secure ? 'https' : 'http'}://127.0.0.1:${this.port}`;
    }

    /** Environment that points the server here. */
    get openaiEnv() {
        return { REALTIME_PROVIDER: 'openai', OPENAI_API_KEY: this.key, OPENAI_BASE_URL: `${this.url}/v1` };
    }

    get azureEnv() {
        return {
            REALTIME_PROVIDER: 'azure',
            AZURE_OPENAI_ENDPOINT: `${this.url}/`,
            AZURE_OPENAI_API_KEY: this.key,
            AZURE_OPENAI_DEPLOYMENT: 'o4-mini',
            AZURE_OPENAI_REALTIME_DEPLOYMENT: 'talk',
        };
    }

    next(plan) {
        this.queue.push(plan);
        return this;
    }

    forget() {
        this.sessions = [];
        this.queue = [];
        this.always = {};
        this.upgrades = [];
    }

    /** The nth session (from 1), as soon as it is there. */
    async session(n) {
        while (this.sessions.length < n) {
            await once(this, 'session');
        }
        return this.sessions[n - 1];
    }

    /** The nth upgrade that was asked for (from 1), answered or not: { gone }, which resolves with its connection's end. */
    async upgraded(n) {
        while (this.upgrades.length < n) {
            await once(this, 'upgrade');
        }
        return this.upgrades[n - 1];
    }

    async close() {
        const closed = once(this.server, 'close');
        this.server.close();
        this.sockets.forEach((socket) => socket.destroy());
        await closed;
    }

    #read(req) {
        const url = new URL(req.url, this.url);
        const bearer = req.headers.authorization?.replace(/^Bearer /, '');
        const protocols = (req.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
        const inProtocol = protocols.find((p) => p.startsWith('openai-insecure-api-key.'))?.slice(24);
        const query = Object.fromEntries(url.searchParams);
        const azure = url.pathname.startsWith('/openai/');
        const key = (azure ? req.headers['api-key'] ?? query['api-key'] : undefined) ?? bearer ?? inProtocol;
        const preview = url.pathname === '/openai/realtime';
        return { path: url.pathname, query, headers: req.headers, key, azure, preview, protocols };
    }

    /** What the service itself has against the request: a plan, or none. */
    #objection(request) {
        const { path, query, headers, azure, preview } = request;
        if (azure) {
            const wrongQuery = preview ? !query['api-version'] || !query.deployment : !!query['api-version'] || !query.model;
            const refuse = (status, message) => ({ status, body: errorBody(message, 'invalid_request_error', `${status}`) });
            if (!['/openai/realtime', '/openai/v1/realtime'].includes(path) || (wrongQuery && !query.intent && !query.call_id)) {
                return refuse(404, 'Resource not found');
            }
            if (request.key !== this.key) {
                return refuse(401, `Access denied due to invalid subscription key ${request.key}`);
            }
            return (query.deployment ?? query.model) === 'nowhere' ? refuse(404, 'DeploymentNotFound') : {};
        }
        if (path !== '/v1/realtime') {
            return { status: 404, body: errorBody(`Invalid URL (GET ${path})`, 'invalid_request_error', null) };
        }
        if (request.key !== this.key) {
            return { refusal: refusals.key(request.key) };
        }
        if (headers['openai-beta'] || request.protocols.includes('openai-beta.realtime-v1')) {
            return { refusal: refusals.preview };
        }
        if (query.intent === 'transcription' || query.call_id) {
            return query.model ? { refusal: refusals.invalidModel } : {};
        }
        if (!query.model) {
            return { refusal: refusals.missingModel };
        }
        return MODELS.test(query.model) ? {} : { refusal: refusals.unknownModel(query.model) };
    }

    async #upgrade(req, socket, head) {
        const request = this.#read(req);
        const scripted = this.queue.shift() ?? this.always;
        const plan = { ...DEFAULTS, ...this.#objection(request), ...scripted };
        request.gone = new Promise((resolve) => {
            socket.on('close', resolve);
        });
        this.upgrades.push(request);
        this.emit('upgrade');
        socket.on('error', () => {});
        if (plan.hang === 'opening') {
            socket.on('end', () => socket.end());
            socket.resume();
            return;
        }
        await plan.gate;
        if (plan.status !== 101) {
            this.#answer(socket, plan);
            return;
        }
        this.acceptor.handleUpgrade(req, socket, head, (ws) => {
            const session = new Session(ws, request, plan);
            this.sessions.push(session);
            this.emit('session', session);
        });
    }

    #answer(socket, { status, body, headers }) {
        const text = body ?? '';
        const all = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), connection: 'close', ...headers };
        const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
        socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${text}`);
    }
}

export function startRealtime(options = {}) {
    return new Realtime(options).listen(options.port ?? 0);
}
