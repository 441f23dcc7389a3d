// A user's agents: every row, every error, the optional members, presets, and a reply that is timed.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { failures, startUpstream } from '../fake/upstream.mjs';
import { assertRefused, careEnv, CareUser, ISO, OBJECT_ID, UNKNOWN_ID } from './support/care.mjs';
import { startServer } from './support/server.mjs';

const server = await startServer({ after }, { env: careEnv });
const user = await CareUser.make(server);

const FORM = {
    name: 'Nora',
    companyName: 'Acme Trams',
    personality: 'calm and exact',
    companyInfo: 'Line 7 goes to the zoo every ten minutes. Tickets are refunded within 30 days.',
};
const MISSING = 'Please provide all required fields';
const NOT_FOUND = 'Agent not found';

function assertAgent(agent, form) {
    assert.match(agent._id, OBJECT_ID);
    assert.equal(agent.id, agent._id);
    assert.equal(agent.userId, user.id);
    assert.match(agent.createdAt, ISO);
    assert.match(agent.updatedAt, ISO);
    assert.equal(agent.__v, 0);
    assert.equal(agent.company, agent.companyName);
    for (const [key, value] of Object.entries(form)) {
        assert.deepEqual(agent[key], value, key);
    }
}

for (const at of ['/api/agents', '/api/company-agents', '/api/v1/agents']) {
    test(`${at}: made, read, listed, changed, deleted`, async () => {
        const someone = await CareUser.make(server);
        assert.deepEqual(await someone.get(at), []);
        const agent = await someone.ask(201, 'POST', at, { ...FORM, prompts: [' Be brief. ', '', 'Be kind.'] });
        assert.deepEqual(agent.prompts, ['Be brief.', 'Be kind.']);
        assert.deepEqual(await someone.get(`${at}/${agent._id}`), agent);
        const second = await someone.ask(201, 'POST', at, { ...FORM, name: 'Ben' });
        assert.deepEqual(await someone.get(at), [agent, second]);
        const changed = await someone.ask(200, 'PUT', `${at}/${agent._id}`, { ...agent, name: 'Nora B.' });
        assert.deepEqual({ ...changed, updatedAt: '' }, { ...agent, name: 'Nora B.', updatedAt: '' });
        assert.ok(changed.updatedAt >= agent.updatedAt);
        assert.deepEqual(await someone.get(`${at}/${agent._id}`), changed);
        const gone = await someone.ask(200, 'DELETE', `${at}/${agent._id}`);
        assert.deepEqual(gone, { message: 'Agent deleted successfully' });
        for (const method of ['GET', 'PUT', 'DELETE']) {
            const reply = await someone.json(method, `${at}/${agent._id}`, method === 'PUT' ? FORM : undefined);
            assertRefused(reply, 404, NOT_FOUND, 'NOT_FOUND');
        }
        assert.deepEqual(await someone.get(at), [second]);
    });
}

test('what an agent looks like', async () => {
    const agent = await user.ask(201, 'POST', '/api/agents', {
        ...FORM,
        name: '  Nora ',
        _id: UNKNOWN_ID,
        id: UNKNOWN_ID,
        userId: UNKNOWN_ID,
        __v: 9,
        createdAt: '2001-01-01T00:00:00.000Z',
        more: { is: 'ignored' },
    });
    assertAgent(agent, { ...FORM, prompts: [], avatar: '/public/avatars/ai-avatar.png' });
    assert.notEqual(agent._id, UNKNOWN_ID);
    assert.ok(Date.parse(agent.createdAt) > Date.parse('2020-01-01'));
    assert.deepEqual(
        Object.keys(agent).sort(),
        'id,name,companyName,company,personality,companyInfo,prompts,avatar,userId,createdAt,updatedAt,_id,__v'
            .split(',')
            .sort(),
    );
});

test('optional members are kept, changed and taken away', async () => {
    const more = {
        systemPrompt: 'Be kind.',
        responseStyle: 'casual',
        maxTokens: 200,
        temperature: 0.25,
        voice: 'nova',
    };
    const agent = await user.ask(201, 'POST', '/api/agents', { ...FORM, ...more });
    assertAgent(agent, { ...FORM, ...more });
    const at = `/api/agents/${agent._id}`;
    const edges = { temperature: 0, maxTokens: 4096 };
    assertAgent(await user.ask(200, 'PUT', at, edges), { ...FORM, ...more, ...edges });
    const none = { systemPrompt: '', responseStyle: null, maxTokens: null, temperature: null, voice: ' ' };
    const bare = await user.ask(200, 'PUT', at, none);
    assertAgent(bare, FORM);
    for (const key of Object.keys(more)) {
        assert.ok(!(key in bare), key);
    }
});

test('company stands for companyName', async () => {
    const { companyName, ...rest } = FORM;
    assertAgent(await user.ask(201, 'POST', '/api/agents', { ...rest, company: companyName }), FORM);
    assertAgent(await user.ask(201, 'POST', '/api/agents', { ...FORM, company: 'Other' }), FORM);
});

test('what is missing or blank is told in the words of the front end', async () => {
    for (const key of Object.keys(FORM)) {
        for (const value of [undefined, null, '', ' \n']) {
            const reply = await user.json('POST', '/api/agents', { ...FORM, [key]: value });
            assertRefused(reply, 400, MISSING, 'INVALID_REQUEST');
        }
    }
    for (const body of [{}, [], null, 'text', 7]) {
        assertRefused(await user.json('POST', '/api/agents', body), 400, MISSING);
    }
    const agent = await user.agent();
    for (const key of Object.keys(FORM)) {
        assertRefused(await user.json('PUT', `/api/agents/${agent._id}`, { [key]: ' ' }), 400, MISSING);
    }
    assert.deepEqual(await user.get(`/api/agents/${agent._id}`), agent);
});

const WRONG = {
    name: [
        [7, 'name must be a string'],
        ['x'.repeat(51), 'name cannot be longer than 50 characters'],
    ],
    companyName: [
        [{}, 'companyName must be a string'],
        ['x'.repeat(101), 'companyName cannot be longer than 100 characters'],
    ],
    personality: [
        [[], 'personality must be a string'],
        ['x'.repeat(32769), 'personality cannot be longer than 32 KiB'],
    ],
    companyInfo: [
        [true, 'companyInfo must be a string'],
        ['x'.repeat(32769), 'companyInfo cannot be longer than 32 KiB'],
    ],
    prompts: [
        ['one', 'prompts must be a list of strings'],
        [[1], 'prompts must be strings'],
        [['x'.repeat(4097)], 'prompts cannot be longer than 4 KiB each'],
        [Array(65).fill('x'), 'prompts cannot be more than 64'],
    ],
    systemPrompt: [
        [1, 'systemPrompt must be a string'],
        ['x'.repeat(32769), 'systemPrompt cannot be longer than 32 KiB'],
    ],
    responseStyle: [['rude', 'responseStyle must be one of: formal, casual, friendly, professional']],
    maxTokens: [0, -1, 4097, 1.5, '100'].map((value) => [value, 'maxTokens must be an integer from 1 to 4096']),
    temperature: [-0.1, 2.01, '1'].map((value) => [value, 'temperature must be a number from 0 to 2']),
    voice: [['x'.repeat(129), 'voice cannot be longer than 128 bytes']],
};
for (const [key, cases] of Object.entries(WRONG)) {
    test(`a wrong ${key}`, async () => {
        const agent = await user.agent();
        for (const [value, text] of cases) {
            const made = await user.json('POST', '/api/agents', { ...FORM, [key]: value });
            assertRefused(made, 400, `Error creating agent: ${text}`);
            const changed = await user.json('PUT', `/api/agents/${agent._id}`, { [key]: value });
            assertRefused(changed, 400, `Error updating agent: ${text}`);
        }
        assert.deepEqual(await user.get(`/api/agents/${agent._id}`), agent);
    });
}

test('characters count, not bytes', async () => {
    const name = 'ü'.repeat(50);
    assert.equal((await user.agent({ name })).name, name);
});

test('bodies that are no JSON', async () => {
    const send = (body, type = 'application/json') =>
        server.fetch('/api/agents', { method: 'POST', headers: { ...user.headers, 'content-type': type }, body });
    assert.equal((await send('{"name":')).status, 400);
    assert.equal((await send('<agent/>', 'application/xml')).status, 415);
    assert.equal((await send(`{"name":"${'x'.repeat(11 << 20)}"}`)).status, 413);
});

test('ids that are none', async () => {
    const ids = ['x', '0', UNKNOWN_ID, UNKNOWN_ID.toUpperCase(), `${UNKNOWN_ID}0`, "'%20or%201=1", '%7B%22$ne%22:1%7D'];
    for (const id of ids) {
        assertRefused(await user.json('GET', `/api/agents/${id}`), 404, NOT_FOUND);
        assertRefused(await user.json('PUT', `/api/agents/${id}`, FORM), 404, NOT_FOUND);
        assertRefused(await user.json('DELETE', `/api/agents/${id}`), 404, NOT_FOUND);
        assertRefused(await user.json('POST', `/api/agents/${id}/test`, { message: 'Hello' }), 404, NOT_FOUND);
    }
});

test('presets', async () => {
    const presets = await user.get('/api/agents/presets');
    assert.ok(presets.length >= 5);
    for (const preset of presets) {
        const agent = await user.ask(201, 'POST', '/api/agents', { preset: preset.preset });
        const { preset: _, ...rest } = preset;
        assertAgent(agent, rest);
        const picture = await server.fetch(agent.avatar);
        assert.equal(picture.status, 200, agent.avatar);
        assert.equal(picture.headers.get('content-type'), 'image/png');
    }
    const amazon = presets.find(({ preset }) => preset === 'amazon');
    const own = await user.ask(201, 'POST', '/api/agents', { preset: 'Amazon', name: 'Max', personality: 'quick' });
    assertAgent(own, { name: 'Max', personality: 'quick', companyName: 'Amazon', companyInfo: amazon.companyInfo });
    assertAgent(await user.ask(201, 'POST', '/api/agents', { company: 'Pizza Hut' }), { companyName: 'Pizza Hut' });
    const unknown = await user.json('POST', '/api/agents', { preset: 'acme' });
    assertRefused(unknown, 400, 'Error creating agent: preset is none of /api/agents/presets');
    assertRefused(await user.json('POST', '/api/agents', { company: 'acme' }), 400, MISSING);
});

test('a reply of the agent, timed', async () => {
    const agent = await user.agent();
    const message = 'How long does a refund take?';
    const reply = await user.ask(200, 'POST', `/api/agents/${agent._id}/test`, { message });
    assert.deepEqual(Object.keys(reply).sort(), ['agent', 'message', 'processingTime']);
    assert.match(reply.message, /refund/i);
    assert.deepEqual(reply.agent, { _id: agent._id, name: agent.name });
    assert.ok(Number.isInteger(reply.processingTime) && reply.processingTime >= 0);
    for (const body of [{}, { message: '' }, { message: ' ' }, { message: 7 }, { message: null }]) {
        assertRefused(await user.json('POST', `/api/agents/${agent._id}/test`, body), 400, 'Message is required');
    }
    const long = await user.json('POST', `/api/agents/${agent._id}/test`, { message: 'x'.repeat((1 << 20) + 1) });
    assertRefused(long, 400, 'Message is longer than 1048576 bytes');
    assert.deepEqual(await user.get(`/api/conversations?agentId=${agent._id}`), []); // nothing of it is kept
});

test('the model is asked in the agent’s name; its troubles are not the client’s', async (t) => {
    const upstream = await startUpstream({ key: 'sk-very-secret-key' });
    t.after(() => upstream.close());
    const asking = await startServer(t, { env: { ...careEnv, ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' } });
    const someone = await CareUser.make(asking);
    const made = await someone.agent({ systemPrompt: 'You are Captain Nora.', maxTokens: 77, temperature: 0.5 });
    const at = `/api/agents/${made._id}/test`;
    const answer = await someone.ask(200, 'POST', at, { message: 'Ahoy!' });
    assert.notEqual(answer.message, '');
    const { body } = upstream.requests.at(-1);
    assert.match(body.messages[0].content, /^You are Captain Nora\./);
    assert.deepEqual(body.messages.at(-1), { role: 'user', content: 'Ahoy!' });
    assert.deepEqual([body.max_tokens ?? body.max_completion_tokens, body.temperature], [77, 0.5]);
    for (const failure of [failures.badKey('sk-very-secret-key'), failures.server(500), failures.quota()]) {
        upstream.next(failure);
        const reply = await someone.json('POST', at, { message: 'Ahoy!' });
        assertRefused(reply, 502, 'The agent cannot answer now. Please try again.', 'UPSTREAM');
    }
    assert.doesNotMatch(asking.stderr, /very-secret/);
});

test('a list of any length is whole', async () => {
    const busy = await CareUser.make(server);
    const made = [];
    for (let i = 0; i < 230; i++) {
        made.push((await busy.agent({ name: `Agent ${i}`, prompts: [`number ${i}`] }))._id);
    }
    const list = await busy.get('/api/agents');
    assert.deepEqual(list.map(({ _id }) => _id), made);
    assert.ok(list.every(({ prompts }, i) => prompts[0] === `number ${i}`));
});

test('methods', async () => {
    const reply = await user.json('PATCH', '/api/agents', {});
    assert.equal(reply.status, 405);
    assert.match(reply.headers.get('allow'), /GET.*POST/);
});
