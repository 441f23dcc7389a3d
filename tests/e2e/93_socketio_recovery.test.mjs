// Clients that lose their connection and come back: nothing is missed, doubled or reordered. The official client 4,
// with offsets (auth.recovery) and without; what the original can do too is run on it as a control.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { setImmediate as breathe } from 'node:timers/promises';
import { io } from 'socket.io-client';
import { everywhere, startParley, targets } from './support/conformance.mjs';
import { connectNamespace } from './support/engineio.mjs';
import { TcpProxy } from './support/tcp_proxy.mjs';

const TRANSPORTS = { polling: ['polling'], websocket: ['websocket'], upgrade: ['polling', 'websocket'] };
const KEEP = { recovery: 120000, env: { THREADS: '4' } };
const ask = (socket, ...args) => socket.timeout(20000).emitWithAck(...args);

/** Ways to lose a connection, as the client's side sees them. */
const LOSSES = {
    'engine.close()': (socket) => socket.io.engine.close(),
    'a reset': async (socket, proxy) => {
        while (proxy.cut() === 0) {
            await breathe(); // it is between two polls
        }
    },
    'a connection that stands still': (socket, proxy) => {
        proxy.silence(); // the server goes on taking it for alive
        socket.io.engine.close();
    },
};

/** A client in room `blue` that keeps what was cast: `heard`. `back` resolves with the next connect. */
async function listen(t, proxy, { auth = { recovery: true }, transports = TRANSPORTS.websocket, ...options } = {}) {
    const socket = io(`${proxy.url}/lab`, {
        transports,
        auth,
        forceNew: true,
        reconnectionDelay: 20,
        reconnectionDelayMax: 50,
        ...options,
    });
    t.after(() => socket.close());
    socket.heard = [];
    socket.on('cast', (...args) => socket.heard.push(args));
    socket.back = () => new Promise((resolve) => socket.once('connect', resolve));
    await socket.back();
    socket.io.engine.on('packet', ({ type, data }) => {
        // a heartbeat behind an event asks whether the event was got
        socket.confirms = type === 'ping' || (socket.confirms && !(type === 'message' && data.startsWith('2')));
    });
    await ask(socket, 'join', 'blue');
    return socket;
}

/** Waits until the server knows that the client has all events that it got. */
async function confirmed(socket) {
    while (!socket.confirms) {
        await once(socket.io.engine, 'ping');
    }
    await ask(socket, 'join', 'blue'); // the answer comes behind the heartbeat's
}

/** Speaks to room `blue` in numbers, over a connection of its own that is never lost. */
async function speaker(t, server) {
    const socket = io(`${server.url}/lab`, { transports: ['websocket'], forceNew: true });
    t.after(() => socket.close());
    await once(socket, 'connect');
    let last = 0;
    return {
        async say(n) {
            for (let i = 0; i < n; i++) {
                await ask(socket, 'shout', 'blue', ++last);
            }
        },
        get last() {
            return last;
        },
    };
}

/** Waits until all numbers were heard, and checks that each was, once and in order. */
async function heardAll(socket, count, extra) {
    await ask(socket, 'join', 'blue'); // the answer comes behind them
    assert.deepEqual(socket.heard.map(([number]) => number), Array.from({ length: count }, (_, i) => i + 1));
    if (extra !== undefined) {
        assert.deepEqual(socket.heard.map((args) => args.length - 1), socket.heard.map(() => extra));
    }
}

async function lose(socket, proxy, loss, meanwhile) {
    const { id } = socket;
    const back = socket.back();
    const gone = once(socket, 'disconnect');
    await LOSSES[loss](socket, proxy);
    await gone;
    await meanwhile();
    await back;
    return { recovered: Boolean(socket.recovered), same: socket.id === id };
}

/** How many sessions of parley ended. */
async function ended({ url }) {
    const text = await (await fetch(`${url}/metrics`)).text();
    return [...text.matchAll(/^parley_engineio_closed_total\{.*\} (\d+)/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
}

/** A wait for the next session's end, to be begun before it: the client knows first that it is gone. */
async function nextEnd(server) {
    const before = await ended(server);
    return async () => {
        while ((await ended(server)) === before) {
            await breathe();
        }
    };
}

const RECOVERED = { recovered: true, same: true };
const AFRESH = { recovered: false, same: false };

await everywhere(async (it, target) => {
    const server = await target.start({ after }, KEEP);
    const original = target.name === 'original';

    for (const [name, transports] of Object.entries(TRANSPORTS)) {
        for (const loss of Object.keys(LOSSES)) {
            if (original && (loss === 'a connection that stands still' || name + loss === 'pollingengine.close()')) {
                continue; // it recovers nobody who is back before it noticed the loss
            }
            it(`${name}: ${loss}`, async (t) => {
                const proxy = await TcpProxy.to(t, server.port);
                const socket = await listen(t, proxy, { transports });
                const others = await speaker(t, server);
                await others.say(3);
                for (let i = 0; i < (original ? 1 : 5); i++) {
                    assert.deepEqual(await lose(socket, proxy, loss, () => others.say(3)), RECOVERED);
                    await others.say(2);
                    await heardAll(socket, others.last, 1);
                }
            });
        }
    }

    it('who left by itself, or was sent away, is not recovered', async (t) => {
        const proxy = await TcpProxy.to(t, server.port);
        const others = await speaker(t, server);
        for (const leave of [(socket) => socket.disconnect(), (socket) => socket.emit('bye', false)]) {
            const socket = await listen(t, proxy);
            await others.say(1);
            await ask(socket, 'join', 'blue');
            const gone = once(socket, 'disconnect');
            leave(socket);
            await gone;
            const back = socket.back();
            socket.connect();
            await back;
            assert.equal(socket.recovered, false);
            socket.close();
        }
    });

    it('after the time for it, a client is new', async (t) => {
        const hasty = await target.start(t, { recovery: 1000, env: { THREADS: '4' } });
        const proxy = await TcpProxy.to(t, hasty.port);
        const socket = await listen(t, proxy, { reconnectionDelay: 2500, reconnectionDelayMax: 2500 });
        const others = await speaker(t, hasty);
        await others.say(2);
        await heardAll(socket, 2);
        assert.deepEqual(await lose(socket, proxy, 'a reset', () => others.say(1)), AFRESH);
        await others.say(1);
        await ask(socket, 'leave', 'nothing');
        assert.equal(socket.heard.length, 2, 'its rooms are gone too');
    });
});

if (targets.some(({ name }) => name === 'parley')) {
    const server = await startParley({ after }, KEEP);
    const it = (name, body) => test(`parley: ${name}`, body);

    it('the answer to CONNECT', async (t) => {
        const plain = await connectNamespace(t, server, { connect: '40/lab' });
        const answer = JSON.parse(plain.reply.slice('40/lab,'.length));
        assert.deepEqual(Object.keys(answer), ['sid', 'pid']);
        assert.match(answer.pid, /^[\w-]{20}$/);
        const old = await connectNamespace(t, server, { connect: '40/lab', version: 3 });
        assert.equal(old.reply, '40', 'clients of Engine.IO 3 know nothing of it');
    });

    it('only clients that ask get offsets', async (t) => {
        const others = await speaker(t, server);
        const proxy = await TcpProxy.to(t, server.port);
        const [plain, byAuth, byQuery] = await Promise.all([
            listen(t, proxy, { auth: {} }),
            listen(t, proxy),
            listen(t, proxy, { auth: {}, query: { recovery: 1 } }),
        ]);
        await others.say(3);
        await heardAll(plain, 3, 0);
        await heardAll(byAuth, 3, 1);
        await heardAll(byQuery, 3, 1);
        const offsets = byAuth.heard.map(([, offset]) => offset);
        assert.ok(offsets.every((offset) => typeof offset === 'string'));
        assert.equal(new Set(offsets).size, 3);
    });

    it('a quiet client is recovered, again and again', async (t) => {
        const proxy = await TcpProxy.to(t, server.port);
        for (const auth of [{}, { recovery: true }]) {
            const socket = await listen(t, proxy, { auth });
            for (const loss of Object.keys(LOSSES)) {
                assert.deepEqual(await lose(socket, proxy, loss, async () => {}), RECOVERED);
            }
            const others = await speaker(t, server);
            await others.say(2);
            await heardAll(socket, 2);
            socket.close();
        }
    });

    it('without offsets, a client is recovered once a heartbeat confirmed what it was sent', async (t) => {
        const others = await speaker(t, server);
        const proxy = await TcpProxy.to(t, server.port);
        const socket = await listen(t, proxy, { auth: {} });
        await others.say(5);
        await heardAll(socket, 5, 0);
        await confirmed(socket);
        const noticed = await nextEnd(server);
        const lost = await lose(socket, proxy, 'a reset', () => noticed().then(() => others.say(3)));
        assert.deepEqual(lost, RECOVERED);
        await heardAll(socket, 8);
    });

    it('a text at the end of an event is no offset', async (t) => {
        const proxy = await TcpProxy.to(t, server.port);
        const socket = await listen(t, proxy, { auth: {} });
        const other = io(`${server.url}/lab`, { transports: ['websocket'], forceNew: true });
        t.after(() => other.close());
        await ask(other, 'shout', 'blue', 'hello');
        await ask(socket, 'join', 'blue');
        assert.deepEqual(socket.heard, [['hello']]);
        await confirmed(socket);
        const noticed = await nextEnd(server);
        const speak = () => noticed().then(() => ask(other, 'shout', 'blue', 'there'));
        const lost = await lose(socket, proxy, 'a reset', speak);
        assert.deepEqual(lost, RECOVERED, 'the client sends the text for an offset, which it is not');
        await ask(socket, 'join', 'blue');
        assert.deepEqual(socket.heard.map(([text]) => text), ['hello', 'there']);
    });

    it('without offsets and unconfirmed, a client is new rather than wrong', async (t) => {
        const others = await speaker(t, server);
        const proxy = await TcpProxy.to(t, server.port);
        const socket = await listen(t, proxy, { auth: {} });
        proxy.silence(); // what is said now may or may not arrive
        await others.say(1);
        assert.deepEqual(await lose(socket, proxy, 'engine.close()', async () => {}), AFRESH);
        assert.deepEqual(socket.heard, []);
    });

    it('heartbeats find a connection that stands still, on both sides', async (t) => {
        const quick = await startParley(t, { ...KEEP, pingInterval: 400, pingTimeout: 1000 });
        const proxy = await TcpProxy.to(t, quick.port);
        const socket = await listen(t, proxy);
        const others = await speaker(t, quick);
        for (let i = 0; i < 3; i++) {
            await others.say(2);
            await ask(socket, 'join', 'blue');
            const { id } = socket;
            const back = socket.back();
            const gone = once(socket, 'disconnect');
            proxy.silence();
            await others.say(3);
            assert.equal((await gone)[0], 'ping timeout');
            await back;
            assert.equal(socket.recovered, true);
            assert.equal(socket.id, id);
            await heardAll(socket, others.last, 1);
        }
    });

    it('several namespaces of one connection come back together', async (t) => {
        const proxy = await TcpProxy.to(t, server.port);
        const socket = await listen(t, proxy);
        const custom = socket.io.socket('/custom', { auth: { recovery: true } });
        t.after(() => custom.close());
        const greetings = [];
        custom.on('auth', (auth) => greetings.push(auth));
        await once(custom, 'auth');
        const others = await speaker(t, server);
        for (let i = 0; i < 3; i++) {
            const { id } = custom;
            const back = once(custom, 'connect');
            assert.deepEqual(await lose(socket, proxy, 'a reset', () => others.say(2)), RECOVERED);
            await back;
            assert.equal(custom.recovered, true);
            assert.equal(custom.id, id);
        }
        await heardAll(socket, others.last, 1);
        assert.equal(greetings.length, 1);
    });

    it('many clients at once, over and over, whatever loop they come to', async (t) => {
        const proxy = await TcpProxy.to(t, server.port);
        const sockets = await Promise.all(
            Array.from({ length: 24 }, (_, i) => listen(t, proxy, { transports: Object.values(TRANSPORTS)[i % 3] })),
        );
        const others = await speaker(t, server);
        for (let round = 0; round < 6; round++) {
            await others.say(2);
            await Promise.all(sockets.map((socket) => ask(socket, 'join', 'blue')));
            const back = sockets.map((socket) => once(socket, 'disconnect').then(() => socket.back()));
            let left = sockets.length;
            sockets.forEach((socket) => socket.once('disconnect', () => left--));
            for (; left > 0; await breathe()) {
                proxy.cut(); // again for those that were between two polls
            }
            await others.say(3);
            await Promise.all(back);
            assert.deepEqual(sockets.map(({ recovered }) => recovered), sockets.map(() => true));
        }
        await Promise.all(sockets.map((socket) => heardAll(socket, others.last, 1)));
    });

    it('what the client sends meanwhile arrives, once', async (t) => {
        const proxy = await TcpProxy.to(t, server.port);
        const socket = await listen(t, proxy);
        const answer = await lose(socket, proxy, 'a reset', async () => {
            socket.emit('shout', 'blue', 1);
            socket.emit('shout', 'blue', 2);
        });
        assert.deepEqual(answer, RECOVERED);
        await heardAll(socket, 2, 1);
    });

    it('a pid is good for one client at a time, and for its namespace only', async (t) => {
        const first = await connectNamespace(t, server, { connect: '40/lab' });
        const { sid, pid } = JSON.parse(first.reply.slice('40/lab,'.length));
        const elsewhere = await connectNamespace(t, server, { connect: `40/custom,{"pid":"${pid}"}` });
        assert.notEqual(JSON.parse(elsewhere.reply.slice('40/custom,'.length)).sid, sid);
        await first.send('42/lab,7["join","x"]');
        assert.equal(await first.next(), '43/lab,7[]', 'and it is still there');
        const second = await connectNamespace(t, server, { connect: `40/lab,{"pid":"${pid}"}` });
        assert.equal(JSON.parse(second.reply.slice('40/lab,'.length)).sid, sid);
        await first.closed();
        await second.send('42/lab,8["join","x"]');
        assert.equal(await second.take(), '43/lab,8[]');
    });

    it('nonsense for a pid or an offset is an ordinary CONNECT', async (t) => {
        const first = await connectNamespace(t, server, { connect: '40/lab' });
        const { pid } = JSON.parse(first.reply.slice('40/lab,'.length));
        first.drop();
        for (const auth of [
            { pid: 'x' },
            { pid: '' },
            { pid: 7, offset: {} },
            { pid: 'x'.repeat(5000), offset: 'y'.repeat(5000) },
            { pid: '____________________', offset: '' },
            { pid, offset: 'z'.repeat(20), recovery: true },
        ]) {
            const socket = await connectNamespace(t, server, { connect: `40/lab,${JSON.stringify(auth)}` });
            const answer = JSON.parse(socket.reply.slice('40/lab,'.length));
            assert.deepEqual(Object.keys(answer), ['sid', 'pid']);
        }
    });

    it('after a restart of the server, a client is new and goes on', async (t) => {
        const before = await startParley(t, KEEP);
        const proxy = await TcpProxy.to(t, before.port);
        const socket = await listen(t, proxy);
        const others = await speaker(t, before);
        await others.say(2);
        await heardAll(socket, 2);
        const { id } = socket;
        const back = socket.back();
        const next = await startParley(t, KEEP);
        proxy.target = next.port;
        await before.stop();
        await back;
        assert.equal(socket.recovered, false);
        assert.notEqual(socket.id, id);
        await ask(socket, 'join', 'blue');
        await (await speaker(t, next)).say(1);
        await ask(socket, 'join', 'blue');
        assert.equal(socket.heard.length, 3);
    });

    it('switched off, nobody is recovered and no offsets are sent', async (t) => {
        const off = await startParley(t, { recovery: 0 });
        const proxy = await TcpProxy.to(t, off.port);
        const socket = await listen(t, proxy);
        const others = await speaker(t, off);
        await others.say(2);
        await heardAll(socket, 2, 0);
        assert.deepEqual(await lose(socket, proxy, 'a reset', async () => {}), AFRESH);
    });
}
