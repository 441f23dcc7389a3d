// parley import mongo with documents that no schema let through, and with databases that are not there.
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import bcrypt from 'bcryptjs';
import { freshDatabase, sharedMongo, withDatabase } from './support/mongo.mjs';
import { originalDatabase } from './support/original_care.mjs';
import { run, startServer, temporaryFolder } from './support/server.mjs';

const PASSWORD = 'Sunny-Day-7';
const HASH = bcrypt.hashSync(PASSWORD, 4).replace('$2b$', '$2a$'); // as bcryptjs wrote them then
const FILE = { STORE_DRIVER: 'sqlite', STORE_URL: undefined };

function countsOf({ stdout }) {
    const rows = [...stdout.matchAll(/^(users|agents|conversations|messages) +(\d+) +(\d+) +(\d+) +(\d+)$/gm)];
    return Object.fromEntries(rows.map(([, name, ...numbers]) => [name, numbers.map(Number)]));
}

async function source(t) {
    const uri = withDatabase(await sharedMongo(), freshDatabase());
    return { uri, ...(await originalDatabase(t, uri)) };
}

const reasonOf = ({ stderr }, id) => stderr.split('\n').filter((line) => line.includes(`${id}:`)).map((line) => line.split(': ').pop());

async function login(server, email) {
    const { status, body, text } = await server.json('POST', '/api/auth/login', { email, password: PASSWORD });
    assert.equal(status, 200, text);
    return { user: body.user, headers: { authorization: `Bearer ${body.token}` } };
}

test('users: what is broken is named, what can be understood comes along', async (t) => {
    const { uri, raw, id } = await source(t);
    const good = { email: 'good@example.com', password: HASH };
    const broken = [
        [{ _id: id(), password: HASH }, 'it has no e-mail'],
        [{ _id: id(), password: HASH, email: 5 }, 'it has no e-mail'],
        [{ _id: id(), password: HASH, email: 'nobody' }, 'Please provide a valid email address'],
        [{ _id: id(), email: 'a@example.com' }, 'its password is no bcrypt hash'],
        [{ _id: id(), email: 'b@example.com', password: 'plain' }, 'its password is no bcrypt hash'],
        [{ _id: id(), email: ' GOOD@example.com ', password: HASH }, "its e-mail is another user's"],
        [{ _id: 'by-name', email: 'c@example.com', password: HASH }, 'its _id is no ObjectId'],
    ];
    const depth = (n) => Array.from({ length: n }).reduce((inner) => ({ a: inner }), {});
    await raw('users').insertMany([
        { _id: id(), name: 'Good', role: 'root', createdAt: 'yesterday', updatedAt: -5, avatar: { a: 1 }, ...good },
        { _id: id(), name: 'x'.repeat(500), email: 'Long@Example.com', password: HASH, createdAt: '2024-02-03T04:05:06Z' },
        { _id: id(), email: 'nameless@example.com', password: HASH },
        ...broken.map(([document]) => document),
        { _id: 7, email: 'd@example.com', password: HASH },
        { _id: 'a\nb', email: 'e@example.com', password: HASH },
        { _id: id(), name: 'N\0UL', email: 'f@example.com', password: HASH },
        { _id: id(), email: 'g@example.com', password: HASH, more: depth(80) },
    ]);
    const folder = await temporaryFolder();
    const result = await run(['import', 'mongo'], { env: { ...FILE, MONGODB_URI: uri }, cwd: folder });
    assert.equal(result.code, 0, result.stderr);
    assert.deepEqual(countsOf(result).users, [14, 3, 0, 11]);
    for (const [{ _id }, reason] of broken) {
        assert.deepEqual(reasonOf(result, _id), [reason]);
    }
    assert.equal(result.stderr.trim().split('\n').length, 11, 'one line each');
    const server = await startServer(t, { env: { ...FILE, LLM_PROVIDER: 'demo' }, folder });
    assert.deepEqual((await login(server, 'good@example.com')).user.role, 'user', 'no role is made up');
    assert.equal((await login(server, 'nameless@example.com')).user.name, 'nameless');
    const { headers } = await login(server, 'long@example.com');
    assert.equal((await server.json('GET', '/api/auth/profile', undefined, headers)).body.createdAt, '2024-02-03T04:05:06.000Z');
});

test('agents and conversations: of nobody, of the wrong type, with some messages that cannot be kept', async (t) => {
    const { uri, raw, id } = await source(t);
    const [ann, stranger, twin] = [id(), id(), id()];
    await raw('users').insertOne({ _id: ann, name: 'Ann', email: 'ann@example.com', password: HASH });
    const agent = { name: 'Mia', companyName: 'Tea', personality: 'warm', companyInfo: 'tea', userId: ann };
    const agents = [
        [{ ...agent, userId: stranger }, 'its user is not there'],
        [{ ...agent, userId: undefined }, "it is nobody's"],
        [{ ...agent, name: 5 }, 'Please provide all required fields'],
        [{ ...agent, companyInfo: null }, 'Please provide all required fields'],
    ].map(([document, reason]) => [{ _id: id(), ...document }, reason]);
    await raw('agents').insertMany([...agents.map(([document]) => document), { _id: id(), ...agent, userId: String(ann) }]);
    const conversations = [
        [{ userId: stranger }, 'its user is not there'],
        [{ messages: [] }, "it is nobody's"],
        [{ userId: ann, messages: 'none' }, 'its messages are no list'],
    ].map(([document, reason]) => [{ _id: id(), ...document }, reason]);
    const mixed = {
        ...{ _id: id(), userId: ann, title: { a: 1 }, metadata: 'none', agentId: 'x' },
        messages: [
            null,
            'text',
            { role: 'robot', content: 'x' },
            { role: 'user' },
            { role: 'user', content: 5 },
            { role: 'user', content: 'y'.repeat(2 ** 20 + 1) },
            { _id: twin, role: 'user', content: 'first', timestamp: 'never', audioUrl: 'z'.repeat(9999) },
            { _id: twin, role: 'assistant', content: 'second', timestamp: new Date(1e12), metadata: { sentiment: 'x', confidence: 7 } },
            { role: 'user', content: 'third', metadata: { sentiment: 'urgent', intent: 'support', confidence: 0.5 } },
        ],
    };
    const bare = { _id: id(), userId: ann, title: '  ', createdAt: new Date(1e12) };
    await raw('conversations').insertMany([...conversations.map(([document]) => document), mixed, bare]);
    const folder = await temporaryFolder();
    const env = { ...FILE, MONGODB_URI: uri };
    const result = await run(['import', 'mongo'], { env, cwd: folder });
    assert.equal(result.code, 0, result.stderr);
    const counts = countsOf(result);
    assert.deepEqual([counts.agents, counts.conversations, counts.messages], [[5, 1, 0, 4], [5, 2, 0, 3], [9, 3, 0, 6]]);
    for (const [{ _id }, reason] of [...agents, ...conversations]) {
        assert.deepEqual(reasonOf(result, _id), [reason]);
    }
    assert.deepEqual(reasonOf(result, mixed._id).length, 6);
    assert.match(result.stderr, new RegExp(`message 3 of ${mixed._id}: its role is none of`));
    const again = countsOf(await run(['import', 'mongo'], { env, cwd: folder }));
    assert.deepEqual([again.conversations, again.messages], [[5, 0, 2, 3], [9, 0, 3, 6]]);
    const server = await startServer(t, { env: { ...FILE, LLM_PROVIDER: 'demo' }, folder });
    const { headers } = await login(server, 'ann@example.com');
    const list = (await server.json('GET', '/api/conversations', undefined, headers)).body;
    assert.deepEqual(new Set(list.map(({ _id }) => _id)), new Set([String(mixed._id), String(bare._id)]));
    assert.ok(list.every(({ title }) => title === 'Customer Service Conversation'));
    assert.equal(list.find(({ _id }) => _id === String(bare._id)).metadata.created, new Date(1e12).toISOString());
    const path = `/api/conversations/${mixed._id}/messages`;
    const messages = (await server.json('GET', path, undefined, headers)).body;
    assert.deepEqual(messages.map(({ content }) => content), ['first', 'second', 'third']);
    assert.equal(new Set(messages.map(({ _id }) => _id)).size, 3);
    assert.ok(messages.every(({ _id }) => /^[0-9a-f]{24}$/.test(_id)));
    assert.equal(messages[2].metadata.sentiment, 'urgent');
});

/** Between us and the engine: bytes in its answers that no client of it would store. */
async function forger(t, port) {
    const sockets = new Set();
    const server = net.createServer((client) => {
        const engine = net.connect(port, '127.0.0.1');
        for (const socket of [client, engine]) {
            sockets.add(socket);
            socket.on('error', () => {});
        }
        client.pipe(engine);
        engine.on('data', (bytes) => {
            const place = bytes.indexOf('NOTUTF8');
            client.write(place < 0 ? bytes : Buffer.from(bytes).fill(0xff, place, place + 7));
        });
        client.on('close', () => engine.destroy());
        engine.on('close', () => client.destroy());
    });
    t.after(() => {
        sockets.forEach((socket) => socket.destroy());
        server.close();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server.address().port;
}

test('text that is not UTF-8', async (t) => {
    const { uri, raw, id } = await source(t);
    const [bad, ann] = [id(), id()];
    await raw('users').insertMany([
        { _id: bad, name: 'NOTUTF8', email: 'x@example.com', password: HASH },
        { _id: ann, name: 'Ann', email: 'ann@example.com', password: HASH },
    ]);
    const { port, pathname } = new URL(uri);
    const MONGODB_URI = `mongodb://127.0.0.1:${await forger(t, port)}${pathname}`;
    const result = await run(['import', 'mongo'], { env: { ...FILE, MONGODB_URI } });
    assert.deepEqual(countsOf(result).users, [2, 1, 0, 1], result.stderr);
    assert.deepEqual(reasonOf(result, bad), ['it has text that is not UTF-8']);
});

test('an empty database, one that is not there, and commands that are none', async (t) => {
    const { uri } = await source(t);
    const empty = await run(['import', 'mongo', `--from=${uri}`], { env: FILE });
    assert.equal(empty.code, 0, empty.stderr);
    assert.deepEqual(Object.values(countsOf(empty)).flat(), Array(16).fill(0));
    const secret = 'pa55-of-the-source';
    for (const [args, code, text] of [
        [['mongo', '--from', `mongodb://ann:${secret}@127.0.0.1:1/old`], 1, /did not come to its end/],
        [['mongo', '--from', `mysql://ann:${secret}@127.0.0.1/old`], 1, /no connection string of MongoDB/],
        [['mongo'], 1, /needs its address: STORE_URL/],
        [['mongo', '--from'], 2, /import mongo \[--from URI\]/],
        [['postgres'], 2, /import mongo \[--from URI\]/],
        [[], 2, /import mongo \[--from URI\]/],
        [['mongo', '--no-such-option'], 2, /no-such-option/],
    ]) {
        const result = await run(['import', ...args], { env: { ...FILE, STORE_SELECT_TIMEOUT: '300ms' } });
        assert.equal(result.code, code, `${args}: ${result.stderr}`);
        assert.match(result.stderr, text);
        assert.ok(!(result.stdout + result.stderr).includes(secret));
    }
    const nowhere = { STORE_DRIVER: 'mongo', STORE_URL: 'mongodb://127.0.0.1:1/x', STORE_SELECT_TIMEOUT: '300ms' };
    const lost = await run(['import', 'mongo', '--from', uri], { env: nowhere });
    assert.equal(lost.code, 0, 'nothing to bring');
});

test('a store that another process serves from is not touched', async (t) => {
    const { uri, User } = await source(t);
    await User.create({ name: 'Ann', email: 'ann@example.com', password: HASH });
    const server = await startServer(t, { env: { ...FILE, LLM_PROVIDER: 'demo' } });
    const result = await run(['import', 'mongo', '--from', uri], { env: FILE, cwd: server.folder });
    assert.equal(result.code, 1, result.stdout);
    assert.deepEqual(countsOf(result).users, [0, 0, 0, 0]);
});
