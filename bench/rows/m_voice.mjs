// (m) The voice turn engine without an account: from the end of a spoken sentence to the first audio of the answer, and
// what a session costs in memory.
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { memory, startParley } from '../support/process.mjs';
import { median, row } from '../support/rows.mjs';

const RATE = 24000;
const FRAME = (RATE / 1000) * 40 * 2; // bytes of 40 ms
const SENTENCES = [
    'what time does the store open tomorrow',
    'please help me with my account',
    'thank you for your help',
    'hello how are you today',
];
const AUDIBLE = 500;

async function speak(server, input) {
    const response = await fetch(`http://127.0.0.1:${server.port}/v1/audio/speech`, {
        method: 'POST',
        body: JSON.stringify({ model: 'tts-1', voice: 'alloy', input, response_format: 'pcm' }),
    });
    const pcm = Buffer.from(await response.arrayBuffer());
    let end = pcm.length;
    while (end >= 2 && Math.abs(pcm.readInt16LE(end - 2)) < AUDIBLE) {
        end -= 2;
    }
    return pcm.subarray(0, end);
}

/** A realtime session whose events are kept by name until they are awaited. */
class Session {
    constructor(server) {
        this.socket = new WebSocket(`ws://127.0.0.1:${server.port}/v1/realtime`);
        this.waiting = new Map();
        this.socket.on('message', (data) => {
            const event = JSON.parse(data);
            this.waiting.get(event.type)?.(performance.now());
            this.waiting.delete(event.type);
        });
    }

    /** When the next event of this name comes. */
    next(type) {
        return new Promise((resolve) => this.waiting.set(type, resolve));
    }

    send(event) {
        this.socket.send(JSON.stringify(event));
    }

    append(pcm) {
        this.send({ type: 'input_audio_buffer.append', audio: pcm.toString('base64') });
    }

    async ask(text) {
        const content = [{ type: 'input_text', text }];
        this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
        const done = this.next('response.done');
        this.send({ type: 'response.create' });
        return done;
    }
}

async function open(server) {
    const session = new Session(server);
    await session.next('session.created');
    return session;
}

/** Milliseconds from the end of what is said, at the pace of speech, to the first audio of the answer. */
async function turn(session, pcm) {
    const silence = Buffer.alloc(FRAME);
    const answered = session.next('response.output_audio.delta');
    const done = session.next('response.done');
    let due = performance.now();
    let over = false;
    let ended;
    answered.then(() => (over = true));
    for (let at = -FRAME * 10; !over; at += FRAME) {
        session.append(at >= 0 && at < pcm.length ? pcm.subarray(at, at + FRAME) : silence);
        due += 40;
        if (at < pcm.length) {
            ended = due; // the frame is spoken when its time is over
        }
        await sleep(Math.max(0, due - performance.now()));
    }
    const first = await answered;
    await done;
    return first - ended;
}

async function turns(rounds) {
    const server = await startParley();
    const session = await open(server);
    const spoken = await Promise.all(SENTENCES.map((text) => speak(server, text)));
    const times = [];
    await turn(session, spoken[0]); // the recognizer and the voice are loaded
    for (let i = 0; i < rounds; i++) {
        for (const pcm of spoken) {
            times.push(await turn(session, pcm));
        }
    }
    session.socket.close();
    await server.stop();
    return times;
}

async function bytesEach(count) {
    const server = await startParley();
    const warm = await open(server);
    await warm.ask('Hello!');
    const before = await memory(server.pid);
    const sessions = await Promise.all(Array.from({ length: count }, () => open(server)));
    for (let i = 0; i < 25; i++) {
        sessions.forEach((session) => session.append(Buffer.alloc(FRAME)));
        await sleep(40);
    }
    const listening = await memory(server.pid);
    await Promise.all(sessions.map((session) => session.ask('Hello!')));
    const answered = await memory(server.pid);
    sessions.forEach((session) => session.socket.close());
    warm.socket.close();
    await server.stop();
    return [listening, answered].map(({ anonymous }) => (anonymous - before.anonymous) / count / 1024);
}

export async function run({ rounds }) {
    const times = await turns(rounds);
    const [listening, answered] = await bytesEach(200);
    const goal = { atMost: 150 };
    return [
        row('m', 'offline voice turn: end of speech to first audio, median', median(times), {
            unit: 'ms',
            goal: { atMost: 1000 },
        }),
        row('m', 'offline voice turn: the slowest', Math.max(...times), { unit: 'ms', goal: { atMost: 1000 } }),
        row('m', 'memory per voice session, listening, 200 open', listening, { unit: 'KiB', goal }),
        row('m', 'the same once each has spoken an answer', answered, { unit: 'KiB', goal }),
    ];
}
