// The customer-care front end, as far as a server can tell: what it sends, when, with which headers, from which origin, and
// what it does with the answers. Where the real one would show a blank page, this one throws.
import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { record, until } from './socketio.mjs';

const AXIOS = 'application/json, text/plain, */*';
const ANY = '*/*';

/** As axios has it: a status that is no success is an error with the response. */
class HttpError extends Error {
    constructor(response) {
        super(`Request failed with status code ${response.status}`);
        this.response = response;
    }
}

/** MPEG audio by its first bytes: an ID3 tag, or a frame of layer III. */
export function assertMp3(bytes) {
    const tagged = bytes.subarray(0, 3).toString('latin1') === 'ID3';
    const frame = bytes[0] === 0xff && (bytes[1] & 0xe6) === 0xe2;
    assert.ok(bytes.length > 200 && (tagged || frame), `no MP3: ${bytes.length} bytes, ${bytes.subarray(0, 8).toString('hex')}`);
}

export class FrontEnd {
    constructor(api, { origin = 'http://localhost:3000', socketUrl = api } = {}) {
        Object.assign(this, { api, origin, socketUrl, storage: new Map(), user: null, preflights: 0, played: [] });
    }

    // ---- what a browser does with a request of another origin ----

    async #preflight(method, path, names) {
        const response = await fetch(this.api + path, {
            method: 'OPTIONS',
            headers: {
                Origin: this.origin,
                'Access-Control-Request-Method': method,
                'Access-Control-Request-Headers': names.join(','),
            },
        });
        this.preflights++;
        assert.ok(response.ok, `preflight of ${method} ${path}: ${response.status}`);
        this.#assertShared(response);
        const listed = (name) => (response.headers.get(name) ?? '').toLowerCase().split(/\s*,\s*/);
        const headers = listed('access-control-allow-headers');
        names.forEach((name) => assert.ok(headers.includes(name), `${name} is not among ${headers}`));
        if (!['GET', 'HEAD', 'POST'].includes(method)) {
            assert.ok(listed('access-control-allow-methods').includes(method.toLowerCase()), `${method} is not allowed`);
        }
    }

    #assertShared(response) {
        assert.equal(response.headers.get('access-control-allow-origin'), this.origin);
        assert.match(response.headers.get('vary') ?? '', /origin/i);
    }

    async #send(method, path, { headers = {}, body, accept }) {
        const needed = Object.keys(headers).filter((name) => name !== 'content-type' || /json/.test(headers[name]));
        if (needed.length || !['GET', 'HEAD', 'POST'].includes(method)) {
            await this.#preflight(method, path, needed.sort());
        }
        const response = await fetch(this.api + path, {
            method,
            headers: { Origin: this.origin, Referer: `${this.origin}/`, Accept: accept, ...headers },
            body,
        });
        this.#assertShared(response);
        const text = await response.text();
        let data = text;
        try {
            data = JSON.parse(text);
        } catch {
            // axios leaves what is no JSON as it is
        }
        return { status: response.status, data, headers: response.headers, ok: response.ok };
    }

    #bearer() {
        const token = this.storage.get('token');
        return token ? { authorization: `Bearer ${token}` } : {};
    }

    async axios(method, path, body) {
        const json = body === undefined ? {} : { 'content-type': 'application/json' };
        const response = await this.#send(method, path, {
            headers: { ...json, ...this.#bearer() },
            body: body === undefined ? undefined : JSON.stringify(body),
            accept: AXIOS,
        });
        if (!response.ok) {
            throw new HttpError(response);
        }
        return response.data;
    }

    async fetch(method, path, body) {
        const json = body === undefined ? {} : { 'content-type': 'application/json' };
        return this.#send(method, path, {
            headers: { ...json, ...this.#bearer() },
            body: body === undefined ? undefined : JSON.stringify(body),
            accept: ANY,
        });
    }

    // ---- accounts ----

    async #enter(path, form) {
        const { token, user } = await this.axios('POST', path, form);
        assert.equal(typeof token, 'string');
        assert.equal(typeof user.name.charAt(0), 'string'); // the avatar's letter
        this.storage.set('token', token);
        this.user = user;
        return user;
    }

    /** What the page shows when it did not work: the answer's `message`. */
    async register(form) {
        try {
            return await this.#enter('/api/auth/register', form);
        } catch (error) {
            return { shown: error.response.data.message };
        }
    }

    async logIn(form) {
        try {
            return await this.#enter('/api/auth/login', form);
        } catch (error) {
            return { shown: error.response.data.message };
        }
    }

    /** On loading the page: who is in, or out with the token. */
    async reload() {
        try {
            this.user = await this.axios('GET', '/api/auth/me');
        } catch (error) {
            this.storage.delete('token');
            this.user = null;
        }
        return this.user;
    }

    // ---- agents ----

    async agents() {
        const list = await this.axios('GET', '/api/agents');
        return list.map((agent) => ({
            agent,
            card: `${agent.name} · ${agent.companyName} · ${agent.personality} · ${agent.prompts.map((p) => p.trim()).join(', ')}`,
        }));
    }

    createAgent(form) {
        return this.axios('POST', '/api/agents', form);
    }

    /** The form is filled with the agent as it came, _id, __v and all, and sent back whole. */
    async editAgent(id, changes) {
        const agent = await this.axios('GET', `/api/agents/${id}`);
        assert.ok('_id' in agent && '__v' in agent);
        return this.axios('PUT', `/api/agents/${id}`, { ...agent, ...changes });
    }

    deleteAgent(id) {
        return this.axios('DELETE', `/api/agents/${id}`);
    }

    // ---- conversations ----

    #line(conversation) {
        const { metadata } = conversation;
        const minutes = Math.floor(metadata.duration / 60);
        const when = new Date(metadata.created);
        assert.ok(!Number.isNaN(when.getTime()), 'a date');
        assert.ok(Number.isInteger(metadata.duration), 'whole seconds');
        const last = conversation.messages[conversation.messages.length - 1];
        return {
            id: conversation._id,
            title: conversation.title.toString(),
            line: `${when.toISOString()} ${minutes}:${metadata.duration % 60} ${metadata.sentiment.toUpperCase()}`,
            sentiment: metadata.sentiment,
            last: last ? last.content.slice(0, 80) : '',
        };
    }

    async conversations(agentId) {
        const list = await this.axios('GET', `/api/conversations${agentId ? `?agentId=${agentId}` : ''}`);
        return list.map((conversation) => this.#line(conversation));
    }

    async details(id) {
        const conversation = await this.axios('GET', `/api/conversations/${id}`);
        assert.ok(conversation.messages.every(({ role }) => role === 'user' || role === 'assistant'));
        return { ...this.#line(conversation), messages: conversation.messages.map(({ role, content }) => ({ role, content })) };
    }

    async stats() {
        const stats = await this.axios('GET', `/api/conversations/stats/user/${this.user._id}`);
        const { positive, negative, neutral, urgent } = stats.sentimentBreakdown;
        return {
            ...stats,
            bars: [positive, negative, neutral, urgent].map((n) => `${n.toFixed(0)}`),
            companies: stats.companiesInteractedWith.map((name) => name.toUpperCase()).join(', '),
            average: `${Math.floor(stats.averageDuration / 60)}m`,
        };
    }

    create(body) {
        return this.axios('POST', '/api/conversations', body);
    }

    messages(id) {
        return this.axios('GET', `/api/conversations/${id}/messages`);
    }

    async sendMessage(id, content) {
        const message = await this.axios('POST', `/api/conversations/${id}/messages`, { content, role: 'user' });
        await this.#play(message);
        return message;
    }

    /** The recording is a Blob without a name, said to be WAV. */
    async sendVoice(id, bytes, transcript) {
        const form = new FormData();
        form.append('audio', new Blob([bytes], { type: 'audio/wav' }));
        form.append('transcript', transcript);
        const response = await this.#send('POST', `/api/conversations/${id}/audio`, {
            headers: this.#bearer(),
            body: form,
            accept: ANY,
        });
        assert.equal(response.status, 200, JSON.stringify(response.data));
        await this.#play(response.data);
        return response.data;
    }

    end(id) {
        return this.axios('PUT', `/api/conversations/${id}/end`);
    }

    retitle(id) {
        return this.axios('PUT', `/api/conversations/${id}/update-title`);
    }

    reanalyse() {
        return this.axios('POST', '/api/conversations/reanalyze-sentiment', {});
    }

    remove(id) {
        return this.axios('DELETE', `/api/conversations/${id}`);
    }

    // ---- sound ----

    /** As new Audio(…).play() does: the bytes that came along, or those at an address of the server. */
    async #play(message) {
        if (message.audioData && message.audioType) {
            assert.equal(message.audioType, 'audio/mpeg');
            const bytes = Buffer.from(message.audioData, 'base64');
            assert.equal(bytes.toString('base64'), message.audioData);
            assertMp3(bytes);
            this.played.push({ bytes });
        } else if (message.audioUrl) {
            const response = await fetch(this.api + message.audioUrl, {
                headers: { Accept: ANY, Range: 'bytes=0-', Referer: `${this.origin}/` },
            });
            const bytes = Buffer.from(await response.arrayBuffer());
            assert.equal(response.status, 206);
            assert.equal(response.headers.get('content-type'), 'audio/mpeg');
            assert.match(response.headers.get('content-range'), new RegExp(`^bytes 0-${bytes.length - 1}/${bytes.length}$`));
            assert.ok([null, 'cross-origin'].includes(response.headers.get('cross-origin-resource-policy')));
            assertMp3(bytes);
            this.played.push({ bytes, url: message.audioUrl });
        }
    }

    // ---- a call, on Socket.IO ----

    /** Polling first, then the WebSocket; no token. */
    async connect(t, options = {}) {
        this.socket = record(io(this.socketUrl, { forceNew: true, extraHeaders: { Origin: this.origin }, ...options }));
        t.after(() => this.socket.close());
        await new Promise((resolve, reject) => {
            this.socket.once('connect', resolve);
            this.socket.once('connect_error', reject);
        });
        return this.socket;
    }

    async #started(from) {
        const [, answer] = await until(this.socket, (seen) =>
            seen.slice(from).find(([name]) => name === 'conversation_started' || name === 'error'),
        );
        if (!answer.conversationId) {
            throw new Error(`${answer.message}: ${answer.details}`);
        }
        const { welcomeMessage } = answer;
        assert.equal(welcomeMessage.role, 'assistant');
        assert.ok(!Number.isNaN(new Date(welcomeMessage.timestamp).getTime()));
        assert.ok(welcomeMessage.content.trim().length > 0);
        await this.#play(welcomeMessage);
        this.call = answer;
        return answer;
    }

    callSimulator() {
        const from = this.socket.seen.length;
        this.agent = null;
        this.socket.emit('start_conversation', { userId: this.user._id, isCallSimulator: true });
        return this.#started(from);
    }

    callAgent(agent) {
        const from = this.socket.seen.length;
        this.agent = agent;
        this.socket.emit('start_conversation', { ...this.#withAgent(), isCallSimulator: false });
        return this.#started(from);
    }

    #withAgent() {
        const { _id, name, companyName, personality, companyInfo, prompts } = this.agent;
        return {
            userId: this.user._id,
            agentId: _id,
            agentInfo: { name, company: companyName, personality, companyInfo, prompts },
        };
    }

    /** One turn: { reply, names } with the names of all that was told, in order. */
    async say(message) {
        const from = this.socket.seen.length;
        const more = this.agent ? this.#withAgent() : { isCallSimulator: true };
        this.socket.emit('user_message', { conversationId: this.call.conversationId, message, ...more });
        const events = await until(this.socket, (seen) => {
            const mine = seen.slice(from).filter(([name]) => ['typing', 'ai_response', 'error'].includes(name));
            return mine.some(([name, on]) => name === 'typing' && on === false) && mine;
        });
        const [, reply] = events.find(([name]) => name !== 'typing');
        if (reply.audioData) {
            await this.#play(reply);
        }
        return { reply, names: events.map(([name, value]) => (name === 'typing' ? `typing ${value}` : name)) };
    }
}
