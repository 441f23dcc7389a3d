// The database is killed under load, again and again: no acknowledged message is lost, meanwhile requests are told so, and
// the server finds it again by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { startMongo } from './support/mongo.mjs';
import { run, startServer } from './support/server.mjs';

const TEXT = 'Database temporarily unavailable. Please try again.';

async function start(t, env = {}) {
    const engine = await startMongo(t);
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const store = { STORE_URL: engine.uri('kept'), STORE_SELECT_TIMEOUT: '500ms', JWT_SECRET: 'x1Y2'.repeat(12) };
    return { engine, server: await startServer(t, { env: { ...upstream.openaiEnv, ...store, ...env } }) };
}

/** Sends messages one after the other until told to end; gives what was acknowledged, and counts what was not. */
async function talk(server, n, seen, going) {
    let conversationId = null;
    for (let i = 0; going.on; i++) {
        const message = `client ${n} message ${i}`;
        const { status, body } = await server.json('POST', '/api/chat', { message, conversationId });
        if (status === 200) {
            conversationId = body.conversation.id;
            seen.acknowledged.push({ conversationId, message, reply: body.message });
        } else {
            assert.equal(status, 503, JSON.stringify(body));
            assert.ok(JSON.stringify(body).includes(TEXT), JSON.stringify(body));
            seen.refused++;
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    }
}

const reach = async (enough) => {
    while (!enough()) {
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
};

/** All that was acknowledged is there, with its reply, and nothing half. A reply that was told while the database was away
 * is stored when it has come back. */
async function check(server, acknowledged) {
    for (const id of new Set(acknowledged.map(({ conversationId }) => conversationId))) {
        let messages;
        do {
            messages = (await server.json('GET', `/api/conversations/${id}`)).body.messages;
        } while (messages.some(({ status }) => status === 'streaming'));
        messages.forEach((m, i) => assert.equal(m.role, i % 2 ? 'assistant' : 'user'));
        for (const { message, reply } of acknowledged.filter(({ conversationId }) => conversationId === id)) {
            const at = messages.findIndex((m) => m.role === 'user' && m.content === message);
            assert.ok(at >= 0, `${message} is gone`);
            assert.deepEqual(messages[at + 1], reply);
        }
    }
}

for (const threads of ['1', '2']) {
    test(`the database is killed under load, ${threads} thread(s)`, async (t) => {
        const { engine, server } = await start(t, { THREADS: threads });
        const seen = { acknowledged: [], refused: 0 };
        const going = { on: true };
        const talking = Array.from({ length: 8 }, (_, n) => talk(server, n, seen, going));
        for (let round = 0; round < 2; round++) {
            const before = seen.acknowledged.length;
            await reach(() => seen.acknowledged.length >= before + 40);
            await engine.kill();
            const refused = seen.refused;
            await reach(() => seen.refused >= refused + 16);
            assert.equal((await server.json('GET', '/health')).body.database, 'disconnected');
            await engine.start();
        }
        const before = seen.acknowledged.length;
        await reach(() => seen.acknowledged.length >= before + 40);
        going.on = false;
        await Promise.all(talking);
        assert.equal((await server.json('GET', '/health')).body.database, 'connected');
        await check(server, seen.acknowledged);
        assert.doesNotMatch(server.stderr, /mongodb:\/\//);
        const checked = await run(['check'], { env: server.env });
        assert.equal(checked.code, 0, checked.stdout + checked.stderr);
    });
}

test('the server itself is killed under load: the same', async (t) => {
    const { server } = await start(t);
    const seen = { acknowledged: [], refused: 0 };
    for (let round = 0; round < 2; round++) {
        const before = seen.acknowledged.length;
        const talking = Array.from({ length: 8 }, (_, n) =>
            talk(server, `${round}.${n}`, seen, { on: true }).catch((error) => assert.ok(!error.code?.startsWith('ERR_ASS'), error)),
        );
        await reach(() => seen.acknowledged.length >= before + 40);
        await server.kill();
        await Promise.all(talking);
        await server.start();
    }
    await check(server, seen.acknowledged);
});
