// Users of customer care over HTTP, and what their conversations must look like.
import assert from 'node:assert/strict';

export const OBJECT_ID = /^[0-9a-f]{24}$/;
export const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
export const SENTIMENTS = ['positive', 'negative', 'urgent', 'neutral'];
export const UNKNOWN_ID = '65f0c0ffee65f0c0ffee00aa';

/* A user is made in every test: hashing of passwords is tested elsewhere. */
export const careEnv = { PASSWORD_COST: '4' };

let count = 0;

export class CareUser {
    static async make(server, name = 'Ada Moss') {
        const email = `user-${process.pid}-${Date.now().toString(36)}-${count++}@example.com`;
        const { status, body } = await server.json('POST', '/api/auth/register', { name, email, password: 'Secret123' });
        assert.equal(status, 201, JSON.stringify(body));
        return Object.assign(new CareUser(), { server, token: body.token, id: body.user._id, name, email });
    }

    get headers() {
        return { authorization: `Bearer ${this.token}` };
    }

    /** { status, headers, text, body } */
    json(method, path, body) {
        return this.server.json(method, path, body, this.headers);
    }

    /** The body of a reply that must have this status. */
    async ask(status, method, path, body) {
        const reply = await this.json(method, path, body);
        assert.equal(reply.status, status, `${method} ${path}: ${reply.text}`);
        return reply.body;
    }

    get = (path) => this.ask(200, 'GET', path);

    simulator = (more = {}) => this.ask(201, 'POST', '/api/conversations', { isCallSimulator: true, ...more });

    agent = (more = {}) =>
        this.ask(201, 'POST', '/api/agents', {
            name: 'Nora',
            companyName: 'Tea and Tin',
            personality: 'warm and exact',
            companyInfo: 'Tea and Tin sells loose tea. Orders are sent within two days. Refunds take five days.',
            prompts: ['Answer in one sentence.'],
            ...more,
        });

    say = (id, content, more = {}) =>
        this.ask(201, 'POST', `/api/conversations/${id}/messages`, { content, role: 'user', ...more });

    /** { status, body } of a recording; name and type as the client says. */
    async upload(id, { bytes, name = 'blob', type = 'audio/wav', field = 'audio', ...fields } = {}) {
        const form = new FormData();
        if (bytes) {
            form.append(field, new Blob([bytes], { type }), name);
        }
        for (const [key, value] of Object.entries(fields)) {
            form.append(key, value);
        }
        const response = await this.server.fetch(`/api/conversations/${id}/audio`, {
            method: 'POST',
            headers: this.headers,
            body: form,
        });
        const text = await response.text();
        return { status: response.status, text, body: JSON.parse(text) };
    }
}

export function assertMessage(message) {
    assert.match(message._id, OBJECT_ID);
    assert.ok(['user', 'assistant', 'system'].includes(message.role), message.role);
    assert.equal(typeof message.content, 'string');
    assert.match(message.timestamp, ISO);
    if (message.role === 'user') {
        assert.ok(SENTIMENTS.includes(message.metadata.sentiment), JSON.stringify(message));
        assert.ok(message.metadata.confidence >= 0 && message.metadata.confidence <= 1);
        assert.match(message.metadata.intent, /^(question|support|purchase|cancellation|general)$/);
    }
}

/** All that the front end reads, and that figures fit the messages. */
export function assertConversation(c, user) {
    assert.match(c._id, OBJECT_ID);
    assert.equal(c.id, c._id);
    assert.equal(c.userId, user.id);
    assert.deepEqual(c.user, { _id: user.id, name: user.name });
    assert.equal(typeof c.title, 'string');
    assert.notEqual(c.title, '');
    assert.ok(Array.isArray(c.messages));
    c.messages.forEach(assertMessage);
    assert.ok(c.messages.every(({ role }) => role !== 'system'));
    assert.match(c.metadata.created, ISO);
    assert.match(c.metadata.updated, ISO);
    assert.ok(Number.isInteger(c.metadata.duration) && c.metadata.duration >= 0);
    assert.ok([...SENTIMENTS, 'pending'].includes(c.metadata.sentiment), c.metadata.sentiment);
    assert.ok(Array.isArray(c.metadata.intents));
    assert.ok(['active', 'completed', 'archived'].includes(c.status));
    assert.ok(['high', 'normal'].includes(c.priority));
    assert.equal(c.analytics.messageCount, c.messages.length);
    assert.equal(c.analytics.duration, c.metadata.duration);
    assert.equal(c.analytics.sentiment, c.metadata.sentiment);
    assert.equal(c.createdAt, c.metadata.created);
    assert.equal(c.updatedAt, c.metadata.updated);
    assert.equal(c.__v, 0);
}

/** A refusal in the dialect's shape: both spellings, and a code. */
export function assertRefused({ status, body }, expected, text, code) {
    assert.equal(status, expected, JSON.stringify(body));
    assert.equal(body.error, text);
    assert.equal(body.message, text);
    if (code) {
        assert.equal(body.code, code);
    }
}
