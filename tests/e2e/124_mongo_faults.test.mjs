// What MongoDB and Cosmos DB do to their clients: too many requests, half of a batch, refused retries, connections that end,
// servers that are not there, wrong authorities.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Binary, MongoClient, ObjectId } from 'mongodb';
import { answer, cut, cutAfter, failure, someFail, startMongoProxy, throttled } from '../fake/mongo/proxy.mjs';
import { Authority } from './support/certificates.mjs';
import { freshDatabase, sharedMongo, startMongo } from './support/mongo.mjs';
import { run, startServer } from './support/server.mjs';

const JWT_SECRET = 'aB3$'.repeat(12);
const TEXT = 'Database temporarily unavailable. Please try again.';
const isMessages = (command) => command.insert === 'parley_messages';

async function start(t, env = {}) {
    const target = new URL((await sharedMongo()).replace('mongodb:', 'http:'));
    const proxy = await startMongoProxy(t, Number(target.port));
    const settings = { STORE_URL: proxy.uri(freshDatabase()), STORE_SELECT_TIMEOUT: '1s', JWT_SECRET, ...env };
    return { proxy, server: await startServer(t, { env: settings }) };
}

const create = (server, title) => server.json('POST', '/api/conversations', { title });

async function sayAndRead(server, message) {
    const said = await server.json('POST', '/api/chat', { message, conversationId: null });
    assert.equal(said.status, 200, said.text);
    const { id } = said.body.conversation;
    return (await server.json('GET', `/api/conversations/${id}`)).body.messages.map(({ content }) => content);
}

test('too many requests: asked again, with and without a time, and in the middle of a batch', async (t) => {
    const { proxy, server } = await start(t);
    for (const wait of [3, undefined]) {
        proxy.next((c) => c.insert === 'parley_conversations', answer(throttled(wait)));
        proxy.next('find', answer(throttled(wait)));
        proxy.next((c) => c.update === 'parley_conversations', answer(throttled(wait)));
        assert.equal((await create(server, `wait ${wait}`)).status, 201);
        assert.equal((await sayAndRead(server, 'hello')).length, 2);
    }
    const half = proxy.next((c) => isMessages(c) && c.documents.length === 2, someFail([1], 16500));
    const messages = await sayAndRead(server, 'half of it');
    await half;
    assert.equal(proxy.plans.length, 0);
    assert.equal(messages[0], 'half of it');
    assert.equal(messages.length, 2);
});

test('too many requests without end: 503, and the server goes on', async (t) => {
    const { proxy, server } = await start(t);
    for (let i = 0; i < 10; i++) {
        proxy.next((c) => c.insert === 'parley_conversations', answer(throttled(1)));
    }
    const refused = await create(server, 'x');
    assert.equal(refused.status, 503);
    assert.ok(refused.text.includes(TEXT));
    assert.doesNotMatch(refused.text, /16500|RetryAfter|Request rate/);
    assert.deepEqual((await server.json('GET', '/api/conversations')).body, []);
    assert.equal((await create(server, 'x')).status, 201);
});

test('a connection that ends: read again; what was added is neither lost nor twice', async (t) => {
    const { proxy, server } = await start(t);
    assert.equal((await create(server, 'a')).status, 201);
    proxy.next('find', cut);
    assert.equal((await server.json('GET', '/api/conversations')).body.length, 1);
    proxy.next((c) => isMessages(c), cut);
    assert.equal((await sayAndRead(server, 'before')).length, 2);
    proxy.next((c) => isMessages(c), cutAfter);
    assert.equal((await sayAndRead(server, 'after')).length, 2);
    proxy.next((c) => c.insert === 'parley_conversations', cutAfter);
    assert.equal((await create(server, 'b')).status, 201);
    assert.equal((await server.json('GET', '/api/conversations')).body.filter(({ title }) => title === 'b').length, 1);
    proxy.cutAll();
    assert.equal((await server.json('GET', '/api/conversations')).status, 200);
});

test('not the primary any more, a time limit: once more; a duplicate key stays one', async (t) => {
    const { proxy, server } = await start(t);
    proxy.next('find', answer(failure(10107, 'NotWritablePrimary', 'not primary')));
    assert.equal((await server.json('GET', '/api/conversations')).status, 200);
    proxy.next('find', answer(failure(50, 'ExceededTimeLimit', 'Request timed out.')));
    assert.equal((await server.json('GET', '/api/conversations')).status, 200);
    const body = { name: 'Ada', email: 'ada@example.org', password: 'Correct-horse-9' };
    const made = await server.json('POST', '/api/auth/register', body);
    assert.equal(made.status, 201, made.text);
    assert.equal((await server.json('POST', '/api/auth/register', body)).status, 400);
});

test('retryable writes refused at start: done without', async (t) => {
    const target = new URL((await sharedMongo()).replace('mongodb:', 'http:'));
    const proxy = await startMongoProxy(t, Number(target.port));
    const refusal = 'Retryable writes are not supported. Please disable retryable writes by specifying "retrywrites=false"';
    const refused = proxy.next((c) => c.update === 'parley_meta', answer(failure(2, 'BadValue', refusal)));
    const env = { STORE_URL: proxy.uri(freshDatabase()), JWT_SECRET };
    const server = await startServer(t, { env });
    await refused;
    await server.logged(/event=retry_writes_off/);
    assert.equal((await create(server, 'x')).status, 201);
});

test('the database is not there at start: the server is, and finds it when it comes', async (t) => {
    const engine = await startMongo(t);
    await engine.stop();
    const env = { STORE_URL: engine.uri('late'), STORE_SELECT_TIMEOUT: '200ms' };
    const server = await startServer(t, { env });
    assert.equal((await server.json('GET', '/health')).body.database, 'disconnected');
    assert.equal((await server.json('GET', '/health/ready')).status, 503);
    const refused = await create(server, 'x');
    assert.equal(refused.status, 503);
    assert.ok(refused.text.includes(TEXT));
    const ada = { name: 'Ada', email: 'ada@example.org', password: 'Secret123' };
    const early = await server.json('POST', '/api/auth/register', ada);
    assert.equal(early.status, 503, early.text);
    await engine.start();
    await server.logged(/event=connected/);
    const { token } = (await server.json('POST', '/api/auth/register', ada)).body;
    const me = await fetch(`${server.url}/api/auth/me`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(me.status, 200, 'the key of tokens came with the database');
    assert.equal((await server.json('GET', '/health')).body.database, 'connected');
    assert.equal((await create(server, 'x')).status, 201);
});

test('TLS: the authority is checked, a missing file of it stops the start, and nothing turns the check off', async (t) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'parley-ca-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const ca = await Authority.make(folder);
    const { certFile, keyFile } = await ca.issue('localhost');
    const engine = await startMongo(t, { certFile, keyFile });
    const STORE_URL = engine.uri('secure');
    const good = await startServer(t, { env: { STORE_URL, STORE_CA_FILE: ca.file, JWT_SECRET } });
    assert.equal((await create(good, 'x')).status, 201);
    const wary = await startServer(t, { env: { STORE_URL, STORE_SELECT_TIMEOUT: '300ms', JWT_SECRET } });
    assert.equal((await create(wary, 'x')).status, 503);
    for (const [env, said] of [
        [{ STORE_URL, STORE_CA_FILE: path.join(folder, 'no.pem') }, /no\.pem cannot be read/],
        [{ STORE_URL: `${STORE_URL}&tlsInsecure=true` }, /tlsinsecure is refused/],
        [{ STORE_URL: `${STORE_URL}&tlsAllowInvalidCertificates=true` }, /tlsallowinvalidcertificates is refused/],
        [{ STORE_URL: 'mongodb://user:se%cret@/x' }, /no connection string/],
    ]) {
        const { code, stderr } = await run(['serve'], { env: { ...env, JWT_SECRET } });
        assert.notEqual(code, 0);
        assert.match(stderr, said);
        assert.doesNotMatch(stderr, /se%cret/);
    }
});

test('a key of base64 as it is pasted; the password is in no log', async (t) => {
    const engine = await startMongo(t);
    const key = 'a+b/c==';
    for (const shown of [key, encodeURIComponent(key)]) {
        const STORE_URL = `mongodb://account:${shown}@127.0.0.1:${engine.port}/x?authMechanism=SCRAM-SHA-256`;
        const server = await startServer(t, { env: { STORE_URL, STORE_SELECT_TIMEOUT: '300ms', JWT_SECRET } });
        /* The engine knows no users: it is the password's way to it that counts. */
        assert.equal((await create(server, 'x')).status, 503);
        assert.ok(!server.stderr.includes(key) && !server.stderr.includes(encodeURIComponent(key)), server.stderr);
    }
});

test("another program's collections in the same database stay as they are", async (t) => {
    const engine = await startMongo(t);
    const client = await new MongoClient(engine.uri('shared')).connect();
    t.after(() => client.close());
    await client.db().collection('users').insertOne({ _id: 1, email: 'old@example.org' });
    const server = await startServer(t, { env: { STORE_URL: engine.uri('shared'), JWT_SECRET } });
    assert.equal((await sayAndRead(server, 'hello')).length, 2);
    assert.deepEqual(await client.db().collection('users').find().toArray(), [{ _id: 1, email: 'old@example.org' }]);
    const names = (await client.db().listCollections().toArray()).map(({ name }) => name);
    assert.ok(names.filter((name) => name !== 'users').every((name) => name.startsWith('parley_')), names.join());
});

test('what an append that was cut off has left behind is in nobody\'s way', async (t) => {
    const engine = await startMongo(t);
    const client = await new MongoClient(engine.uri('cut')).connect();
    t.after(() => client.close());
    const server = await startServer(t, { env: { STORE_URL: engine.uri('cut'), JWT_SECRET } });
    const { id } = (await create(server, 'x')).body;
    const { key } = await client.db().collection('parley_conversations').findOne({ _id: id });
    const messages = client.db().collection('parley_messages');
    for (const [seqs, count] of [[[1], 2], [[4], 4], [[5, 6, 7], 6]]) {
        const group = new ObjectId();
        for (const seq of seqs) {
            const _id = new Binary(Buffer.concat([key.id, Buffer.from([0, 0, 0, seq])]));
            await messages.insertOne({ _id, conv: key, group, id: `left ${seq}`, role: 'user', content: 'left', status: 0 });
        }
        const said = await server.json('POST', '/api/chat', { message: `behind ${seqs}`, conversationId: id });
        assert.equal(said.status, 200, said.text);
        const stored = (await server.json('GET', `/api/conversations/${id}`)).body.messages;
        assert.equal(stored.length, count);
        assert.equal(stored.at(-2).content, `behind ${seqs}`);
        assert.ok(stored.every(({ content }) => content !== 'left'));
    }
    assert.equal(await messages.countDocuments({ content: 'left' }), 0);
});

test('deleting takes the messages along, whenever it is', async (t) => {
    const engine = await startMongo(t);
    const client = await new MongoClient(engine.uri('swept')).connect();
    t.after(() => client.close());
    const server = await startServer(t, { env: { STORE_URL: engine.uri('swept'), JWT_SECRET } });
    const said = await server.json('POST', '/api/chat', { message: 'hello', conversationId: null });
    const messages = client.db().collection('parley_messages');
    assert.equal(await messages.countDocuments(), 2);
    assert.ok((await server.json('DELETE', `/api/conversations/${said.body.conversation.id}`)).status < 300);
    while ((await messages.countDocuments()) > 0 || (await client.db().collection('parley_swept').countDocuments()) > 0) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
});

test('a server on SQLite has not loaded the driver', async (t) => {
    const server = await startServer(t, { env: { STORE_DRIVER: 'sqlite' } });
    assert.doesNotMatch(await readFile(`/proc/${server.pid}/maps`, 'utf8'), /mongoc|bson/);
    const other = await start(t);
    assert.match(await readFile(`/proc/${other.server.pid}/maps`, 'utf8'), /libmongoc/);
});
