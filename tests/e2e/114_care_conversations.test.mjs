// A user's conversations over HTTP: every row of the dialect with its errors, and two users who see nothing of each other.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertConversation, assertMessage, assertRefused, careEnv, CareUser, UNKNOWN_ID } from './support/care.mjs';
import { startServer } from './support/server.mjs';

const server = await startServer({ after }, { env: careEnv });
const ada = await CareUser.make(server, 'Ada Moss');
const ben = await CareUser.make(server, 'Ben Tull');
const SECRET = 'q7c2lnbmluZy1zZWNyZXQtb2YtdGhlLXRlc3Q5ODc2NTQz';
const OPERATOR = 'api-token-abcdefghij0123456789';
const NOT_FOUND = [404, 'Conversation not found', 'CONVERSATION_NOT_FOUND'];

test('the simulator: a document with its welcome alone, spoken, and the demo agent', async () => {
    const made = await ada.simulator();
    assertConversation(made, ada);
    assert.deepEqual(made.demoAgent, {
        name: 'Sigma',
        company: 'Zero to Hero',
        personality: 'motivational, strategic, and sharp-witted',
    });
    assert.equal(made.messages.length, 1);
    assert.equal(made.messages[0].role, 'assistant');
    assert.match(made.messages[0].audioUrl, /^\/audio\/response-\d+-[0-9a-f]{32}\.mp3$/);
    assert.equal(made.title, 'Demo Call');
    assert.equal(made.status, 'active');
    assert.equal(made.metadata.sentiment, 'pending');
    assert.equal(made.metadata.duration, 0);
    assert.equal(made.agentId, undefined);
    const audio = await server.fetch(made.messages[0].audioUrl);
    assert.equal(audio.headers.get('content-type'), 'audio/mpeg');
    assert.ok((await audio.arrayBuffer()).byteLength > 1000);
    assert.deepEqual((await ada.get(`/api/conversations/${made._id}`)).messages, made.messages);
});

test('with an agent: the welcome, the documented title or the given one', async () => {
    const agent = await ada.agent();
    const made = await ada.ask(201, 'POST', '/api/conversations', { agentId: agent._id });
    assertConversation(made, ada);
    assert.equal(made.agentId, agent._id);
    assert.equal(made.demoAgent, undefined);
    assert.match(made.title, /^Chat from \d{1,2}\/\d{1,2}\/\d{4}$/);
    assert.equal(made.messages.length, 1);
    assert.match(made.messages[0].content, /(Morning|Afternoon|Evening)!/);
    const titled = await ada.ask(201, 'POST', '/api/conversations', { agentId: agent._id, title: '  Tea, please ' });
    assert.equal(titled.title, 'Tea, please');
});

test('creating: what is missing, unknown, foreign or malformed', async () => {
    const agent = await ada.agent();
    for (const body of [{}, { title: 'x' }, { agentId: '' }, { agentId: 7 }, { isCallSimulator: false }]) {
        assertRefused(await ada.json('POST', '/api/conversations', body), 400, 'userId and agentId are required');
    }
    for (const agentId of [UNKNOWN_ID, 'nonsense', '../x', agent._id.toUpperCase()]) {
        assertRefused(await ada.json('POST', '/api/conversations', { agentId }), 404, 'Agent not found');
    }
    assertRefused(await ben.json('POST', '/api/conversations', { agentId: agent._id }), 404, 'Agent not found');
    const long = { isCallSimulator: true, title: 'x'.repeat(513) };
    assertRefused(await ada.json('POST', '/api/conversations', long), 400, 'Title is too long');
    const broken = await server.fetch('/api/conversations', {
        method: 'POST',
        headers: { ...ada.headers, 'content-type': 'application/json' },
        body: '{"isCallSimulator":',
    });
    assert.equal(broken.status, 400);
    assert.equal((await broken.json()).code, 'INVALID_REQUEST');
});

test('nobody without a good token', async () => {
    const { _id } = await ada.simulator();
    const rows = [
        ['GET', `/api/conversations/${_id}`],
        ['PUT', `/api/conversations/${_id}`, { title: 'x' }],
        ['DELETE', `/api/conversations/${_id}`],
        ['GET', `/api/conversations/${_id}/messages`],
        ['POST', `/api/conversations/${_id}/messages`, { content: 'x', role: 'user' }],
        ['POST', `/api/conversations/${_id}/audio`],
        ['PUT', `/api/conversations/${_id}/end`],
        ['PUT', `/api/conversations/${_id}/update-title`],
        ['GET', `/api/conversations/stats/user/${ada.id}`],
        ['POST', '/api/conversations/reanalyze-sentiment', {}],
        ['POST', '/api/conversations', { isCallSimulator: true }],
        ['POST', '/api/conversations', { agentId: UNKNOWN_ID }],
        ['GET', `/api/conversations?agentId=${UNKNOWN_ID}`],
    ];
    const tokens = ['', 'Bearer', 'Bearer nonsense', `Bearer ${ada.token}x`, `Bearer ${ada.token.replace(/\..*\./, '.e30.')}`];
    for (const [method, path, body] of rows) {
        for (const authorization of tokens) {
            const reply = await server.json(method, path, body, authorization ? { authorization } : {});
            assertRefused(reply, 401, 'Please authenticate.', 'UNAUTHORIZED');
        }
    }
    assert.equal((await ada.get(`/api/conversations/${_id}`))._id, _id);
});

test('a list without a token is the anonymous one, and has nothing of anybody', async () => {
    const { _id } = await ada.simulator();
    const anonymous = await server.json('POST', '/api/conversations', { title: 'Mine' });
    const { status, body } = await server.json('GET', '/api/conversations');
    assert.equal(status, 200);
    assert.deepEqual(
        body.map(({ id }) => id),
        [anonymous.body.id],
    );
    const own = await ada.get('/api/conversations');
    assert.ok(own.some((c) => c._id === _id));
    assert.ok(own.every((c) => c._id !== anonymous.body.id));
    assertRefused(await ada.json('GET', `/api/conversations/${anonymous.body.id}`), ...NOT_FOUND);
});

test('ids that are foreign, unknown or malformed are not found, whatever is asked', async () => {
    const { _id } = await ada.simulator();
    await ada.say(_id, 'Hello');
    const before = await ada.get(`/api/conversations/${_id}`);
    for (const id of [_id, UNKNOWN_ID, 'nonsense', `${_id}0`, _id.toUpperCase().replace(/^6/, 'A'), 'x'.repeat(200)]) {
        assertRefused(await ben.json('GET', `/api/conversations/${id}`), ...NOT_FOUND);
        assertRefused(await ben.json('PUT', `/api/conversations/${id}`, { title: 'x' }), ...NOT_FOUND);
        assertRefused(await ben.json('DELETE', `/api/conversations/${id}`), ...NOT_FOUND);
        assertRefused(await ben.json('GET', `/api/conversations/${id}/messages`), ...NOT_FOUND);
        for (const role of ['user', 'assistant', 'system']) {
            const message = { content: 'x', role };
            assertRefused(await ben.json('POST', `/api/conversations/${id}/messages`, message), ...NOT_FOUND);
        }
        assertRefused(await ben.upload(id, { bytes: 'RIFF    WAVE', transcript: 'x' }), ...NOT_FOUND);
        assertRefused(await ben.json('PUT', `/api/conversations/${id}/end`), ...NOT_FOUND);
        assertRefused(await ben.json('PUT', `/api/conversations/${id}/update-title`), ...NOT_FOUND);
    }
    assert.deepEqual(await ada.get(`/api/conversations/${_id}`), before);
});

test('changing: title, status, and what the client keeps there', async () => {
    const { _id } = await ada.simulator();
    const path = `/api/conversations/${_id}`;
    const change = { title: ' New "title" ', status: 'archived', metadata: { ticket: 'T-7', tags: ['a', { b: null }], duration: 999 } };
    const changed = await ada.ask(200, 'PUT', path, change);
    assertConversation(changed, ada);
    assert.equal(changed.title, 'New "title"');
    assert.equal(changed.status, 'archived');
    assert.equal(changed.metadata.ticket, 'T-7');
    assert.deepEqual(changed.metadata.tags, ['a', { b: null }]);
    assert.equal(changed.metadata.duration, 0);
    const again = await ada.ask(200, 'PUT', path, { status: 'active' });
    assert.equal(again.title, 'New "title"');
    assert.equal(again.metadata.ticket, 'T-7');
    /* A client that sends back what it got changes nothing by it. */
    const { user: _user, ...whole } = await ada.get(path);
    const same = await ada.ask(200, 'PUT', path, { ...whole, metadata: { ...whole.metadata, ticket: 'T-8' } });
    assert.equal(same.metadata.ticket, 'T-8');
    assert.equal(same.metadata.created, whole.metadata.created);
    assert.deepEqual((await ada.ask(200, 'PUT', path, { metadata: {} })).metadata.ticket, undefined);
});

const refusedChanges = [
    [{ title: '  ' }, 'Title is required'],
    [{ title: 7 }, 'Title is required'],
    [{ title: 'é'.repeat(257) }, 'Title is too long'],
    [{ status: 'gone' }, 'Status must be active, completed or archived'],
    [{ status: null }, 'Status must be active, completed or archived'],
    [{ metadata: [] }, 'Metadata must be an object'],
    [{ metadata: 'x' }, 'Metadata must be an object'],
    [{ metadata: { x: 'x'.repeat(17000) } }, 'Metadata is too large'],
    [{ title: 'good', status: 'bad' }, 'Status must be active, completed or archived'],
];
test('changes that are refused change nothing', async () => {
    const { _id } = await ada.simulator();
    const path = `/api/conversations/${_id}`;
    const before = await ada.get(path);
    for (const [change, text] of refusedChanges) {
        assertRefused(await ada.json('PUT', path, change), 400, text, 'INVALID_REQUEST');
    }
    const deep = { metadata: JSON.parse('{"a":'.repeat(62) + '1' + '}'.repeat(62)) };
    assert.equal((await ada.json('PUT', path, deep)).status, 400);
    assert.equal((await ada.json('PUT', path, [])).status, 400);
    assert.deepEqual(await ada.get(path), before);
});

test('deleting, once', async () => {
    const { _id } = await ada.simulator();
    assert.deepEqual(await ada.ask(200, 'DELETE', `/api/conversations/${_id}`), {
        message: 'Conversation deleted successfully',
    });
    assertRefused(await ada.json('GET', `/api/conversations/${_id}`), ...NOT_FOUND);
    assertRefused(await ada.json('DELETE', `/api/conversations/${_id}`), ...NOT_FOUND);
    assert.ok((await ada.get('/api/conversations')).every((c) => c._id !== _id));
});

test('ending: completed, titled, judged', async () => {
    const { _id } = await ada.simulator();
    await ada.say(_id, 'This is great, thank you so much!');
    const ended = await ada.ask(200, 'PUT', `/api/conversations/${_id}/end`);
    assertConversation(ended, ada);
    assert.equal(ended.status, 'completed');
    assert.equal(ended.title, 'Customer Service Conversation');
    assert.equal(ended.metadata.sentiment, 'positive');
    assert.equal(ended.messages.length, 3);
    assert.deepEqual(await ada.get(`/api/conversations/${_id}`), ended);
});

test('a new title on request', async () => {
    const { _id } = await ada.simulator();
    const retitled = await ada.ask(200, 'PUT', `/api/conversations/${_id}/update-title`);
    assert.deepEqual(retitled, {
        success: true,
        title: 'Customer Service Conversation',
        message: 'Conversation title updated successfully',
    });
    assert.equal((await ada.get(`/api/conversations/${_id}`)).title, retitled.title);
});

test('figures of a user: own ones only', async () => {
    const cleo = await CareUser.make(server, 'Cleo Ray');
    const none = await cleo.get(`/api/conversations/stats/user/${cleo.id}`);
    assert.deepEqual(none, {
        totalCalls: 0,
        averageDuration: 0,
        lastActivity: null,
        sentimentBreakdown: { positive: 0, negative: 0, neutral: 0, urgent: 0 },
        totalMessages: 0,
        companiesInteractedWith: [],
    });
    const { _id } = await cleo.simulator();
    await cleo.say(_id, 'My Netflix account is wonderful, I love it!');
    const stats = await cleo.get(`/api/conversations/stats/user/${cleo.id}`);
    assert.equal(stats.totalCalls, 1);
    assert.equal(stats.totalMessages, 3);
    assert.deepEqual(stats.companiesInteractedWith.map((name) => name.toLowerCase()), ['netflix']);
    assert.deepEqual(stats.sentimentBreakdown, { positive: 1, negative: 0, neutral: 0, urgent: 0 });
    assert.ok(Number.isInteger(stats.averageDuration));
    assert.ok(Math.abs(Date.parse(stats.lastActivity) - Date.now()) < 3600_000);
    for (const id of [ada.id, UNKNOWN_ID, 'nonsense']) {
        const refused = await cleo.json('GET', `/api/conversations/stats/user/${id}`);
        assertRefused(refused, 403, 'Unauthorized to access other user stats', 'FORBIDDEN');
    }
});

test('judging everything again', async () => {
    const dora = await CareUser.make(server, 'Dora Lin');
    for (const text of ['I am very happy', 'This is awful, I am angry', 'What time is it?']) {
        const { _id } = await dora.simulator();
        await dora.say(_id, text);
    }
    const done = await dora.ask(200, 'POST', '/api/conversations/reanalyze-sentiment', {});
    assert.equal(done.success, true);
    assert.equal(done.totalConversations, 3);
    assert.equal(done.message, `Reanalyzed sentiment and fixed duration for ${done.updatedConversations} conversations`);
    const list = await dora.get('/api/conversations');
    list.forEach((c) => assertConversation(c, dora));
    assert.deepEqual(
        list.map((c) => c.metadata.sentiment),
        ['neutral', 'negative', 'positive'],
    );
});

test('messages: all of them, with the hidden ones; from one on; a few at a time', async () => {
    const agent = await ada.agent();
    const { _id } = await ada.ask(201, 'POST', '/api/conversations', { agentId: agent._id });
    const path = `/api/conversations/${_id}/messages`;
    const hidden = await ada.ask(201, 'POST', path, { content: 'The caller is a regular.', role: 'system' });
    assert.equal(hidden.role, 'system');
    const noted = await ada.ask(201, 'POST', path, { content: 'One moment.', role: 'assistant' });
    assert.equal(noted.content, 'One moment.');
    assertMessage(noted);
    await ada.say(_id, 'How long does a refund take?');
    const all = await ada.get(path);
    all.forEach(assertMessage);
    assert.ok(all.some((m) => m._id === hidden._id));
    const shown = await ada.get(`/api/conversations/${_id}`);
    assert.deepEqual(
        shown.messages,
        all.filter((m) => m.role !== 'system'),
    );
    const walked = [];
    let next = `${path}?limit=2`;
    while (next) {
        const page = await ada.json('GET', next);
        assert.equal(page.status, 200);
        assert.ok(page.body.length <= 2);
        walked.push(...page.body);
        const cursor = page.headers.get('x-next-cursor');
        next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
        assert.equal(Boolean(cursor), Boolean(next));
    }
    assert.deepEqual(walked, all);
    assert.deepEqual(await ada.get(`${path}?after=${all[1]._id}`), all.slice(2));
    assert.deepEqual(await ada.get(`${path}?after=${all.at(-1)._id}`), []);
    assertRefused(await ada.json('GET', `${path}?after=${UNKNOWN_ID}`), 404, 'Message not found');
    for (const limit of ['0', '-1', 'x', '1001', '']) {
        assert.equal((await ada.json('GET', `${path}?limit=${limit}`)).status, 400, limit);
    }
});

test('messages that are refused', async () => {
    const { _id } = await ada.simulator();
    const path = `/api/conversations/${_id}/messages`;
    const refused = [
        [{}, 'Message is required'],
        [{ content: ' \n', role: 'user' }, 'Message is required'],
        [{ content: 7, role: 'user' }, 'Message is required'],
        [{ content: 'x', role: 'admin' }, 'Role must be user, assistant or system'],
        [{ content: 'x', role: null }, 'Role must be user, assistant or system'],
        [{ content: '', role: 'system' }, 'Message is required'],
        [{ content: 'x', clientMessageId: 'x'.repeat(129) }, 'clientMessageId is too long'],
        [{ content: 'x'.repeat(1024 * 1024 + 1), role: 'assistant' }, 'Message is too long'],
    ];
    for (const [message, text] of refused) {
        assertRefused(await ada.json('POST', path, message), 400, text, 'INVALID_REQUEST');
    }
    assert.equal((await ada.get(path)).filter((m) => m.role === 'user').length, 0);
});

test('in production a user comes in with a token of their own, and only to what is theirs', async (t) => {
    const production = await startServer(t, {
        env: { ...careEnv, ENVIRONMENT: 'production', JWT_SECRET: SECRET, API_TOKEN: OPERATOR },
    });
    const user = await CareUser.make(production, 'Ada Moss');
    const { _id } = await user.simulator();
    assert.equal((await user.get('/api/conversations')).length, 1);
    assert.equal((await user.say(_id, 'Hello?')).role, 'assistant');
    assertConversation(await user.get(`/api/conversations/${_id}`), user);
    const events = await production.fetch(`/api/conversations/${_id}/events`, { method: 'HEAD', headers: user.headers });
    assert.equal(events.status, 200);
    const rows = [
        ['GET', '/api/conversations'],
        ['GET', `/api/conversations/${_id}`],
        ['GET', `/api/conversations/${_id}/messages`],
        ['GET', `/api/conversations/${_id}/events`],
        ['POST', `/api/conversations/${_id}/cancel`],
        ['GET', `/api/conversations/stats/user/${user.id}`],
    ];
    for (const [method, path] of rows) {
        assertRefused(await production.json(method, path), 401, 'Please authenticate.', 'UNAUTHORIZED');
    }
    /* The operator's token is nobody's: it shows what is anonymous. */
    const operator = { authorization: `Bearer ${OPERATOR}` };
    assert.deepEqual((await production.json('GET', '/api/conversations', undefined, operator)).body, []);
    for (const [method, path] of rows.slice(1)) {
        assertRefused(await production.json(method, path, undefined, operator), 401, 'Please authenticate.', 'UNAUTHORIZED');
    }
});
