// The log of a user's conversation as server-sent events: for its owner only, resumable, with the priority.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { assertRefused, careEnv, CareUser, UNKNOWN_ID } from './support/care.mjs';
import { startServer } from './support/server.mjs';
import { EventStream } from './support/sse.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const env = { ...careEnv, CARE_SPEECH: 'false', THREADS: '2', ...upstream.openaiEnv };
const server = await startServer({ after }, { env });
const ada = await CareUser.make(server, 'Ada Moss');
const ben = await CareUser.make(server, 'Ben Tull');

const path = (id, end = 'events') => `/api/conversations/${id}/${end}`;
const follow = (user, id, more = {}) => EventStream.open(server.url + path(id), { headers: user.headers, ...more });

/** Answers by what is asked; the reply may be held back. */
function script({ sentiment = 'neutral', reply = 'I see.', held } = {}) {
    upstream.always = ({ body }) => {
        const system = body.messages[0].content;
        if (/^You name customer/.test(system)) {
            return { text: 'A Title' };
        }
        if (/^You judge how/.test(system)) {
            return { text: sentiment };
        }
        return { text: reply, ...(held ? { holdAfter: 1, gate: held.promise } : {}) };
    };
}

async function until(stream, name) {
    const seen = [];
    do {
        seen.push(await stream.next());
    } while (seen.at(-1).event !== name);
    return seen;
}

test('the owner follows a turn: what is there, then what happens', async () => {
    script({ reply: 'Let me look.' });
    const { _id } = await ada.simulator();
    const stream = await follow(ada, _id);
    const reset = await stream.next();
    assert.equal(reset.event, 'reset');
    const { conversation } = reset.data;
    assert.equal(conversation._id, _id);
    assert.equal(conversation.messages.length, 1);
    assert.equal(conversation.metadata.sentiment, 'pending');
    const said = await ada.say(_id, 'Where is it?');
    const events = await until(stream, 'reply_finished');
    assert.deepEqual(
        events.filter(({ event }) => event !== 'delta').map(({ event }) => event),
        ['message', 'reply_started', 'reply_finished'],
    );
    assert.equal(events[0].data.message.content, 'Where is it?');
    assert.equal(events[0].data.message.id, said.userMessage._id);
    assert.equal(events.at(-1).data.message.content, 'Let me look.');
    assert.equal(events.at(-1).data.messageId, said._id);
    const deltas = events.filter(({ event }) => event === 'delta').map((event) => event.data.text);
    assert.equal(deltas.join(''), 'Let me look.');
    stream.close();
});

test('a stream ends with its token', async () => {
    script();
    const eve = await CareUser.make(server, 'Eve Wood');
    const { _id } = await eve.simulator();
    const stolen = await follow(eve, _id);
    assert.equal((await stolen.next()).event, 'reset');
    eve.token = (await eve.ask(200, 'PUT', '/api/auth/profile', { password: 'Another1Secret' })).token;
    const stream = await follow(eve, _id);
    await eve.say(_id, 'Only for me.');
    assert.equal(await stolen.next(), undefined);
    const [, first] = await until(stream, 'message');
    assert.equal(first.data.message.content, 'Only for me.');
    stream.close();
});

test('urgency is told, and its end', async () => {
    const { _id } = await ada.simulator();
    const stream = await follow(ada, _id);
    script({ sentiment: 'urgent' });
    await ada.say(_id, 'Help!');
    let told = (await until(stream, 'priority')).at(-1).data;
    assert.deepEqual(told, { conversationId: _id, priority: 'high', sentiment: 'urgent' });
    script({ sentiment: 'positive' });
    await ada.say(_id, 'Thanks.');
    told = (await until(stream, 'priority')).at(-1).data;
    assert.deepEqual(told, { conversationId: _id, priority: 'normal', sentiment: 'positive' });
    stream.close();
});

test('one that comes back reads on where it was', async () => {
    script();
    const { _id } = await ada.simulator();
    const first = await follow(ada, _id);
    await first.next();
    await ada.say(_id, 'one');
    const seen = await until(first, 'message');
    first.close();
    await ada.say(_id, 'two');
    const second = await follow(ada, _id, { lastEventId: seen.at(-1).id });
    const missed = [...(await until(second, 'reply_finished')), ...(await until(second, 'reply_finished'))];
    assert.ok(missed.every(({ event }) => event !== 'reset'));
    const messages = missed.filter(({ event }) => event === 'message').map((event) => event.data.message.content);
    assert.deepEqual(messages, ['two']);
    second.close();
});

test('one that comes in the middle of a reply gets what it says so far', async () => {
    const held = gate();
    script({ reply: 'First second third', held });
    const { _id } = await ada.simulator();
    const early = await follow(ada, _id);
    const saying = ada.say(_id, 'Go on');
    await until(early, 'delta');
    const late = await follow(ada, _id);
    const reset = (await late.next()).data;
    assert.equal(reset.conversation.messages.length, 3);
    assert.equal(reset.conversation.messages[2].status, 'streaming');
    assert.match('First second third', new RegExp(`^${reset.running.text}`));
    held.open();
    const events = await until(late, 'reply_finished');
    const rest = events.filter(({ event }) => event === 'delta').map((event) => event.data.text);
    assert.equal(reset.running.text + rest.join(''), 'First second third');
    await saying;
    early.close();
    late.close();
});

test('the owner cancels a turn; what was said stays', async () => {
    const held = gate();
    script({ reply: 'Endless words follow', held });
    const { _id } = await ada.simulator();
    const stream = await follow(ada, _id);
    const saying = ada.say(_id, 'Talk');
    await until(stream, 'delta');
    for (const headers of [{}, ben.headers]) {
        const refused = await server.json('POST', path(_id, 'cancel'), undefined, headers);
        assert.equal(refused.status, headers.authorization ? 404 : 401);
    }
    assert.deepEqual(await ada.ask(200, 'POST', path(_id, 'cancel')), { cancelled: true, conversationId: _id });
    const said = await saying;
    assert.equal(said.status, 'interrupted');
    assert.match('Endless words follow', new RegExp(`^${said.content}`));
    held.open();
    assert.deepEqual(await ada.ask(200, 'POST', path(_id, 'cancel')), { cancelled: false, conversationId: _id });
    stream.close();
});

test('deletion ends it', async () => {
    const { _id } = await ada.simulator();
    const stream = await follow(ada, _id);
    await stream.next();
    await ada.ask(200, 'DELETE', `/api/conversations/${_id}`);
    assert.equal((await stream.next()).event, 'deleted');
    assert.equal(await stream.next(), undefined);
});

test('nobody else', async () => {
    const { _id } = await ada.simulator();
    for (const [method, end] of [
        ['GET', 'events'],
        ['POST', 'cancel'],
    ]) {
        const ask = (headers, id) => server.json(method, path(id, end), undefined, headers);
        for (const id of [_id, UNKNOWN_ID]) {
            assertRefused(await ask({}, id), 401, 'Please authenticate.', 'UNAUTHORIZED');
            assertRefused(await ask({ authorization: 'Bearer x' }, id), 401, 'Please authenticate.', 'UNAUTHORIZED');
            assertRefused(await ask(ben.headers, id), 404, 'Conversation not found', 'CONVERSATION_NOT_FOUND');
        }
    }
    const anonymous = (await server.json('POST', '/api/conversations', { title: 'Open' })).body;
    const own = await server.json('POST', path(anonymous.id, 'cancel'));
    assert.equal(own.status, 200);
    assertRefused(await ada.json('POST', path(anonymous.id, 'cancel')), 404, 'Conversation not found');
});
