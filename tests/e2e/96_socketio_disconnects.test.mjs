// Connections that break at random moments, a thousand times, while replies stream: no event is lost, doubled or
// reordered for anybody.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { record, until } from './support/socketio.mjs';
import { TcpProxy } from './support/tcp_proxy.mjs';

const PAIRS = 8; // conversations, each with a writer (delta) and a reader (accumulated text)
const CUTS = Number(process.env.CUTS ?? 1000);
const TOKENS = Array.from({ length: 60 }, (_, i) => `t${i} `);
const TEXT = TOKENS.join('');

function open(t, url, transports) {
    const socket = record(
        io(url, {
            transports,
            auth: { recovery: true },
            forceNew: true,
            reconnectionDelay: 1,
            reconnectionDelayMax: 5,
            randomizationFactor: 0,
        }),
    );
    t.after(() => socket.close());
    socket.recoveries = 0;
    socket.fresh = 0;
    socket.on('connect', () => (socket.recovered ? socket.recoveries++ : socket.fresh++));
    return socket;
}

/** What a client was told, turn by turn, with the offset arguments left out. */
function turnsOf(socket) {
    const turns = [];
    for (const [name, payload] of socket.seen) {
        if (name === 'stream_start') {
            turns.push({ id: payload.messageId, chunks: [], completes: 0 });
        } else if (name === 'stream_chunk') {
            assert.equal(payload.messageId, turns.at(-1).id, 'a chunk belongs to the turn that was begun last');
            assert.equal(turns.at(-1).completes, 0, 'no chunk comes behind the end');
            turns.at(-1).chunks.push(payload);
        } else if (name === 'stream_complete') {
            assert.equal(payload.messageId, turns.at(-1).id);
            turns.at(-1).completes++;
        }
    }
    return turns;
}

function checkTurns(socket, count, delta) {
    const turns = turnsOf(socket);
    assert.equal(turns.length, count, 'every turn began once');
    for (const { chunks, completes } of turns) {
        assert.equal(completes, 1);
        assert.equal(new Set(chunks.map(({ id }) => id)).size, chunks.length, 'no chunk came twice');
        assert.deepEqual(chunks.map(({ isComplete }) => isComplete), [...chunks.slice(1).map(() => false), true]);
        assert.equal(chunks.at(-1).content, TEXT);
        if (delta) {
            assert.equal(chunks.map((chunk) => chunk.delta).join(''), TEXT);
        } else {
            chunks.reduce((before, { content }) => {
                assert.ok(content.startsWith(before) && content.length >= before.length);
                return content;
            }, '');
        }
    }
}

const completes = (socket) => socket.seen.filter(([name]) => name === 'stream_complete').length;

for (const threads of ['1', '4']) {
    test(`nothing is lost, doubled or reordered in ${CUTS} disconnects, ${threads} loops`, async (t) => {
        const upstream = await startUpstream();
        t.after(() => upstream.close());
        upstream.always = { tokens: TOKENS, delay: 4 };
        // A client whose WebSocket breaks in the middle of an upgrade has stopped polling, and waits for a heartbeat
        // that it cannot get: it finds out when the time for one has passed.
        const heartbeat = { SOCKETIO_PING_INTERVAL: '1s', SOCKETIO_PING_TIMEOUT: '2s' };
        const env = { ...upstream.openaiEnv, ...heartbeat, THREADS: threads, ACCESS_LOG: 'off' };
        const server = await startServer(t, { env });
        const proxy = await TcpProxy.to(t, server.port);
        const ways = [['websocket'], ['polling', 'websocket'], ['polling']];
        const pairs = Array.from({ length: PAIRS }, (_, i) => ({
            id: `conversation-${i}`,
            writer: open(t, proxy.url, ['websocket']),
            reader: open(t, proxy.url, ways[i % ways.length]),
            turns: 0,
        }));
        for (const { id, writer, reader } of pairs) {
            await Promise.all([writer, reader].map((s) => s.connected || once(s, 'connect')));
            await reader.emitWithAck('join_conversation', id);
        }
        let cuts = 0;
        let over = false;
        const cutting = (async () => {
            while (!over) {
                await new Promise((resolve) => setTimeout(resolve, Math.random() * 12));
                const open = [...proxy.pairs];
                cuts += proxy.cut(open.filter(() => Math.random() < 0.3));
            }
        })();
        const running = pairs.map(async (pair) => {
            const { id, writer, reader } = pair;
            while (cuts < CUTS) {
                const clientMessageId = `${id}-${++pair.turns}`;
                // The request itself may be lost on the way: it is repeated until it is acknowledged, under one id.
                for (let done = false; !done; ) {
                    done = await writer
                        .timeout(1000)
                        .emitWithAck('stream_chat', { message: 'go', conversationId: id, delta: true, clientMessageId })
                        .then(() => true, () => false);
                }
                await Promise.all([writer, reader].map((s) => until(s, () => completes(s) >= pair.turns)));
            }
        });
        await Promise.all(running);
        over = true;
        await cutting;
        let recoveries = 0;
        for (const { writer, reader, turns } of pairs) {
            for (const socket of [writer, reader]) {
                assert.equal(socket.fresh, 1, 'every connection after the first was recovered');
                recoveries += socket.recoveries;
            }
            checkTurns(writer, turns, true);
            checkTurns(reader, turns, false);
            const messages = reader.seen.filter(([name]) => name === 'new_message');
            assert.equal(messages.length, turns, 'the reader saw every message once');
        }
        t.diagnostic(`${cuts} connections cut, ${recoveries} recoveries, ${pairs.map((p) => p.turns)} turns`);
    });
}
