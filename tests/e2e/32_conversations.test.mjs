// Dialect 002 over REST: health, chat, conversations.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { failures, gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { DEMO_TEXT, ISO, UUID, assertConversation, assertError, assertMessage } from './support/shapes.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const keyless = await startServer({ after });
const model = await startServer({ after }, { env: { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' } });
const demo = await startServer({ after }, { env: { LLM_PROVIDER: 'demo' } });

const ask = (message, more = {}, server = model) =>
    server.json('POST', '/api/chat', { message, conversationId: null, ...more });

test('GET /api/health', async () => {
    const { status, body } = await keyless.json('GET', '/api/health');
    assert.equal(status, 200);
    assert.equal(body.status, 'OK');
    assert.match(body.timestamp, ISO);
    assert.equal(body.version, '1.0.0');
    assert.equal(typeof body.uptime, 'number');
    for (const name of ['rss', 'heapTotal', 'heapUsed', 'external', 'arrayBuffers']) {
        assert.equal(typeof body.memory[name], 'number', name);
    }
    assert.ok(body.memory.rss > 1000000);
});

test('a first message creates a conversation', async () => {
    upstream.forget();
    const { status, body } = await ask('Which tram goes to the zoo?');
    assert.equal(status, 200);
    assertConversation(body.conversation);
    assert.match(body.conversation.id, UUID);
    assert.equal(body.conversation.title, 'Which tram goes to the zoo?');
    assertMessage(body.message, 'assistant', body.conversation.id);
    assert.equal(body.message.content, 'You said: Which tram goes to the zoo?');
    const [user, assistant] = body.conversation.messages;
    assert.equal(body.conversation.messages.length, 2);
    assert.equal(user.role, 'user');
    assert.equal(user.content, 'Which tram goes to the zoo?');
    assert.deepEqual(assistant, body.message);
    const sent = (await upstream.request(1)).body;
    assert.equal(sent.model, 'gpt-4');
    assert.deepEqual(sent.messages, [
        { role: 'system', content: 'You are a helpful assistant.' },
        { role: 'user', content: 'Which tram goes to the zoo?' },
    ]);
});

test('a second message goes on, with the history sent to the model', async () => {
    const first = (await ask('one')).body.conversation;
    upstream.forget();
    const { body } = await ask('two', { conversationId: first.id });
    assert.equal(body.conversation.id, first.id);
    assert.deepEqual(
        body.conversation.messages.map((m) => [m.role, m.content]),
        [
            ['user', 'one'],
            ['assistant', 'You said: one'],
            ['user', 'two'],
            ['assistant', 'You said: two'],
        ],
    );
    assert.ok(body.conversation.updatedAt >= first.updatedAt);
    assert.equal(body.conversation.createdAt, first.createdAt);
    assert.deepEqual(
        (await upstream.request(1)).body.messages.slice(1).map((m) => m.content),
        ['one', 'You said: one', 'two'],
    );
});

test('titles: the first 50 UTF-16 units, ... when longer', async () => {
    const title = async (message) => (await ask(message, {}, keyless)).body.conversation.title;
    assert.equal(await title('a'.repeat(50)), 'a'.repeat(50));
    assert.equal(await title('a'.repeat(51)), `${'a'.repeat(50)}...`);
    assert.equal(await title('ü'.repeat(60)), `${'ü'.repeat(50)}...`);
    assert.equal(await title('😀'.repeat(25)), '😀'.repeat(25));
    assert.equal(await title('😀'.repeat(30)), `${'😀'.repeat(25)}...`);
});

test('a blank message is refused, nothing is stored', async () => {
    const before = (await model.json('GET', '/api/conversations')).body.length;
    for (const message of ['', '   ', '\n\t', null, undefined, 7]) {
        assertError(await ask(message), 400, 'Message is required', 'INVALID_REQUEST');
    }
    assert.equal((await model.json('GET', '/api/conversations')).body.length, before);
});

test('an unknown conversation is 404', async () => {
    for (const [method, path, body] of [
        ['POST', '/api/chat', { message: 'x', conversationId: 'b1c0ffee-0000-4000-8000-000000000000' }],
        ['GET', '/api/conversations/nope'],
        ['DELETE', '/api/conversations/nope'],
        ['PUT', '/api/conversations/nope', { title: 'x' }],
        ['POST', '/api/conversations/nope/cancel'],
        ['GET', '/api/conversations/nope/events'],
    ]) {
        assertError(
            await model.json(method, path, body),
            404,
            'Conversation not found',
            'CONVERSATION_NOT_FOUND',
        );
    }
});

test('lists conversations, newest change first, with their messages', async (t) => {
    const server = await startServer(t);
    assert.deepEqual((await server.json('GET', '/api/conversations')).body, []);
    const ids = [];
    for (const message of ['first', 'second', 'third']) {
        ids.push((await ask(message, {}, server)).body.conversation.id);
    }
    await ask('again', { conversationId: ids[0] }, server);
    const { body } = await server.json('GET', '/api/conversations');
    body.forEach(assertConversation);
    assert.deepEqual(
        body.map((c) => c.id),
        [ids[0], ids[2], ids[1]],
    );
    assert.deepEqual(
        body.map((c) => c.messages.length),
        [4, 2, 2],
    );
    const one = await server.json('GET', `/api/conversations/${ids[0]}`);
    assert.deepEqual(one.body, body[0]);
});

test('creates, renames and deletes', async () => {
    const created = await keyless.json('POST', '/api/conversations', { title: 'Trams' });
    assert.equal(created.status, 201);
    assertConversation(created.body);
    assert.equal(created.body.title, 'Trams');
    assert.deepEqual(created.body.messages, []);
    const path = `/api/conversations/${created.body.id}`;
    const renamed = await keyless.json('PUT', path, { title: 'Zoo' });
    assert.equal(renamed.status, 200);
    assert.equal(renamed.body.title, 'Zoo');
    assert.equal((await keyless.json('GET', path)).body.title, 'Zoo');
    for (const title of ['', '  ', null, undefined, 3]) {
        assertError(await keyless.json('PUT', path, { title }), 400, 'Title is required', 'INVALID_REQUEST');
        assertError(
            await keyless.json('POST', '/api/conversations', { title }),
            400,
            'Title is required',
            'INVALID_REQUEST',
        );
    }
    const gone = await keyless.json('DELETE', path);
    assert.equal(gone.status, 200);
    assert.deepEqual(gone.body, { message: 'Conversation deleted successfully' });
    assert.equal((await keyless.json('GET', path)).status, 404);
    assert.equal((await keyless.json('DELETE', path)).status, 404);
});

test('without a model the documented demo text is the reply', async () => {
    const { status, body } = await ask('Hello', {}, keyless);
    assert.equal(status, 200);
    assert.equal(body.message.content, DEMO_TEXT);
});

test('LLM_PROVIDER=demo replies from the embedded responder', async () => {
    const { body } = await ask('Hello', {}, demo);
    assert.notEqual(body.message.content, DEMO_TEXT);
    assert.ok(body.message.content.length > 0);
});

test('a failing model becomes an apology, stored as the reply', async () => {
    for (const directive of ['[[status=500]]', '[[html]]', '[[quota]]', '[[cut=0]]', '[[error=0]]']) {
        const { status, body } = await ask(`${directive} x`);
        assert.equal(status, 200);
        assert.match(body.message.content, /^I apologize, but I encountered an error/);
        const stored = await model.json('GET', `/api/conversations/${body.conversation.id}`);
        assert.equal(stored.body.messages[1].content, body.message.content);
    }
});

test('client message ids are deduplicated: one message, one reply, the same answer', async () => {
    upstream.forget();
    const first = await ask('once', { clientMessageId: 'client-1' });
    const id = first.body.conversation.id;
    const again = await ask('once', { clientMessageId: 'client-1', conversationId: id });
    assert.equal(again.status, 200);
    assert.deepEqual(again.body.message, first.body.message);
    assert.equal(again.body.conversation.messages.length, 2);
    assert.equal(upstream.requests.length, 1);
    const other = await ask('twice', { clientMessageId: 'client-2', conversationId: id });
    assert.equal(other.body.conversation.messages.length, 4);
});

test('the same id while the turn still runs waits for the first reply', async () => {
    const { id } = (await model.json('POST', '/api/conversations', { title: 'x' })).body;
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'slow reply', holdAfter: 1, gate: hold.promise });
    const body = { conversationId: id, clientMessageId: 'same' };
    const first = ask('go', body);
    await upstream.request(1);
    const second = ask('go', body);
    hold.open();
    const [a, b] = await Promise.all([first, second]);
    assert.deepEqual(a.body.message, b.body.message);
    assert.equal(a.body.message.content, 'slow reply');
    assert.equal(upstream.requests.length, 1);
});

test('turns of one conversation run one after the other, in order', async () => {
    const { id } = (await model.json('POST', '/api/conversations', { title: 'x' })).body;
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'reply one', holdAfter: 1, gate: hold.promise });
    const first = ask('one', { conversationId: id });
    await upstream.request(1);
    const second = ask('two', { conversationId: id });
    const elsewhere = await ask('another conversation does not wait');
    assert.equal(elsewhere.status, 200);
    assert.deepEqual(
        upstream.requests.map((rq) => rq.body.messages.at(-1).content),
        ['one', 'another conversation does not wait'],
    );
    hold.open();
    await first;
    const { body } = await second;
    assert.deepEqual(
        upstream.requests.at(-1).body.messages.slice(1).map((m) => m.content),
        ['one', 'reply one', 'two'],
    );
    assert.equal(body.conversation.messages.length, 4);
});

test('when the client goes away the turn runs on and is stored', async () => {
    const { id } = (await model.json('POST', '/api/conversations', { title: 'x' })).body;
    upstream.forget();
    const hold = gate();
    upstream.next({ text: 'still here', holdAfter: 1, gate: hold.promise });
    const controller = new AbortController();
    const pending = model.fetch('/api/chat', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ message: 'x', conversationId: id }),
        signal: controller.signal,
    });
    const seen = await upstream.request(1);
    controller.abort();
    await assert.rejects(pending);
    hold.open();
    assert.equal((await seen.ended).closedEarly, false);
    for (;;) {
        const { messages } = (await model.json('GET', `/api/conversations/${id}`)).body;
        if (messages[1]?.status === 'complete' || messages[1]?.content === 'still here') {
            assert.equal(messages[1].content, 'still here');
            break;
        }
    }
});

test('ids and titles with odd characters', async () => {
    const title = 'Ünï "quotes" \\ </script> 🌍\u2028';
    const created = await keyless.json('POST', '/api/conversations', { title });
    assert.equal(created.body.title, title);
    const listed = (await keyless.json('GET', '/api/conversations')).body.find((c) => c.id === created.body.id);
    assert.equal(listed.title, title);
    for (const id of ["' OR 1=1 --", '../../etc/passwd', '%00', 'a'.repeat(500)]) {
        const { status } = await keyless.json('GET', `/api/conversations/${encodeURIComponent(id)}`);
        assert.ok([400, 404].includes(status), id);
    }
});
