// A realtime session over a plain WebSocket: events in order, none lost, and an error that nobody waits for is a failure.
import assert from 'node:assert/strict';
import { JsonSocket } from './socket.mjs';

export const types = (events) => events.map((event) => event.type);

/** Text and role of a new item, as clients send it. */
export const message = (text, role = 'user') => ({
    type: 'message',
    role,
    content: [{ type: role === 'assistant' ? 'output_text' : 'input_text', text }],
});

export class VoiceSession {
    /** `greeting`: events that come by themselves. */
    static async open(t, server, { path = '/v1/realtime', greeting = 1, ...options } = {}) {
        const session = new VoiceSession();
        session.socket = await JsonSocket.open((server.wsUrl ?? server) + path, options);
        t.after(() => session.socket.ws.terminate());
        session.greeting = [];
        for (let i = 0; i < greeting; i++) {
            session.greeting.push(await session.socket.next());
        }
        session.created = session.greeting[0];
        return session;
    }

    get closed() {
        return this.socket.closed;
    }

    send(type, members = {}) {
        this.socket.send({ type, ...members });
    }

    raw(data) {
        this.socket.ws.send(data);
    }

    next() {
        return this.socket.next();
    }

    /** Everything up to and with the next event of this type. */
    async until(type) {
        const all = [];
        for (;;) {
            const event = await this.next();
            all.push(event);
            if (event.type === type) {
                return all;
            }
            assert.notEqual(event.type, 'error', `waiting for ${type}: ${JSON.stringify(event)}`);
        }
    }

    async event(type) {
        return (await this.until(type)).at(-1);
    }

    /** The next event is this one. */
    async expect(...expected) {
        const all = [];
        for (const type of expected) {
            const event = await this.next();
            assert.equal(event.type, type, JSON.stringify(event));
            all.push(event);
        }
        return all.at(-1);
    }

    /** Sends something that is answered with an error, and nothing else: { type, code, message, param, event_id }. */
    async refused(type, members = {}) {
        this.send(type, { event_id: 'mine', ...members });
        const { error } = await this.expect('error');
        assert.equal(error.event_id, 'mine');
        assert.ok(error.message.length > 0);
        return error;
    }

    /** It still works, and nothing is left over: the next event is the answer to this. */
    async works() {
        this.send('input_audio_buffer.clear');
        await this.expect('input_audio_buffer.cleared');
    }

    async update(session) {
        this.send('session.update', { session: { type: 'realtime', ...session } });
        return (await this.expect('session.updated')).session;
    }

    /** Adds an item: it, as the server shows it. */
    async add(item, members = {}) {
        this.send('conversation.item.create', { item, ...members });
        await this.expect('conversation.item.added');
        return (await this.expect('conversation.item.done')).item;
    }

    /** Audio (PCM at 24 kHz, or what the session takes) in pieces of 40 ms, as fast as it goes. */
    speak(audio, piece = 1920) {
        for (let at = 0; at < audio.length; at += piece) {
            this.send('input_audio_buffer.append', { audio: audio.subarray(at, at + piece).toString('base64') });
        }
    }

    close() {
        return this.socket.close();
    }
}

/** All audio of these events. */
export const audioOf = (events) =>
    Buffer.concat(
        events
            .filter((event) => /^response\.(output_)?audio\.delta$/.test(event.type))
            .map((event) => Buffer.from(event.delta, 'base64')),
    );

export const deltas = (events, type) =>
    events
        .filter((event) => event.type === type)
        .map((event) => event.delta)
        .join('');

export const silence = (ms, rate = 24000) => Buffer.alloc(Math.round((ms * rate) / 1000) * 2);

/** Loud noise, the same every time. */
export function noise(ms, level = 3000) {
    const out = silence(ms);
    let seed = 12345;
    for (let i = 0; i < out.length; i += 2) {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        out.writeInt16LE(Math.round(((seed >>> 8) / 0xffffff - 0.5) * 2 * level), i);
    }
    return out;
}

/** A sentence as the server's own voice says it: PCM at 24 kHz. */
export async function speech(server, input, voice = 'alloy') {
    const { status, body } = await server
        .fetch('/v1/audio/speech', {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ model: 'tts-1', input, voice, response_format: 'pcm' }),
        })
        .then(async (response) => ({ status: response.status, body: Buffer.from(await response.arrayBuffer()) }));
    assert.equal(status, 200);
    return body;
}
