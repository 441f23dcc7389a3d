// Engine.IO 4 byte by byte, on a server that echoes: parley, and the original as a control.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { everywhere, targets } from './support/conformance.mjs';
import { EngineSocket, Polling, SEPARATOR } from './support/engineio.mjs';
import { upgradeHeaders } from './support/frames.mjs';
import { RawClient, exchange, get, request } from './support/raw.mjs';
import { run } from './support/server.mjs';

const PATH = '/engine.io/';
const MAX = 1000000;
const CODES = [
    'Transport unknown',
    'Session ID unknown',
    'Bad handshake method',
    'Bad request',
    undefined,
    'Unsupported protocol version',
];
const KEYS = ['sid', 'upgrades', 'pingInterval', 'pingTimeout', 'maxPayload'];
const SLOW = { allowEio3: false }; // heartbeats far apart
const FAST = { pingInterval: 300, pingTimeout: 10000, upgradeTimeout: 300, allowEio3: false };
const STRICT = { pingInterval: 300, pingTimeout: 600, allowEio3: false };

function checkOpened(opened, upgrades, settings) {
    assert.deepEqual(Object.keys(opened), KEYS);
    assert.match(opened.sid, /^[\w-]{20}$/);
    assert.deepEqual(opened.upgrades, upgrades);
    assert.equal(opened.pingInterval, settings.pingInterval ?? 25000);
    assert.equal(opened.pingTimeout, settings.pingTimeout ?? 20000);
    assert.equal(opened.maxPayload, MAX);
}

/** A POST that ends its session, unless the connection is cut. */
const badPost = (session, body, statuses) =>
    session.post(body).then(
        ({ status }) => assert.ok(statuses.includes(status), String(status)),
        () => {},
    );

await everywhere(async (it, target) => {
    const server = await target.start({ after }, SLOW);
    const quick = await target.start({ after }, FAST);
    const strict = await target.start({ after }, STRICT);

    it('a poll opens a session', async () => {
        for (const [at, settings] of [[server, SLOW], [quick, FAST]]) {
            const { handshake, opened } = await Polling.open(at);
            checkOpened(opened, ['websocket'], settings);
            assert.equal(handshake.headers.get('content-type'), 'text/plain; charset=UTF-8');
            assert.equal(handshake.headers.get('cache-control'), 'no-store');
            assert.equal(handshake.headers.get('set-cookie'), null);
            assert.equal(handshake.text, `0${JSON.stringify(opened)}`);
        }
    });

    it('a WebSocket opens a session', async (t) => {
        const socket = await EngineSocket.open(server);
        t.after(() => socket.drop());
        checkOpened(socket.opened, [], SLOW);
    });

    it('ids differ', async () => {
        const sids = await Promise.all(Array.from({ length: 50 }, () => Polling.open(server).then(({ sid }) => sid)));
        assert.equal(new Set(sids).size, 50);
    });

    it('the slash at the end belongs to the path', async () => {
        const response = await fetch(`${server.url}/engine.io?EIO=4&transport=polling`);
        await response.arrayBuffer();
        assert.equal(response.status, 404);
    });

    it('wrong requests get a code and its text, in order of the checks', async (t) => {
        const { sid } = await Polling.open(server);
        const socket = await EngineSocket.open(server);
        t.after(() => socket.drop());
        const wrong = [
            ['GET', 'EIO=4', 0],
            ['GET', 'EIO=4&transport=abc', 0],
            ['GET', 'EIO=4&transport=', 0],
            ['GET', 'EIO=4&transport=abc&sid=unknown', 0],
            ['POST', 'EIO=4', 0],
            ['GET', 'EIO=4&transport=polling&sid=unknown', 1],
            ['GET', 'EIO=4&transport=websocket&sid=unknown', 1],
            ['GET', 'EIO=abc&transport=polling&sid=unknown', 1],
            ['POST', 'EIO=4&transport=polling&sid=unknown', 1],
            ['GET', `EIO=4&transport=polling&sid=${sid}x`, 1],
            ['GET', `EIO=4&transport=polling&sid=${'x'.repeat(200)}`, 1],
            ['GET', 'EIO=4&transport=polling&sid=%00', 1],
            ['POST', 'EIO=4&transport=polling', 2],
            ['PUT', 'EIO=4&transport=polling', 2],
            ['PATCH', 'EIO=4&transport=polling', 2],
            ['DELETE', 'EIO=4&transport=polling', 2],
            ['POST', 'EIO=abc&transport=polling', 2],
            ['POST', 'EIO=4&transport=websocket', 2],
            ['GET', 'EIO=4&transport=websocket', 3],
            ['GET', `EIO=4&transport=websocket&sid=${sid}`, 3],
            ['GET', `EIO=abc&transport=websocket&sid=${sid}`, 3],
            ['GET', `EIO=4&transport=polling&sid=${socket.sid}`, 3],
            ['POST', `EIO=4&transport=polling&sid=${socket.sid}`, 3],
            ['GET', `EIO=3&transport=polling&sid=${sid}`, 3],
            ['GET', `transport=polling&sid=${sid}`, 3],
            ['GET', 'transport=polling', 5],
            ['GET', 'EIO=abc&transport=polling', 5],
            ['GET', 'EIO=3&transport=polling', 5],
            ['GET', 'EIO=5&transport=polling', 5],
        ];
        for (const [method, query, code] of wrong) {
            const response = await fetch(`${server.url}${PATH}?${query}`, { method });
            const body = await response.text();
            assert.equal(response.status, 400, `${method} ${query}: ${body}`);
            assert.equal(body, JSON.stringify({ code, message: CODES[code] }), `${method} ${query}`);
            assert.match(response.headers.get('content-type'), /^application\/json\b/);
        }
        await socket.send('4still there');
        assert.equal(await socket.next(), '4still there');
    });

    it('wrong upgrades get the text, and their connection ends', async () => {
        const { sid } = await Polling.open(server);
        const wrong = [
            ['EIO=4', 0],
            ['EIO=4&transport=abc', 0],
            ['EIO=4&transport=websocket&sid=unknown', 1],
            [`EIO=3&transport=websocket&sid=${sid}`, 3],
        ];
        for (const [query, code] of wrong) {
            const client = await RawClient.connect(server.port);
            const response = await client.request(get(`${PATH}?${query}`, upgradeHeaders()));
            assert.equal(response.status, 400, query);
            assert.equal(response.text, CODES[code]);
            assert.equal(response.headers.connection, 'close');
            assert.match(response.headers['content-type'], /^text\/html/);
            await client.closed();
        }
    });

    it('an upgrade that names polling, or another protocol, opens nothing', async () => {
        for (const query of ['EIO=4&transport=polling', 'transport=websocket', 'EIO=abc&transport=websocket']) {
            const client = await RawClient.connect(server.port);
            await client.write(get(`${PATH}?${query}`, upgradeHeaders()));
            client.socket.end();
            assert.doesNotMatch((await client.rest()).toString(), /"sid"/);
        }
    });

    it('an Origin with control characters is refused', async () => {
        const bytes = `GET ${PATH}?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nOrigin: a\x01b\r\n\r\n`;
        assert.equal((await exchange(server.port, bytes)).status, 400);
    });

    it('polls carry text, one packet and several, in order', async () => {
        const session = await Polling.open(server);
        const response = await session.post('4hello');
        assert.equal(response.status, 200);
        assert.equal(response.text, 'ok');
        assert.match(response.headers.get('content-type'), /^text\/html/);
        assert.equal(response.headers.get('content-length'), '2');
        assert.equal(response.headers.get('cache-control'), 'no-store');
        assert.deepEqual(await session.poll(), ['4hello']);
        const texts = ['4a', '4', '4ünï', '4\u{1F600}', '4{"b":[1,2]}', '4"quoted"', `4${'x'.repeat(70000)}`];
        await session.send(...texts);
        const poll = await session.get();
        assert.equal(poll.text, texts.join(SEPARATOR));
        assert.equal(poll.headers.get('content-type'), 'text/plain; charset=UTF-8');
        assert.equal(Number(poll.headers.get('content-length')), poll.bytes.length);
    });

    it('polls carry binary messages in base64', async () => {
        const session = await Polling.open(server);
        await session.send('4hello', 'bAQIDBA==', 'b', 'bAQ==', '4bye');
        assert.equal((await session.get()).text, ['4hello', 'bAQIDBA==', 'b', 'bAQ==', '4bye'].join(SEPARATOR));
    });

    it('a poll is held until there is something', async () => {
        const session = await Polling.open(server);
        for (const text of ['4one', '4two']) {
            const poll = session.poll();
            await session.send(text);
            assert.deepEqual(await poll, [text]);
        }
    });

    it('many messages over many polls, each once and in order', async () => {
        const session = await Polling.open(server);
        const sent = Array.from({ length: 300 }, (_, i) => `4${i}`);
        const received = session.take(sent.length);
        for (let i = 0; i < sent.length; i += 3) {
            await session.send(...sent.slice(i, i + 3));
        }
        assert.deepEqual(await received, sent);
    });

    it('a WebSocket carries text and binary messages', async (t) => {
        const socket = await EngineSocket.open(server);
        t.after(() => socket.drop());
        for (const message of ['4hello', '4', '4ünï\u{1F600}', Buffer.from([1, 2, 3, 4]), Buffer.from([4]), '4end']) {
            await socket.send(message);
            assert.deepEqual(await socket.next(), message);
        }
    });

    it('what is no packet ends a polling session', async () => {
        for (const body of ['abc', '', '7', '2', '4fine\x1eabc', '\x1e', '4a\x1e']) {
            const session = await Polling.open(server);
            // the original looks at it while it answers already
            await badPost(session, body, target.name === 'original' ? [200, 400] : [400]);
            await session.gone();
        }
    });

    it('what is no packet ends a WebSocket, without a code', async () => {
        for (const message of ['abc', '', '7', '2']) {
            const socket = await EngineSocket.open(server);
            await socket.send(message);
            await socket.closed();
        }
    });

    it('a second poll ends the session: the first gets the close packet', async () => {
        const session = await Polling.open(server);
        const [first, second] = await Promise.all([
            session.get(),
            sleep(50).then(() => session.get()), // the order is what is tested
        ]);
        assert.equal(first.status, 200);
        assert.equal(first.text, '1');
        assert.equal(second.status, 400);
        await session.gone();
    });

    it('overlapping POSTs end the session', async (t) => {
        const session = await Polling.open(server);
        const first = await RawClient.connect(server.port);
        t.after(() => first.close());
        const path = session.url.slice(server.url.length);
        const head = request('POST', path, { 'Content-Type': 'text/plain', 'Content-Length': '10' });
        await first.write(`${head}4half`);
        await sleep(50); // so that it is there first
        await badPost(session, '4whole', [400]);
        await session.gone();
    });

    it('a poll that the client gives up ends the session', async () => {
        const session = await Polling.open(server);
        const controller = new AbortController();
        const poll = session.get({ signal: controller.signal });
        await sleep(50); // so that it is there
        controller.abort();
        await assert.rejects(poll);
        assert.equal((await session.get()).status, 400);
        await session.gone();
    });

    it('a POST of the largest size is taken, one byte more is 413', async () => {
        const session = await Polling.open(server);
        const largest = `4${'x'.repeat(MAX - 1)}`;
        await session.send(largest);
        assert.equal((await session.get()).text, largest);
        assert.equal((await session.post(`${largest}y`)).status, 413);
        const chunked = await RawClient.connect(server.port);
        const path = session.url.slice(server.url.length);
        await chunked.write(request('POST', path, { 'Transfer-Encoding': 'chunked' }));
        for (let i = 0; i < 11; i++) {
            await chunked.write(`${(100000).toString(16)}\r\n${'4'.padEnd(100000, 'x')}\r\n`).catch(() => {});
        }
        await chunked.write('0\r\n\r\n').catch(() => {});
        assert.equal((await chunked.head()).status, 413);
        chunked.close();
    });

    it('bytes as a body end the session', async () => {
        const session = await Polling.open(server);
        assert.equal((await session.post('4a', { 'content-type': 'application/octet-stream' })).status, 400);
        await session.gone();
    });

    it('other methods are 500 and change nothing', async () => {
        const session = await Polling.open(server);
        for (const method of ['PUT', 'PATCH', 'DELETE']) {
            assert.equal((await session.request({ method })).status, 500, method);
        }
        await session.send('4still there');
        assert.deepEqual(await session.poll(), ['4still there']);
    });

    it('a WebSocket message of the largest size is taken, one byte more closes 1009', async () => {
        for (const make of [(n) => `4${'x'.repeat(n - 1)}`, (n) => Buffer.alloc(n, 7)]) {
            const socket = await EngineSocket.open(server);
            await socket.send(make(MAX));
            assert.deepEqual(await socket.next(), make(MAX));
            await socket.send(make(MAX + 1));
            await socket.closed(1009);
        }
    });

    it('heartbeats over polling', async () => {
        const session = await Polling.open(quick);
        for (let i = 0; i < 3; i++) {
            assert.deepEqual(await session.poll(), ['2']);
            await session.send('3');
        }
    });

    it('heartbeats over a WebSocket', async (t) => {
        const socket = await EngineSocket.open(quick);
        t.after(() => socket.drop());
        for (let i = 0; i < 3; i++) {
            assert.equal(await socket.next(), '2');
            await socket.send('3');
        }
    });

    it('a heartbeat without an answer ends the session', async () => {
        const polling = await Polling.open(strict);
        const silent = await Polling.open(strict);
        const socket = await EngineSocket.open(strict);
        assert.deepEqual(await polling.poll(), ['2']);
        assert.deepEqual(await polling.poll(), ['1']);
        await polling.gone();
        assert.equal(await socket.next(), '2');
        await socket.closed();
        await sleep(STRICT.pingInterval + STRICT.pingTimeout); // the most that a session may live without a sign
        await silent.gone();
    });

    it('another packet gives a client more time for its answer, once', async () => {
        const socket = await EngineSocket.open(strict);
        assert.equal(await socket.next(), '2');
        const asked = performance.now();
        await sleep(STRICT.pingTimeout / 2);
        for (let i = 0; i < 20 && !socket.raw.client.ended; i++) {
            await socket.send('4busy');
            await sleep(STRICT.pingTimeout / 10);
        }
        await socket.closed();
        assert.ok(performance.now() - asked > 1.3 * STRICT.pingTimeout);
    });

    it('an answer that nobody asked for is harmless', async (t) => {
        const socket = await EngineSocket.open(server);
        t.after(() => socket.drop());
        await socket.send('3');
        await socket.send('4a');
        assert.equal(await socket.next(), '4a');
    });

    it('upgrade: probe, noop, the rest on the WebSocket', async (t) => {
        const session = await Polling.open(server);
        const held = session.poll();
        const socket = await EngineSocket.open(server, { sid: session.sid });
        t.after(() => socket.drop());
        await socket.send('2probe');
        assert.equal(await socket.next(), '3probe');
        assert.deepEqual(await held, ['6']);
        assert.deepEqual(await session.poll(), ['6'], 'again, for a client that polled once more');
        await session.send('4sent while upgrading');
        await socket.send('5');
        assert.equal(await socket.next(), '4sent while upgrading');
        await socket.send('4a');
        assert.equal(await socket.next(), '4a');
        await socket.send(Buffer.from([1, 2]));
        assert.deepEqual(await socket.next(), Buffer.from([1, 2]));
    });

    it('while it upgrades, a session goes on polling', async (t) => {
        const session = await Polling.open(server);
        const socket = await EngineSocket.open(server, { sid: session.sid });
        t.after(() => socket.drop());
        await socket.send('2probe');
        assert.equal(await socket.next(), '3probe');
        await session.send('4a', '4b');
        assert.deepEqual(await session.take(2), ['4a', '4b']);
        await socket.send('5');
        await socket.send('4c');
        assert.equal(await socket.next(), '4c');
    });

    it('a poll that is held when the upgrade ends is answered', async (t) => {
        const session = await Polling.open(server);
        const socket = await EngineSocket.open(server, { sid: session.sid });
        t.after(() => socket.drop());
        await socket.send('2probe');
        assert.equal(await socket.next(), '3probe');
        const held = session.get();
        await sleep(50); // so that it is there
        await socket.send('5');
        assert.equal((await held).status, 200);
        await socket.send('4a');
        assert.equal(await socket.next(), '4a');
    });

    it('after the upgrade polling is refused, and so is another WebSocket', async (t) => {
        const session = await Polling.open(server);
        const socket = await EngineSocket.open(server, { sid: session.sid });
        t.after(() => socket.drop());
        await socket.send('2probe');
        assert.equal(await socket.next(), '3probe');
        await socket.send('5');
        await socket.send('4a');
        assert.equal(await socket.next(), '4a');
        for (const response of [await session.get(), await session.post('4b')]) {
            assert.equal(response.status, 400);
            assert.deepEqual(JSON.parse(response.text), { code: 3, message: CODES[3] });
        }
        const second = await EngineSocket.open(server, { sid: session.sid });
        await second.closed();
        await socket.send('4c');
        assert.equal(await socket.next(), '4c');
    });

    it('while one WebSocket probes, a second is closed', async (t) => {
        const session = await Polling.open(server);
        const socket = await EngineSocket.open(server, { sid: session.sid });
        t.after(() => socket.drop());
        await socket.send('2probe');
        assert.equal(await socket.next(), '3probe');
        const second = await EngineSocket.open(server, { sid: session.sid });
        await second.closed();
        await socket.send('5');
        await socket.send('4a');
        assert.equal(await socket.next(), '4a');
    });

    it('a WebSocket that says anything but probe and upgrade is closed, and polling goes on', async () => {
        for (const message of ['4a', '2', '2other', '3', 'abc', Buffer.from([1])]) {
            const session = await Polling.open(server);
            const socket = await EngineSocket.open(server, { sid: session.sid });
            await socket.send(message);
            await socket.closed();
            await session.send('4still there');
            assert.deepEqual(await session.take(1), ['4still there']);
        }
    });

    it('a WebSocket that breaks while it probes leaves the session polling, and it may try again', async (t) => {
        const session = await Polling.open(server);
        const broken = await EngineSocket.open(server, { sid: session.sid });
        await broken.send('2probe');
        assert.equal(await broken.next(), '3probe');
        broken.drop();
        await session.send('4a');
        assert.deepEqual(await session.take(1), ['4a']);
        for (;;) {
            // the server may still be about to learn that the first one is gone
            const socket = await EngineSocket.open(server, { sid: session.sid });
            t.after(() => socket.drop());
            await socket.send('2probe');
            const answer = await socket.next().catch(() => 'closed');
            if (answer === '3probe') {
                await socket.send('5');
                await socket.send('4b');
                assert.equal(await socket.next(), '4b');
                return;
            }
            assert.equal(answer, 'closed');
        }
    });

    it('an upgrade that is not finished in time is given up, and polling goes on', async () => {
        const session = await Polling.open(quick);
        const socket = await EngineSocket.open(quick, { sid: session.sid });
        await socket.send('2probe');
        assert.equal(await socket.next(), '3probe');
        const closed = socket.closed();
        await session.send('4a');
        const got = await session.take(1);
        await Promise.all([closed, (async () => {
            for (let packet; packet !== '2'; ) {
                [packet] = await session.poll();
            }
            await session.send('3');
        })()]);
        assert.deepEqual(got, ['4a']);
        await session.send('4b');
        assert.deepEqual(await session.take(1), ['4b']);
    });

    it('a session that ends while it upgrades takes the WebSocket with it', async () => {
        const session = await Polling.open(server);
        const socket = await EngineSocket.open(server, { sid: session.sid });
        await socket.send('2probe');
        assert.equal(await socket.next(), '3probe');
        await session.send('1');
        await socket.closed();
        await session.gone();
    });

    it('a client closes a polling session', async () => {
        const session = await Polling.open(server);
        const held = session.poll();
        await session.send('1');
        assert.deepEqual(await held, ['6']);
        await session.gone();
    });

    it('a client closes a WebSocket', async () => {
        // the original hears nothing of the packet: it misses the answer to its next heartbeat
        const socket = await EngineSocket.open(target.name === 'original' ? strict : server);
        await socket.send('1');
        await socket.closed();
    });

    it('CORS: the origin is named, with credentials, in every answer', async () => {
        const session = await Polling.open(server);
        const origin = 'https://somewhere.example';
        const requests = [
            fetch(session.url.replace(/&sid=.*/, ''), { headers: { origin } }),
            fetch(session.url, { method: 'POST', body: '4a', headers: { origin } }),
            fetch(session.url, { headers: { origin } }),
            fetch(`${server.url}${PATH}?EIO=4`, { headers: { origin } }),
        ];
        for (const pending of requests) {
            const response = await pending;
            await response.arrayBuffer();
            assert.equal(response.headers.get('access-control-allow-origin'), origin);
            assert.equal(response.headers.get('access-control-allow-credentials'), 'true');
            assert.match(response.headers.get('vary') ?? '', /\borigin\b/i);
        }
    });

    it('CORS: preflight requests', async () => {
        const response = await fetch(`${server.url}${PATH}?EIO=4&transport=polling`, {
            method: 'OPTIONS',
            headers: {
                origin: 'https://somewhere.example',
                'access-control-request-method': 'POST',
                'access-control-request-headers': 'x-custom,content-type',
            },
        });
        await response.arrayBuffer();
        assert.equal(response.status, 204);
        assert.equal(response.headers.get('access-control-allow-origin'), 'https://somewhere.example');
        assert.equal(response.headers.get('access-control-allow-credentials'), 'true');
        const methods = response.headers.get('access-control-allow-methods').split(/, */);
        assert.ok(methods.includes('GET') && methods.includes('POST'), methods.join());
        const allowed = response.headers.get('access-control-allow-headers').toLowerCase().split(/, */);
        assert.ok(allowed.includes('content-type') && allowed.includes('x-custom'), allowed.join());
    });

    it('answers are compressed when that is on, the client takes it and there is enough', async () => {
        const big = `4${'x'.repeat(2000)}`;
        const poll = async (at, body, encoding) => {
            const session = await Polling.open(at);
            await session.send(body);
            const headers = encoding ? { 'Accept-Encoding': encoding } : {};
            const client = await RawClient.connect(at.port);
            const response = await client.request(get(session.url.slice(at.url.length), headers));
            client.close();
            return response;
        };
        const on = await target.start({ after }, { ...SLOW, compression: true });
        const compressed = await poll(on, big, 'gzip, deflate');
        assert.equal(compressed.headers['content-encoding'], 'gzip');
        assert.equal(gunzipSync(compressed.bytes).toString(), big);
        for (const plain of [await poll(on, big), await poll(on, '4small', 'gzip'), await poll(server, big, 'gzip')]) {
            assert.equal(plain.headers['content-encoding'], undefined);
        }
    });

    it('a cookie names the session, on the handshake alone', async () => {
        const sticky = await target.start({ after }, { ...SLOW, cookie: 'io' });
        const session = await Polling.open(sticky);
        assert.equal(session.handshake.headers.get('set-cookie'), `io=${session.sid}; Path=/; HttpOnly; SameSite=Lax`);
        const post = await session.post('4a');
        const poll = await session.get();
        assert.equal(post.headers.get('set-cookie'), null);
        assert.equal(poll.headers.get('set-cookie'), null);
    });
});

test('production does not start in conformance mode', async () => {
    if (targets.some(({ name }) => name === 'parley')) {
        const JWT_SECRET = '0123456789abcdefghijklmnopqrstuvwxyz-0123';
        const env = { CONFORMANCE: 'true', ENVIRONMENT: 'production', JWT_SECRET };
        const { code, stderr } = await run(['serve'], { env });
        assert.notEqual(code, 0);
        assert.match(stderr, /CONFORMANCE/);
    }
});
