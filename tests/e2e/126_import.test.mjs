// parley import mongo: what the Node.js back end of customer care kept, brought over to a file and to MongoDB.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import bcrypt from 'bcryptjs';
import { freshDatabase, sharedMongo, withDatabase } from './support/mongo.mjs';
import { originalDatabase } from './support/original_care.mjs';
import { BINARY, run, startServer, temporaryFolder } from './support/server.mjs';

const PASSWORD = 'Sunny-Day-7';
const HASH = bcrypt.hashSync(PASSWORD, 4);
const at = (minute, second = 0) => new Date(Date.UTC(2025, 4, 6, 9, minute, second));

/** { read, brought, there, not } of users, agents, conversations, messages. */
function countsOf({ stdout }) {
    const rows = [...stdout.matchAll(/^(users|agents|conversations|messages) +(\d+) +(\d+) +(\d+) +(\d+)$/gm)];
    assert.equal(rows.length, 4, stdout);
    return Object.fromEntries(rows.map(([, name, ...numbers]) => [name, numbers.map(Number)]));
}

async function source(t) {
    const uri = withDatabase(await sharedMongo(), freshDatabase());
    return { uri, ...(await originalDatabase(t, uri)) };
}

async function fill({ User, Agent, Conversation }) {
    const ann = await User.create({ name: 'Ann Lee', email: 'ann@example.com', password: HASH });
    const ben = await User.create({ name: 'Ben', email: 'ben@example.com', password: HASH, role: 'admin' });
    const agent = await Agent.create({
        ...{ name: 'Mia', companyName: 'Tea & Co', personality: 'warm', companyInfo: 'We sell tea.', prompts: ['Hi', 'Bye'] },
        userId: ann._id,
    });
    const talk = await Conversation.create({
        ...{ userId: ann._id, agentId: agent._id, title: 'Chat about “tea” 🍵' },
        messages: [
            { role: 'system', content: 'You are Mia.', timestamp: at(0) },
            { role: 'assistant', content: 'Hello!', timestamp: at(0, 1) },
            { role: 'user', content: 'Where is my order?', timestamp: at(1), audioUrl: '/audio/1-voice.wav' },
            { role: 'assistant', content: 'On its way.', timestamp: at(2, 30), audioUrl: '/audio/response-1.mp3' },
        ],
        metadata: { duration: 90, sentiment: 'negative', intents: ['question'], created: at(0), updated: at(2, 30) },
    });
    const demo = await Conversation.create({
        ...{ userId: ann._id, title: 'Demo Call', messages: [{ role: 'assistant', content: 'Yo', timestamp: at(10) }] },
        metadata: { created: at(10), updated: at(10) },
    });
    return { ann, ben, agent, talk, demo };
}

async function login(server, email) {
    const { status, body, text } = await server.json('POST', '/api/auth/login', { email, password: PASSWORD });
    assert.equal(status, 200, text);
    return { user: body.user, headers: { authorization: `Bearer ${body.token}` } };
}

async function assertBrought(server, { ann, ben, agent, talk, demo }) {
    const { user, headers } = await login(server, 'ann@example.com');
    assert.deepEqual([user._id, user.name, user.role], [String(ann._id), 'Ann Lee', 'user']);
    assert.equal((await login(server, 'ben@example.com')).user.role, 'admin');
    const agents = (await server.json('GET', '/api/agents', undefined, headers)).body;
    assert.equal(agents.length, 1);
    for (const key of ['name', 'companyName', 'personality', 'companyInfo', 'prompts']) {
        assert.deepEqual(agents[0][key], JSON.parse(JSON.stringify(agent[key])), key);
    }
    assert.deepEqual([agents[0]._id, agents[0].userId], [String(agent._id), String(ann._id)]);
    assert.equal(agents[0].createdAt, agent.createdAt.toISOString());
    const list = (await server.json('GET', '/api/conversations', undefined, headers)).body;
    assert.deepEqual(list.map(({ _id }) => _id), [String(demo._id), String(talk._id)]);
    assert.equal(list[1].title, talk.title);
    assert.equal(list[1].agentId, String(agent._id));
    assert.equal(list[1].metadata.created, at(0).toISOString());
    const one = (await server.json('GET', `/api/conversations/${talk._id}`, undefined, headers)).body;
    assert.equal(one.metadata.sentiment, 'negative');
    assert.equal(one.metadata.duration, 90);
    const path = `/api/conversations/${talk._id}/messages`;
    const messages = (await server.json('GET', path, undefined, headers)).body;
    assert.deepEqual(
        messages.map(({ _id, role, content, timestamp, audioUrl }) => [_id, role, content, timestamp, audioUrl]),
        talk.messages.map((m) => [String(m._id), m.role, m.content, m.timestamp.toISOString(), m.audioUrl]),
    );
    const stats = (await server.json('GET', `/api/conversations/stats/user/${ann._id}`, undefined, headers)).body;
    assert.equal(stats.totalCalls, 2);
    assert.equal(stats.sentimentBreakdown.negative, 1);
    assert.equal(stats.totalMessages, 4);
    const stranger = (await login(server, 'ben@example.com')).headers;
    assert.deepEqual((await server.json('GET', '/api/conversations', undefined, stranger)).body, []);
    assert.equal((await server.json('GET', `/api/conversations/${talk._id}`, undefined, stranger)).status, 404);
    assert.equal(String(ben._id).length, 24);
}

const WHOLE = { users: [2, 2, 0, 0], agents: [1, 1, 0, 0], conversations: [2, 2, 0, 0], messages: [5, 5, 0, 0] };
const AGAIN = { users: [2, 0, 2, 0], agents: [1, 0, 1, 0], conversations: [2, 0, 2, 0], messages: [5, 0, 5, 0] };

for (const driver of ['sqlite', 'mongo']) {
    test(`everything is there on ${driver}, and a second run brings nothing`, async (t) => {
        const database = await source(t);
        const original = await fill(database);
        const folder = await temporaryFolder();
        const env = { STORE_DRIVER: driver, STORE_URL: undefined, MONGODB_URI: database.uri, LLM_PROVIDER: 'demo' };
        const first = await run(['import', 'mongo'], { env, cwd: folder });
        assert.equal(first.code, 0, first.stderr);
        assert.deepEqual(countsOf(first), WHOLE);
        assert.equal(first.stderr, '');
        assert.deepEqual(countsOf(await run(['import', 'mongo'], { env, cwd: folder })), AGAIN);
        const server = await startServer(t, { env, folder });
        await assertBrought(server, original);
        assert.equal(await database.User.countDocuments(), 2, 'the original is as it was');
    });
}

test('a conversation that goes on here stays so; new ones come in', async (t) => {
    const database = await source(t);
    const { ann, talk } = await fill(database);
    const folder = await temporaryFolder();
    const env = { STORE_DRIVER: 'sqlite', STORE_URL: undefined, LLM_PROVIDER: 'demo', CARE_SPEECH: 'false' };
    const args = ['import', 'mongo', '--from', database.uri];
    assert.deepEqual(countsOf(await run(args, { env, cwd: folder })), WHOLE);
    const server = await startServer(t, { env, folder });
    const { headers } = await login(server, 'ann@example.com');
    const path = `/api/conversations/${talk._id}/messages`;
    const said = await server.json('POST', path, { content: 'And my refund?', role: 'user' }, headers);
    assert.equal(said.status, 201, said.text);
    await server.stop();
    talk.messages.push({ role: 'user', content: 'said over there', timestamp: at(5) });
    await talk.save();
    const late = { userId: ann._id, title: 'late', messages: [{ role: 'user', content: 'x', timestamp: at(6) }] };
    await database.Conversation.create(late);
    const again = await run(args, { env, cwd: server.folder });
    assert.deepEqual(countsOf(again).conversations, [3, 1, 2, 0]);
    assert.deepEqual(countsOf(again).messages.slice(0, 2), [7, 1]);
    await server.start();
    const messages = (await server.json('GET', path, undefined, (await login(server, 'ann@example.com')).headers)).body;
    assert.deepEqual(messages.map(({ content }) => content).slice(0, 5), [...talk.messages.slice(0, 4).map((m) => m.content), 'And my refund?']);
    assert.ok(!messages.some(({ content }) => content === 'said over there'));
});

test('a long conversation, and one that an import left half done', async (t) => {
    const database = await source(t);
    const { ann } = await fill(database);
    const say = (i) => ({ role: i % 2 ? 'assistant' : 'user', content: `message ${i} ${'x'.repeat(i % 300)}`, timestamp: at(20, i) });
    const long = await database.Conversation.create({
        ...{ userId: ann._id, title: 'long', messages: Array.from({ length: 100 }, (_, i) => say(i)) },
    });
    const folder = await temporaryFolder();
    const env = { STORE_DRIVER: 'sqlite', STORE_URL: database.uri };
    assert.deepEqual(countsOf(await run(['import', 'mongo'], { env, cwd: folder })).messages, [105, 105, 0, 0]);
    long.messages.push(...Array.from({ length: 4900 }, (_, i) => say(100 + i)));
    await long.save();
    assert.deepEqual(countsOf(await run(['import', 'mongo'], { env, cwd: folder })).messages, [5005, 4900, 105, 0]);
    assert.deepEqual(countsOf(await run(['import', 'mongo'], { env, cwd: folder })).messages, [5005, 0, 5005, 0]);
    const server = await startServer(t, { env: { STORE_DRIVER: 'sqlite', STORE_URL: database.uri }, folder });
    const { headers } = await login(server, 'ann@example.com');
    const { body } = await server.json('GET', `/api/conversations/${long._id}/messages`, undefined, headers);
    assert.deepEqual(body.map(({ content }) => content), long.messages.map(({ content }) => content));
});

/** Starts an import and ends it with no chance to tidy up, some time later. */
async function killed(env, folder, ms) {
    const merged = { PATH: process.env.PATH, DATA_DIR: path.join(folder, 'data'), ...env };
    const child = spawn(BINARY, ['import', 'mongo'], { env: merged, cwd: folder, stdio: 'ignore' });
    const ended = once(child, 'exit');
    setTimeout(() => child.kill('SIGKILL'), ms);
    await ended;
}

for (const driver of ['sqlite', 'mongo']) {
    test(`killed at any moment, on ${driver}: the next run brings the rest, once`, async (t) => {
        const database = await source(t);
        const { ann } = await fill(database);
        const say = (i) => ({ role: i % 2 ? 'assistant' : 'user', content: `message ${i}`, timestamp: at(20, i) });
        const messages = Array.from({ length: 3000 }, (_, i) => say(i));
        const long = await database.Conversation.create({ userId: ann._id, title: 'long', messages });
        const folder = await temporaryFolder();
        const env = { STORE_DRIVER: driver, STORE_URL: database.uri };
        for (const ms of [50, 150, 250, 350, 450]) {
            await killed(env, folder, ms);
        }
        const last = await run(['import', 'mongo'], { env, cwd: folder });
        assert.equal(last.code, 0, last.stderr);
        const [read, brought, there, refused] = countsOf(last).messages;
        assert.deepEqual([read, brought + there, refused], [3005, 3005, 0]);
        assert.deepEqual(countsOf(await run(['import', 'mongo'], { env, cwd: folder })).messages, [3005, 0, 3005, 0]);
        const server = await startServer(t, { env: { ...env, LLM_PROVIDER: 'demo' }, folder });
        const { headers } = await login(server, 'ann@example.com');
        const { body } = await server.json('GET', `/api/conversations/${long._id}/messages`, undefined, headers);
        assert.deepEqual(body.map(({ content }) => content), messages.map(({ content }) => content));
    });
}
