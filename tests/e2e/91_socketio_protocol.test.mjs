// Socket.IO 5, and 4 on Engine.IO 3, packet by packet: parley, and the original as a control.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { everywhere } from './support/conformance.mjs';
import { EngineSocket, Polling, connectGreeted, connectNamespace } from './support/engineio.mjs';

const PATH = { path: '/socket.io/' };
const HASTY = { connectTimeout: 300 };
const place = (num) => ({ _placeholder: true, num });
const eventOf = (text, prefix = '42') => {
    assert.ok(text.startsWith(prefix), text);
    return JSON.parse(text.slice(prefix.length));
};

await everywhere(async (it, target) => {
    const server = await target.start({ after });
    const quick = await target.start({ after }, { pingInterval: 300, pingTimeout: 5000 });
    const hasty = await target.start({ after }, HASTY);

    /** The server closes the connection, in order, upon these messages. */
    async function closes(t, messages, open = () => connectGreeted(t, server)) {
        const socket = await open();
        for (const message of messages) {
            await socket.send(message);
        }
        await socket.closed();
    }

    async function stillWorks(socket) {
        await socket.send('42["message","still there"]');
        assert.equal(await socket.take(), '42["message-back","still there"]');
    }

    it('CONNECT to the main namespace', async (t) => {
        for (const [connect, auth] of [
            ['40', {}],
            ['40{}', {}],
            ['40{"token":"123"}', { token: '123' }],
            ['40/,{"a":{"b":["ü",null]}}', { a: { b: ['ü', null] } }],
        ]) {
            const socket = await connectGreeted(t, server, { connect });
            const answer = eventOf(socket.reply, '40');
            assert.deepEqual(Object.keys(answer), ['sid']);
            assert.match(answer.sid, /^[\w-]{20}$/);
            assert.notEqual(answer.sid, socket.sid);
            assert.deepEqual(eventOf(socket.greeting), ['auth', auth]);
        }
    });

    it('CONNECT to another namespace, with and without a comma', async (t) => {
        for (const [connect, auth] of [
            ['40/custom', {}],
            ['40/custom,', {}],
            ['40/custom,{"token":"abc"}', { token: 'abc' }],
        ]) {
            const socket = await connectGreeted(t, server, { connect });
            assert.deepEqual(Object.keys(eventOf(socket.reply, '40/custom,')), ['sid']);
            assert.deepEqual(eventOf(socket.greeting, '42/custom,'), ['auth', auth]);
        }
    });

    it('several namespaces on one connection, each with its own id', async (t) => {
        const socket = await connectGreeted(t, server);
        const sids = [eventOf(socket.reply, '40').sid];
        await socket.send('40/custom');
        sids.push(eventOf(await socket.next(), '40/custom,').sid);
        assert.deepEqual(eventOf(await socket.next(), '42/custom,'), ['auth', {}]);
        await socket.send('40/lab,');
        sids.push(eventOf(await socket.next(), '40/lab,').sid);
        assert.equal(new Set(sids).size, 3);
        await stillWorks(socket);
    });

    it('CONNECT to an unknown namespace is refused, and the connection stays', async (t) => {
        for (const connect of ['40/random', '40/random,', '40/random,{"a":1}']) {
            const socket = await connectNamespace(t, server, { connect });
            assert.equal(socket.reply, '44/random,{"message":"Invalid namespace"}');
            await socket.send('40');
            assert.match(await socket.next(), /^40\{/);
            await socket.next(); // auth
            await stillWorks(socket);
        }
    });

    it('CONNECT that the application refuses, with data', async (t) => {
        const socket = await connectNamespace(t, server, { connect: '40/lab,{"refuse":"not \\"today\\""}' });
        assert.equal(socket.reply, '44/lab,{"message":"not \\"today\\"","data":{"code":"UNAUTHORIZED"}}');
        await socket.send('40/lab,{}');
        assert.match(await socket.next(), /^40\/lab,\{"sid":/);
    });

    it('CONNECT whose auth is no object closes the connection', async (t) => {
        for (const connect of ['40[1]', '40"x"', '40null', '40true', '40{', '40/custom,[]', '40{"a":1}x']) {
            await closes(t, [connect], () => EngineSocket.open(server, PATH));
        }
    });

    it('anything before CONNECT closes the connection', async (t) => {
        for (const first of ['42["message"]', '41', '431[]', 'abc', '4abc', Buffer.from([1])]) {
            await closes(t, [first], () => EngineSocket.open(server, PATH));
        }
    });

    it('who does not connect in time is closed', async (t) => {
        const polling = await Polling.open(hasty, PATH);
        await closes(t, [], () => EngineSocket.open(hasty, PATH));
        await closes(t, [], () => connectNamespace(t, hasty, { connect: '40/random' }));
        await polling.get(); // the close packet, or refused already
        await polling.gone();
        const socket = await connectGreeted(t, hasty);
        await socket.send('41');
        await sleep(2 * HASTY.connectTimeout); // longer than a client may take that never connected
        await socket.send('40');
        assert.match(await socket.next(), /^40\{/);
    });

    it('what breaks the rules closes the connection', async (t) => {
        const wrong = [
            '4', '4abc', '47', '49', '42{}', '42"x"', '42[]', '42[{}]', '42[null]', '42[true]', '42[["a"]]',
            '42abc["message"]', '421.5["message"]', '42-1["message"]', '42["message"', '42["message"]x', '42message',
            '42["connect"]', '42["connect_error"]', '42["disconnect"]', '42["disconnecting"]', '42["newListener"]',
            '42["removeListener"]', '42/custom,["x"]', '42/unknown,["x"]', '41/custom', '41{}', '41["x"]', '431{}',
            '431"x"', '44', '44{"message":"x"}', '45', '45["x"]', '45-["x"]', '450-["x"]', '45-1-["x"]', '45x-["x"]',
            '451.5-["x"]', '451["message"]', '4611-1[]',
        ];
        const unnoticed = ['42', '451-', '45\0', '42\0["message"]', '421'];
        for (const message of target.name === 'original' ? wrong : [...wrong, ...unnoticed]) {
            await closes(t, [message]).catch((error) => assert.fail(`${message}: ${error.message}`));
        }
    });

    it('CONNECT twice closes the connection', async (t) => {
        await closes(t, ['40']);
        await closes(t, ['40/custom,'], () => connectGreeted(t, server, { connect: '40/custom' }));
    });

    it('attachments that are not announced, or others than announced, close the connection', async (t) => {
        const one = `451-${JSON.stringify(['message', place(0)])}`;
        await closes(t, [Buffer.from([1])]);
        await closes(t, [one, '42["message"]']);
        await closes(t, [one, one]);
        await closes(t, [one, '41']);
        await closes(t, [one.replace('"num":0', '"num":1'), Buffer.from([1])]);
        await closes(t, [one.replace('"num":0', '"num":"0"'), Buffer.from([1])]);
        await closes(t, [one.replace('"num":0', '"num":-1'), Buffer.from([1])]);
        await closes(t, [one, Buffer.from([1]), Buffer.from([2])]);
    });

    it('ten attachments are taken, eleven close the connection', async (t) => {
        const packet = (n) => `45${n}-${JSON.stringify(['message', ...Array.from({ length: n }, (_, i) => place(i))])}`;
        const socket = await connectGreeted(t, server);
        await socket.send(packet(10));
        for (let i = 0; i < 10; i++) {
            await socket.send(Buffer.alloc(i, i));
        }
        assert.equal(await socket.next(), packet(10).replace('message', 'message-back'));
        for (let i = 0; i < 10; i++) {
            assert.deepEqual(await socket.next(), Buffer.alloc(i, i));
        }
        await socket.send(packet(11));
        await socket.closed();
    });

    it('events come back as they were sent', async (t) => {
        const socket = await connectGreeted(t, server);
        for (const args of [
            [1, '2', { 3: [true] }],
            [],
            [null, -0.5, 1e21, 'ü\u{1F600}"\\\n', [], {}, [[[]]], { '': '' }],
            [{ __proto__: 1, constructor: 'x' }],
            ['x'.repeat(100000)],
        ]) {
            await socket.send(`42${JSON.stringify(['message', ...args])}`);
            assert.deepEqual(eventOf(await socket.next()), ['message-back', ...args]);
        }
        await socket.send(' 42["message"]'.trim().replace('[', '[ ').replace(']', ' , { "a" : 1 } ]'));
        assert.deepEqual(eventOf(await socket.next()), ['message-back', { a: 1 }]);
    });

    it('events nobody handles are harmless', async (t) => {
        const socket = await connectGreeted(t, server);
        for (const name of ['unknown', '', 'toString', '__proto__', 'constructor', 'error', 'ü', 1, 0, -1.5]) {
            await socket.send(`42${JSON.stringify([name, 1])}`);
            await socket.send(`427${JSON.stringify([name, 1])}`);
        }
        await stillWorks(socket);
    });

    it('acknowledgements carry the id they were asked with', async (t) => {
        const socket = await connectGreeted(t, server);
        for (const id of ['456', '0', '9007199254740991']) {
            await socket.send(`42${id}["message-with-ack",1,"2",{"3":[false]}]`);
            assert.equal(await socket.next(), `43${id}[1,"2",{"3":[false]}]`);
        }
        await socket.send('427["message-with-ack"]');
        assert.equal(await socket.next(), '437[]');
    });

    it('binary events and acknowledgements', async (t) => {
        const socket = await connectGreeted(t, server);
        const args = JSON.stringify([{ nested: [place(0)] }, place(1)]);
        await socket.send(`452-["message",${args.slice(1)}`);
        await socket.send(Buffer.from([1, 2, 3]));
        await socket.send(Buffer.from([4, 5, 6]));
        assert.equal(await socket.next(), `452-["message-back",${args.slice(1)}`);
        assert.deepEqual(await socket.next(), Buffer.from([1, 2, 3]));
        assert.deepEqual(await socket.next(), Buffer.from([4, 5, 6]));
        await socket.send(`452-789["message-with-ack",${args.slice(1)}`);
        await socket.send(Buffer.from([7]));
        await socket.send(Buffer.alloc(0));
        assert.equal(await socket.next(), `462-789${args}`);
        assert.deepEqual(await socket.next(), Buffer.from([7]));
        assert.deepEqual(await socket.next(), Buffer.alloc(0));
        await stillWorks(socket);
    });

    it('all of it over polling, attachments in base64, also in a POST of their own', async () => {
        const session = await Polling.open(server, PATH);
        await session.send('40{"token":"x"}');
        const [reply, greeting] = await session.take(2);
        assert.deepEqual(Object.keys(eventOf(reply, '40')), ['sid']);
        assert.deepEqual(eventOf(greeting), ['auth', { token: 'x' }]);
        const args = JSON.stringify(['message', place(0), place(1)]);
        await session.send('42["message","a"]', `452-${args}`, 'bAQID', 'bBAUG', '421["message-with-ack","b"]');
        assert.deepEqual(await session.take(5), [
            '42["message-back","a"]',
            `452-${args.replace('message', 'message-back')}`,
            'bAQID',
            'bBAUG',
            '431["b"]',
        ]);
        await session.send(`452-2${args.replace('message', 'message-with-ack')}`);
        await session.send('bAQID');
        await session.send('bBAUG');
        assert.deepEqual(await session.take(3), [`462-2${JSON.stringify([place(0), place(1)])}`, 'bAQID', 'bBAUG']);
        await session.post('42[]');
        await session.get(); // the close packet, or refused already
        await session.gone();
    });

    it('disconnecting from a namespace leaves the connection and the others', async (t) => {
        const socket = await connectGreeted(t, server);
        await socket.send('40/custom');
        await socket.next();
        await socket.next();
        await socket.send('41/custom');
        await stillWorks(socket);
        await socket.send('40/custom,');
        assert.match(await socket.next(), /^40\/custom,/);
        await socket.next();
        await socket.send('41/custom,');
        await socket.send('40/lab,');
        assert.match(await socket.next(), /^40\/lab,/);
        await socket.send('41');
        await socket.send('42/lab,0["join","x"]');
        assert.equal(await socket.next(), '43/lab,0[]'); // the original needs a moment for the disconnect
        await socket.send('40');
        assert.match(await socket.next(), /^40\{/);
        await socket.next();
        await stillWorks(socket);
        await socket.send('41');
        await socket.send('42["message"]');
        await socket.closed();
    });

    it('what comes behind the last disconnect is the heartbeat', async (t) => {
        const socket = await connectGreeted(t, quick);
        await socket.send('41');
        assert.equal(await socket.next(), '2');
        await socket.send('3');
        assert.equal(await socket.next(), '2');
    });

    it('the server disconnects a namespace, or the connection with it', async (t) => {
        const socket = await connectGreeted(t, server);
        await socket.send('40/lab');
        await socket.next();
        await socket.send('42/lab,["bye",false]');
        assert.equal(await socket.next(), '41/lab,');
        await stillWorks(socket);
        await socket.send('40/lab');
        assert.match(await socket.next(), /^40\/lab,/);
        await socket.send('42/lab,["bye",true]');
        const last = [await socket.next(), await socket.next()].sort();
        assert.deepEqual(last, ['41', '41/lab,']);
        await socket.closed();
        const session = await Polling.open(server, PATH);
        await session.send('40/lab');
        await session.take(1);
        await session.send('42/lab,["bye",true]');
        assert.equal((await session.take(1))[0], '41/lab,');
        await session.get();
        await session.gone();
    });

    it('a client that is disconnected in the midst of its upgrade hears of it, wherever it goes on', async (t) => {
        const ways = [['5', true], ['4', false], [undefined, false]];
        // the original tells only a client that changes over at once
        for (const [last, upgrades] of target.name === 'original' ? ways.slice(0, 1) : ways) {
            const session = await Polling.open(server, PATH);
            await session.send('40/lab');
            await session.take(1);
            const socket = await EngineSocket.open(server, { ...PATH, sid: session.sid });
            t.after(() => socket.drop());
            const held = session.poll();
            await socket.send('2probe');
            assert.equal(await socket.next(), '3probe');
            assert.deepEqual(await held, ['6']);
            await session.send('42/lab,["bye",true]'); // it polls no more, but has not changed over yet
            if (last) {
                await socket.send(last);
            }
            if (upgrades) {
                assert.equal(await socket.next(), '41/lab,');
                await socket.closed();
            } else {
                assert.deepEqual(await session.take(1), ['41/lab,']);
                assert.equal((await session.poll()).at(-1), '1');
            }
            await session.gone();
        }
    });

    it('the server asks, the client answers once; a wrong id is nobody’s answer', async (t) => {
        const socket = await connectNamespace(t, server, { connect: '40/lab' });
        const ask = async (ms, ...args) => {
            await socket.send(`42/lab,${JSON.stringify(['ask', ms, ...args])}`);
            const [, id, question] = /^42\/lab,(\d+)(\[.*)$/.exec(await socket.next());
            assert.deepEqual(JSON.parse(question), ['question', ...args]);
            return id;
        };
        const answered = async () => eventOf(await socket.next(), '42/lab,');
        const id = await ask(20000, 'a', { b: 1 });
        await socket.send('43/lab,999999["wrong"]');
        await socket.send(`43/lab,${id}["yes",2]`);
        await socket.send(`43/lab,${id}["again"]`);
        assert.deepEqual(await answered(), ['answered', { ok: true, args: ['yes', 2] }]);
        const second = await ask(20000);
        assert.notEqual(second, id);
        await socket.send(`461-/lab,${second}${JSON.stringify([place(0)])}`);
        await socket.send(Buffer.from([1, 2]));
        assert.equal(await socket.next(), `451-/lab,${JSON.stringify(['answered', { ok: true, args: [place(0)] }])}`);
        assert.deepEqual(await socket.next(), Buffer.from([1, 2]));
        const late = await ask(30);
        assert.deepEqual(await answered(), ['answered', { ok: false, args: [] }]);
        await socket.send(`43/lab,${late}["late"]`);
        const open = await ask(0);
        await socket.send(`43/lab,${open}[]`);
        assert.deepEqual(await answered(), ['answered', { ok: true, args: [] }]);
    });

    it('protocol 4: the server connects the main namespace, others carry their auth in the query', async (t) => {
        const socket = await EngineSocket.open(server, { ...PATH, version: 3 });
        t.after(() => socket.drop());
        assert.equal(await socket.next(), '40');
        assert.equal(await socket.next(), '42["auth",{}]');
        await socket.send('40/custom?token=a%20b&x=1,');
        assert.equal(await socket.next(), '40/custom,');
        assert.deepEqual(eventOf(await socket.next(), '42/custom,'), ['auth', { token: 'a b', x: '1' }]);
        await socket.send('40/random');
        // servers of version 2 answer with a text; the original does so only where there is nothing else to say
        const refused =
            target.name === 'original'
                ? ['{"message":"Invalid namespace"}', '{"code":"UNAUTHORIZED"}']
                : ['"Invalid namespace"', '"no"'];
        assert.equal(await socket.next(), `44/random,${refused[0]}`);
        await socket.send('40/lab?refuse=no');
        assert.equal(await socket.next(), `44/lab,${refused[1]}`);
        await socket.send('40/lab');
        assert.equal(await socket.next(), '40/lab,');
        await socket.send(`451-1["message-with-ack",${JSON.stringify(place(0))}]`);
        await socket.send(Buffer.from([4, 1, 2]));
        assert.equal(await socket.next(), `461-1${JSON.stringify([place(0)])}`);
        assert.deepEqual(await socket.next(), Buffer.from([4, 1, 2]));
        await socket.send('42/lab,["bye",false]');
        assert.equal(await socket.next(), '41/lab,');
        await stillWorks(socket);
    });

    it('protocol 4 over polling', async () => {
        const session = await Polling.open(server, { ...PATH, version: 3, query: '&b64=1' });
        assert.deepEqual(await session.take(2), ['40', '42["auth",{}]']);
        await session.send('42["message","ü",1]', `451-${JSON.stringify(['message', place(0)])}`, 'b4AQID');
        assert.deepEqual(await session.take(3), [
            '42["message-back","ü",1]',
            `451-${JSON.stringify(['message-back', place(0)])}`,
            'b4AQID',
        ]);
    });
});
