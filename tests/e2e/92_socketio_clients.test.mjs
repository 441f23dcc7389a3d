// The official clients, versions 4, 3 and 2, on each transport: parley, and the original as a control.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Socket as EngineClient } from 'engine.io-client';
import { io as io4 } from 'socket.io-client';
import { createRequire } from 'node:module';
import { everywhere, startParley, targets } from './support/conformance.mjs';
import { connectNamespace } from './support/engineio.mjs';

const require = createRequire(import.meta.url);
const VERSIONS = { 4: io4, 3: require('socket.io-client-3').io, 2: require('socket.io-client-2') };
const TRANSPORTS = { polling: ['polling'], websocket: ['websocket'], upgrade: ['polling', 'websocket'] };
const MAX = 1000000;
const BYTES = Buffer.from([0, 1, 2, 254, 255]);

const plain = (value) => {
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
        return Buffer.from(value);
    }
    if (Array.isArray(value)) {
        return value.map(plain);
    }
    return value && typeof value === 'object'
        ? Object.fromEntries(Object.entries(value).map(([key, child]) => [key, plain(child)]))
        : value;
};

/** An event's arguments, once, with all binary as Buffer. */
const next = (socket, name) => once(socket, name).then(plain);

const ask = (socket, ...args) => new Promise((resolve) => socket.emit(...args, (...answer) => resolve(plain(answer))));

function create(t, io, url, options) {
    const socket = io(url, { forceNew: true, reconnection: false, ...options });
    t.after(() => socket.close());
    return socket;
}

/** A connected client; `greeting` is the auth it was greeted with, where the namespace does so. */
async function open(t, io, url, options) {
    const socket = create(t, io, url, options);
    socket.greeting = next(socket, 'auth');
    socket.greeting.catch(() => {});
    await once(socket, 'connect');
    return socket;
}

/** The same tests for one version over one transport. */
function client(it, server, version, transport) {
    const io = VERSIONS[version];
    const options = { transports: TRANSPORTS[transport] };
    const connect = (t, path = '', more = {}) => open(t, io, server.url + path, { ...options, ...more });
    const name = (what) => `client ${version}, ${transport}: ${what}`;

    it(name('events and acknowledgements with arguments of all kinds'), async (t) => {
        const socket = await connect(t);
        assert.deepEqual(await socket.greeting, [{}]);
        for (const args of [
            [],
            [1, -0.5, true, null, 'text', 'ü\u{1F600}"\\\n\u2028'],
            [{ a: [{ b: {} }] }, [], [[]]],
            [BYTES],
            [{ nested: [BYTES, 'between', { deep: Buffer.alloc(0) }] }, BYTES],
            Array.from({ length: 10 }, (_, i) => Buffer.alloc(i + 1, i)),
            ['x'.repeat(200000), Buffer.alloc(200000, 7)],
        ]) {
            const back = next(socket, 'message-back');
            socket.emit('message', ...args);
            assert.deepEqual(await back, args);
            assert.deepEqual(await ask(socket, 'message-with-ack', ...args), args);
        }
    });

    it(name('many messages, each once and in order'), async (t) => {
        const socket = await connect(t);
        const seen = [];
        const done = new Promise((resolve) => {
            socket.on('message-back', (i) => seen.push(i) === 500 && resolve());
        });
        for (let i = 0; i < 500; i++) {
            socket.emit('message', i);
            if (i % 50 === 0) {
                await new Promise(setImmediate);
            }
        }
        await done;
        assert.deepEqual(seen, Array.from({ length: 500 }, (_, i) => i));
    });

    it(name('the server asks'), async (t) => {
        const socket = await connect(t, '/lab');
        socket.on('question', (...args) => {
            const answer = args.pop();
            if (args[0] !== 'silence') {
                answer('yes', ...args);
            }
        });
        for (const [args, expected] of [
            [['a', { b: 1 }], { ok: true, args: ['yes', 'a', { b: 1 }] }],
            [[BYTES], { ok: true, args: ['yes', BYTES] }],
            [[], { ok: true, args: ['yes'] }],
        ]) {
            const answered = next(socket, 'answered');
            socket.emit('ask', 20000, ...args);
            assert.deepEqual(await answered, [expected]);
        }
        const answered = next(socket, 'answered');
        socket.emit('ask', 50, 'silence');
        assert.deepEqual(await answered, [{ ok: false, args: [] }]);
    });

    it(name('rooms: broadcasts reach the others, shouts all, and nobody else'), async (t) => {
        const [a, b, c, outside] = await Promise.all([1, 2, 3, 4].map(() => connect(t, '/lab')));
        const heard = new Map([a, b, c, outside].map((socket) => [socket, []]));
        for (const [socket, list] of heard) {
            socket.on('cast', (...args) => list.push(plain(args)));
        }
        await Promise.all([a, b, c].map((socket) => ask(socket, 'join', 'blue')));
        await ask(a, 'join', 'blue'); // twice is once
        await ask(a, 'broadcast', 'blue', 1, { x: 'y' });
        await ask(b, 'shout', 'blue', BYTES);
        await ask(outside, 'shout', 'blue', 'from outside');
        await ask(c, 'leave', 'blue');
        await ask(a, 'shout', 'blue', 'end');
        await ask(a, 'broadcast', 'nobody', 'lost');
        // what each was sent before lies before the answer to its own next question
        await Promise.all([...heard.keys()].map((socket) => ask(socket, 'join', 'last')));
        assert.deepEqual(heard.get(a), [[BYTES], ['from outside'], ['end']]);
        assert.deepEqual(heard.get(b), [[1, { x: 'y' }], [BYTES], ['from outside'], ['end']]);
        assert.deepEqual(heard.get(c), [[1, { x: 'y' }], [BYTES], ['from outside']]);
        assert.deepEqual(heard.get(outside), []);
    });

    it(name('volatile events, to a client that keeps up'), async (t) => {
        const socket = await connect(t, '/lab');
        const got = [];
        socket.on('volatile', (...args) => got.push(args));
        while (got.length === 0) {
            // the original drops them also while a client is between two polls
            socket.emit('emit-volatile', 3, 'x');
            await ask(socket, 'join', 'x');
        }
        assert.deepEqual(got[0], [0, 'x']);
    });

    it(name('the server disconnects'), async (t) => {
        for (const close of [false, true]) {
            const socket = await connect(t, '/lab');
            const ended = once(socket, 'disconnect');
            const closed = once(socket.io.engine, 'close');
            socket.emit('bye', close);
            assert.equal((await ended)[0], 'io server disconnect');
            await closed;
            socket.connect();
            await once(socket, 'connect');
            await ask(socket, 'join', 'back again');
        }
    });

    it(name('the client disconnects, and comes back with another id'), async (t) => {
        const socket = await connect(t);
        const { id } = socket;
        const ended = once(socket, 'disconnect');
        const closed = once(socket.io.engine, 'close'); // version 3 takes it for the end of a later connection else
        socket.disconnect();
        assert.equal((await ended)[0], 'io client disconnect');
        await closed;
        socket.connect();
        await once(socket, 'connect');
        assert.notEqual(socket.id, id);
        assert.deepEqual(await ask(socket, 'message-with-ack', 'again'), ['again']);
    });

    it(name('namespaces share a connection'), async (t) => {
        const main = await connect(t);
        const lab = main.io.socket('/lab');
        const custom = main.io.socket('/custom');
        const greeting = next(custom, 'auth');
        await Promise.all([once(lab, 'connect'), greeting]);
        assert.equal(lab.io, main.io);
        assert.notEqual(lab.id, main.id);
        await ask(lab, 'join', 'x');
        custom.disconnect();
        assert.deepEqual(await ask(main, 'message-with-ack', 1), [1]);
        await ask(lab, 'leave', 'x');
        lab.disconnect();
        assert.deepEqual(await ask(main, 'message-with-ack', 2), [2]);
    });

    it(name('a message of the largest size, and one byte more'), async (t) => {
        const socket = await connect(t);
        const { engine } = socket.io;
        if (transport === 'upgrade' && engine.transport.name === 'polling') {
            await once(engine, 'upgrade');
        }
        const payload = version === '2' && transport === 'polling' ? '999993:' : ''; // the length goes with it
        const around = payload.length + '42["message",""]'.length;
        const back = next(socket, 'message-back');
        socket.emit('message', 'x'.repeat(MAX - around));
        assert.equal((await back)[0].length, MAX - around);
        // version 2 has an event `error` for it as well, which once() would take for a failure
        const ended = new Promise((resolve) => socket.on('disconnect', resolve));
        socket.on('error', () => {});
        socket.emit('message', 'x'.repeat(MAX - around + 1));
        assert.match(await ended, /^transport (error|close)$/);
    });
}

await everywhere(async (it, target) => {
    const server = await target.start({ after });

    for (const version of Object.keys(VERSIONS).reverse()) {
        for (const transport of Object.keys(TRANSPORTS)) {
            client(it, server, version, transport);
        }
    }

    for (const version of [4, 3]) {
        it(`client ${version}: auth, refused and granted`, async (t) => {
            const socket = await open(t, VERSIONS[version], server.url, { auth: { token: 'abc', n: [1] } });
            assert.deepEqual(await socket.greeting, [{ token: 'abc', n: [1] }]);
            const refused = create(t, VERSIONS[version], `${server.url}/lab`, { auth: { refuse: 'not today' } });
            const [error] = await once(refused, 'connect_error');
            assert.equal(error.message, 'not today');
            assert.deepEqual(error.data, { code: 'UNAUTHORIZED' });
            assert.equal(refused.connected, false);
            refused.auth = {};
            refused.connect();
            await once(refused, 'connect');
            const [unknown] = await once(create(t, VERSIONS[version], `${server.url}/nowhere`), 'connect_error');
            assert.equal(unknown.message, 'Invalid namespace');
        });
    }

    it('client 4: an acknowledgement that never comes', async (t) => {
        const socket = await open(t, io4, server.url);
        await assert.rejects(socket.timeout(50).emitWithAck('nobody listens'), /timed out/);
        assert.deepEqual(await socket.timeout(20000).emitWithAck('message-with-ack', 1), 1);
    });

    it('client 2: refused by the application', async (t) => {
        const refused = create(t, VERSIONS[2], `${server.url}/lab?refuse=not%20today`);
        const answer = await new Promise((resolve) => refused.on('error', resolve));
        assert.deepEqual(answer, target.name === 'original' ? { code: 'UNAUTHORIZED' } : 'not today');
        assert.equal(refused.connected, false);
    });

    it('client 2: auth is what the namespace’s query says', async (t) => {
        const socket = await open(t, VERSIONS[2], `${server.url}/custom?token=a%20b`);
        assert.deepEqual(await socket.greeting, [{ token: 'a b' }]);
        assert.equal(socket.id, `/custom#${socket.io.engine.id}`);
    });

    for (const [name, transports] of Object.entries(TRANSPORTS)) {
        it(`engine.io-client, ${name}: text and bytes`, async (t) => {
            const socket = new EngineClient(server.url, { path: '/engine.io/', transports });
            socket.binaryType = 'nodebuffer';
            t.after(() => socket.close());
            await once(socket, 'open');
            const sent = ['hello', 'ü\u{1F600}', BYTES, Buffer.alloc(100000, 1), 'x'.repeat(100000), 'end'];
            const got = [];
            const all = new Promise((resolve) => {
                socket.on('message', (data) => got.push(plain(data)) === sent.length && resolve());
            });
            for (const message of sent) {
                socket.send(message);
            }
            await all;
            assert.deepEqual(got, sent);
            const closed = once(socket, 'close');
            socket.close();
            assert.equal((await closed)[0], 'forced close');
        });
    }

    it('engine.io-client: an upgrade in the midst of messages loses and doubles nothing', async (t) => {
        for (let round = 0; round < 10; round++) {
            const socket = new EngineClient(server.url, { path: '/engine.io/', transports: TRANSPORTS.upgrade });
            socket.binaryType = 'nodebuffer';
            t.after(() => socket.close());
            const got = [];
            const all = new Promise((resolve) => {
                socket.on('message', (data) => got.push(plain(data)) === 600 && resolve());
            });
            const upgraded = once(socket, 'upgrade');
            await once(socket, 'open');
            const sent = Array.from({ length: 600 }, (_, i) => (i % 10 === 0 ? Buffer.from(`${i}`) : `${i}`));
            for (const [i, message] of sent.entries()) {
                socket.send(message);
                if (i % 3 === 0) {
                    await new Promise(setImmediate);
                }
            }
            await Promise.all([all, upgraded]);
            assert.deepEqual(got, sent);
            assert.equal(socket.transport.name, 'websocket');
        }
    });
});

/** A raw client in the room that stops reading, while `rounds` large events are sent there; two others must get all. */
async function flood(t, server, rounds) {
    const slow = await connectNamespace(t, server, { connect: '40/lab' });
    await slow.send('42/lab,0["join","flood"]');
    assert.equal(await slow.next(), '43/lab,0[]');
    slow.raw.client.socket.pause();
    const others = [await open(t, io4, `${server.url}/lab`), await open(t, io4, `${server.url}/lab`)];
    const heard = others.map((socket) => {
        const list = [];
        socket.on('cast', (i, text) => list.push([i, text.length]));
        return list;
    });
    await Promise.all(others.map((socket) => ask(socket, 'join', 'flood')));
    const text = 'x'.repeat(500000);
    for (let i = 0; i < rounds; i++) {
        await ask(others[0], 'shout', 'flood', i, text);
    }
    await Promise.all(others.map((socket) => ask(socket, 'leave', 'flood')));
    for (const list of heard) {
        assert.deepEqual(list, Array.from({ length: rounds }, (_, i) => [i, text.length]));
    }
    return slow;
}

if (targets.some(({ name }) => name === 'parley')) {
    test('parley: a client that stops reading is closed, and holds up nobody', async (t) => {
        const server = await startParley({ after }, { env: { SLOW_CONSUMER: 'close' } });
        const slow = await flood(t, server, 60);
        slow.raw.client.socket.resume();
        assert.equal((await slow.raw.closeFrame()).code, 1013);
    });

    test('parley: a client that stops reading misses events when those are dropped', async (t) => {
        const server = await startParley({ after }, { env: { SLOW_CONSUMER: 'drop' } });
        const slow = await flood(t, server, 60);
        slow.raw.client.socket.resume();
        const numbers = [];
        for (let message = ''; !message.startsWith('43/lab,'); message = await slow.take()) {
            if (message !== '') {
                numbers.push(JSON.parse(message.slice('42/lab,'.length))[1]);
            }
            await slow.send('42/lab,1["leave","flood"]'); // answers are dropped too while too much waits
        }
        assert.ok(numbers.length > 0 && numbers.length < 60, String(numbers.length));
        assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
        assert.equal(new Set(numbers).size, numbers.length);
    });
}
