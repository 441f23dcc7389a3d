// Stand-in for a LiveKit server: livekit.RoomService over Twirp (JSON), grants checked, and the sender of webhooks.
//   const livekit = await startLiveKit(t);
//   livekit.next({ status: 500 });                 // the next call only: status, body, hang
//   await livekit.webhook(url, event);             // signed as the server signs
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import http from 'node:http';

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const seconds = () => Math.floor(Date.now() / 1000);

/** A token as RFC 7515 writes it, of any claims. */
export function sign(claims, secret, header = { alg: 'HS256', typ: 'JWT' }) {
    const text = `${encode(header)}.${encode(claims)}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** The claims, or an Error with the text of the refusal. */
function verify(token, key, secret) {
    const [header, claims, mac, more] = token.split('.');
    if (!mac || more !== undefined) {
        throw new Error('invalid authorization token');
    }
    const own = createHmac('sha256', secret).update(`${header}.${claims}`).digest();
    const given = Buffer.from(mac, 'base64url');
    const read = JSON.parse(Buffer.from(claims, 'base64url').toString());
    if (read.iss !== key) {
        throw new Error('invalid API key');
    }
    const signed = given.length === own.length && timingSafeEqual(given, own);
    if (!signed || JSON.parse(Buffer.from(header, 'base64url').toString()).alg !== 'HS256') {
        throw new Error('invalid authorization token: signature');
    }
    if (!(read.exp > seconds() - 60) || read.nbf > seconds() + 60) {
        throw new Error('invalid authorization token: time');
    }
    return read;
}

class Refusal extends Error {
    constructor(status, code, msg) {
        super(msg);
        Object.assign(this, { status, body: { code, msg } });
    }
}

const denied = () => new Refusal(401, 'unauthenticated', 'permissions denied');
const field = (body, snake, camel, fallback) => body[snake] ?? body[camel] ?? fallback;

export class LiveKit extends EventEmitter {
    constructor({ key = 'APItest', secret = 'a-secret-of-livekit-0123456789abcdef' } = {}) {
        super();
        Object.assign(this, { key, secret, rooms: new Map(), calls: [], queue: [], made: 0, events: 0 });
        this.server = http.createServer((req, res) => this.#handle(req, res));
    }

    async listen() {
        this.server.listen(0, '127.0.0.1');
        await once(this.server, 'listening');
        this.port = this.server.address().port;
        return this;
    }

    async close() {
        this.server.close();
        this.server.closeAllConnections?.();
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    get wsUrl() {
        return `ws://127.0.0.1:${this.port}`;
    }

    get env() {
        return { LIVEKIT_WS_URL: this.wsUrl, LIVEKIT_API_KEY: this.key, LIVEKIT_API_SECRET: this.secret };
    }

    next(plan) {
        this.queue.push(plan);
        return this;
    }

    async #handle(req, res) {
        const chunks = [];
        for await (const chunk of req) {
            chunks.push(chunk);
        }
        const plan = this.queue.shift();
        const call = { method: req.method, path: req.url, headers: req.headers, body: Buffer.concat(chunks).toString() };
        call.ended = once(res, 'close');
        this.calls.push(call);
        this.emit('call', call);
        if (plan?.hang) {
            return;
        }
        const [status, type, body] = plan ? [plan.status, 'application/json', plan.body ?? '{}'] : this.#answer(call);
        res.writeHead(status, { 'content-type': type });
        res.end(body);
    }

    #answer(call) {
        const authorization = call.headers.authorization ?? '';
        if (!authorization.startsWith('Bearer ')) {
            return [401, 'text/plain', 'invalid authorization header. Must start with Bearer '];
        }
        try {
            call.claims = verify(authorization.slice(7), this.key, this.secret);
        } catch (error) {
            return [401, 'text/plain', error.message]; // before Twirp: not JSON
        }
        try {
            return [200, 'application/json', JSON.stringify(this.#twirp(call))];
        } catch (error) {
            if (!(error instanceof Refusal)) {
                throw error;
            }
            return [error.status, 'application/json', JSON.stringify(error.body)];
        }
    }

    #twirp(call) {
        const method = /^\/twirp\/livekit\.RoomService\/(\w+)$/.exec(call.path)?.[1];
        const handlers = { CreateRoom: this.#create, ListRooms: this.#list, DeleteRoom: this.#delete };
        if (call.method !== 'POST' || !handlers[method]) {
            throw new Refusal(404, 'bad_route', `no handler for path "${call.path}"`);
        }
        let body;
        try {
            body = JSON.parse(call.body);
        } catch {
            throw new Refusal(400, 'malformed', 'the json request could not be decoded');
        }
        return handlers[method].call(this, body, call.claims.video ?? {});
    }

    #create(body, grants) {
        if (!grants.roomCreate) {
            throw denied();
        }
        if (!body.name) {
            throw new Refusal(400, 'invalid_argument', 'name is required');
        }
        const known = this.rooms.get(body.name);
        const room = known ?? {
            sid: `RM_${++this.made}`,
            name: body.name,
            empty_timeout: field(body, 'empty_timeout', 'emptyTimeout', 0) || 300,
            departure_timeout: field(body, 'departure_timeout', 'departureTimeout', 0) || 20,
            max_participants: field(body, 'max_participants', 'maxParticipants', 0),
            creation_time: String(seconds()),
            creation_time_ms: String(Date.now()),
            turn_password: 'turn-secret',
            enabled_codecs: [{ mime: 'audio/opus', fmtp_line: '' }],
            metadata: body.metadata ?? '',
            num_participants: 0,
            num_publishers: 0,
            active_recording: false,
            version: null,
        };
        this.rooms.set(body.name, room);
        return room;
    }

    #list(body, grants) {
        if (!grants.roomList) {
            throw denied();
        }
        const names = body.names ?? [];
        return { rooms: [...this.rooms.values()].filter((room) => !names.length || names.includes(room.name)) };
    }

    #delete(body, grants) {
        if (!grants.roomCreate) {
            throw denied();
        }
        if (!this.rooms.delete(body.room)) {
            throw new Refusal(404, 'not_found', 'requested room does not exist');
        }
        return {};
    }

    /** Body and Authorization of a webhook; `over` replaces claims, `secret` the key that signs. */
    signedEvent(event, { over = {}, secret = this.secret } = {}) {
        const id = `EV_${++this.events}`;
        const body = JSON.stringify({ ...event, id: event.id ?? id, createdAt: String(seconds()) });
        const sha256 = createHash('sha256').update(body).digest('base64');
        const claims = { iss: this.key, nbf: seconds() - 5, exp: seconds() + 300, sha256, ...over };
        return { body, authorization: sign(claims, secret) };
    }

    /** Sends it: the response. `edit(signed)` may change body and authorization after they were made. */
    async webhook(url, event, { edit = (signed) => signed, ...options } = {}) {
        const { body, authorization } = edit(this.signedEvent(event, options));
        const headers = { 'content-type': 'application/webhook+json', ...(authorization ? { authorization } : {}) };
        return fetch(url, { method: 'POST', headers, body });
    }
}

/** One that ends with the test (or suite) `t`. */
export async function startLiveKit(t, options) {
    const livekit = await new LiveKit(options).listen();
    t.after(() => livekit.close());
    return livekit;
}
