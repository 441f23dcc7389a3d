// (q) A turn of customer care over Socket.IO, offline, one core: user_message to ai_response. parley's is understood,
// answered and stored for good before it is told; the peer's is a fixed text, kept in memory.
import WebSocket from 'ws';
import { startNode, startParley } from '../support/process.mjs';
import { interleave, medianOf, row } from '../support/rows.mjs';

const CLIENTS = 32;
const CALL = 10; // turns in one conversation
const FORM = { name: 'Bench', email: 'bench@example.com', password: 'Sunny4day' };
const TEXT = 'How do I start? I would like to return an order.';

/** One client on a WebSocket, as lean as it can be. */
class Caller {
    static async open({ port, userId }) {
        const caller = new Caller();
        caller.userId = userId;
        caller.ws = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`);
        caller.waiting = null;
        caller.ws.on('message', (data) => caller.#take(String(data)));
        await caller.#await('40{', '40', new Promise((resolve) => caller.ws.once('open', resolve)));
        return caller;
    }

    #take(text) {
        if (text === '2') {
            this.ws.send('3');
        } else if (text.startsWith('42["error"')) {
            throw new Error(text);
        } else if (this.waiting && text.startsWith(this.waiting.prefix)) {
            const { resolve } = this.waiting;
            this.waiting = null;
            resolve(text);
        }
    }

    async #await(prefix, text, ready) {
        await ready;
        const come = new Promise((resolve) => {
            this.waiting = { prefix, resolve };
        });
        this.ws.send(text);
        return come;
    }

    #ask(prefix, event, args) {
        return this.#await(`42["${prefix}"`, `42${JSON.stringify([event, args])}`);
    }

    async start() {
        const text = await this.#ask('conversation_started', 'start_conversation', { userId: this.userId, isCallSimulator: true });
        this.conversationId = JSON.parse(text.slice(2))[1].conversationId;
    }

    /** { ms, text } */
    async say() {
        const began = performance.now();
        const { conversationId } = this;
        const text = await this.#ask('ai_response', 'user_message', { conversationId, message: TEXT, isCallSimulator: true });
        return { ms: performance.now() - began, text };
    }

    close() {
        this.ws.terminate();
    }
}

/** Each client talks for so long: { perSecond, times } */
async function talk(where, clients, seconds) {
    const callers = await Promise.all(Array.from({ length: clients }, () => Caller.open(where)));
    const times = [];
    const began = performance.now();
    const one = async (caller) => {
        for (let turn = 0; performance.now() - began < seconds * 1000; turn++) {
            if (turn % CALL === 0) {
                await caller.start();
            }
            times.push((await caller.say()).ms);
        }
    };
    await Promise.all(callers.map(one));
    const took = (performance.now() - began) / 1000;
    callers.forEach((caller) => caller.close());
    return { perSecond: times.length / took, times: times.sort((a, b) => a - b) };
}

async function startCare(env) {
    const server = await startParley(env);
    const response = await fetch(`http://127.0.0.1:${server.port}/api/auth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(FORM),
    });
    const { user } = await response.json();
    return Object.assign(server, { userId: user._id });
}

async function replyOf(server) {
    const caller = await Caller.open(server);
    await caller.start();
    const { text } = await caller.say();
    caller.close();
    return JSON.parse(text.slice(2))[1].message;
}

const quantile = (times, q) => times[Math.floor((times.length - 1) * q)];

export async function run({ rounds, seconds }) {
    const parley = await startCare({ CARE_SPEECH: 'false' });
    const spoken = await startCare({ CARE_SPEECH: 'true', TTS_PROVIDER: 'local' });
    const node = await startNode('socketio_care.mjs', { env: { REPLY: await replyOf(parley) } });
    const contestants = { parley, spoken, node: Object.assign(node, { userId: '65f0c0ffee65f0c0ffee0001' }) };
    const alone = await interleave(rounds, contestants, (where) => talk(where, 1, seconds));
    const many = await interleave(rounds, contestants, (where) => talk(where, CLIENTS, seconds));
    await Promise.all([parley, spoken, node].map((process) => process.stop()));

    const rows = [];
    const add = (what, values, unit) => {
        rows.push(row('q', `${what}, words`, values.parley, { unit, peer: values.node, peerName: 'socket.io, a fixed text' }));
        rows.push(row('q', `${what}, spoken`, values.spoken, { unit }));
    };
    for (const q of [0.5, 0.99]) {
        add(`care turn, one client, p${q * 100}`, medianOf(alone, ({ times }) => quantile(times, q)), 'ms');
    }
    add(`care turns, ${CLIENTS} clients`, medianOf(many, ({ perSecond }) => perSecond), 'turns/s');
    return rows;
}
