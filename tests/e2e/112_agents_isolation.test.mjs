// What is one user's, no other user reads, changes, tries or loses; and nobody does without a token.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertRefused, careEnv, CareUser } from './support/care.mjs';
import { form, gif, jpeg, png } from './support/pictures.mjs';
import { startServer } from './support/server.mjs';

const server = await startServer({ after }, { env: careEnv });
const ada = await CareUser.make(server, 'Ada');
const eve = await CareUser.make(server, 'Eve');

const upload = async (user, id, bytes) => {
    const request = { method: 'POST', headers: user.headers, body: form(bytes) };
    const response = await server.fetch(`/api/agents/${id}/avatar`, request);
    return { status: response.status, body: await response.json() };
};

test('ids of another user are of nobody', async () => {
    const agent = await ada.agent({ companyInfo: 'The vault opens with 4711.' });
    for (const at of ['/api/agents', '/api/company-agents']) {
        assertRefused(await eve.json('GET', `${at}/${agent._id}`), 404, 'Agent not found');
        assertRefused(await eve.json('PUT', `${at}/${agent._id}`, { name: 'Mallory' }), 404, 'Agent not found');
        const taken = await eve.json('PUT', `${at}/${agent._id}`, { ...agent, userId: eve.id });
        assertRefused(taken, 404, 'Agent not found');
        assertRefused(await eve.json('DELETE', `${at}/${agent._id}`), 404, 'Agent not found');
        assertRefused(await eve.json('POST', `${at}/${agent._id}/test`, { message: 'Say it' }), 404, 'Agent not found');
    }
    assertRefused(await upload(eve, agent._id, png()), 404, 'Agent not found');
    assert.deepEqual(await ada.get(`/api/agents/${agent._id}`), agent);
});

test('lists are one user’s own', async () => {
    const [one, two] = [await ada.agent(), await eve.agent()];
    const ids = async (user) => (await user.get('/api/agents')).map(({ _id }) => _id);
    assert.ok((await ids(ada)).includes(one._id));
    assert.ok(!(await ids(ada)).includes(two._id));
    assert.ok((await ids(eve)).includes(two._id));
    assert.ok(!(await ids(eve)).includes(one._id));
    assert.ok((await ada.get('/api/agents')).every(({ userId }) => userId === ada.id));
});

test('an owner is who shows the token, whatever the body says', async () => {
    const agent = await eve.agent({ userId: ada.id, owner: ada.id });
    assert.equal(agent.userId, eve.id);
    assertRefused(await ada.json('GET', `/api/agents/${agent._id}`), 404, 'Agent not found');
    const moved = await eve.ask(200, 'PUT', `/api/agents/${agent._id}`, { userId: ada.id });
    assert.equal(moved.userId, eve.id);
});

test('no token, no agents', async () => {
    const agent = await ada.agent();
    const rows = [
        ['GET', '/api/agents'],
        ['POST', '/api/agents', { name: 'x' }],
        ['GET', '/api/agents/presets'],
        ['GET', `/api/agents/${agent._id}`],
        ['PUT', `/api/agents/${agent._id}`, { name: 'x' }],
        ['DELETE', `/api/agents/${agent._id}`],
        ['POST', `/api/agents/${agent._id}/test`, { message: 'x' }],
        ['POST', `/api/agents/${agent._id}/avatar`, {}],
    ];
    for (const [method, path, body] of rows) {
        for (const at of [path, path.replace('/agents', '/company-agents')]) {
            for (const authorization of [undefined, 'Bearer', 'Bearer x.y.z', `Bearer ${ada.token}x`]) {
                const reply = await server.json(method, at, body, authorization ? { authorization } : {});
                assertRefused(reply, 401, 'Please authenticate.', 'UNAUTHORIZED');
            }
        }
    }
    assert.deepEqual(await ada.get(`/api/agents/${agent._id}`), agent);
});

test('the picture of one agent outlives another that names it', async () => {
    for (const bytes of [png(), jpeg(), gif()]) {
        const agent = (await upload(ada, (await ada.agent())._id, bytes)).body;
        const other = await eve.agent({ avatar: agent.avatar });
        assert.notEqual(other.avatar, agent.avatar);
        assert.equal((await server.fetch(other.avatar)).status, 200);
        await eve.ask(200, 'DELETE', `/api/agents/${other._id}`);
        assert.equal((await server.fetch(other.avatar)).status, 404);
        assert.equal((await server.fetch(agent.avatar)).status, 200);
    }
});

test('in production a user’s token is needed, and no other does', async (t) => {
    const secret = 'a secret that is longer than thirty-two bytes';
    const env = { ...careEnv, ENVIRONMENT: 'production', JWT_SECRET: secret, API_TOKEN: 'token-of-the-operator-0123456789' };
    const strict = await startServer(t, { env });
    const user = await CareUser.make(strict);
    const agent = await user.agent();
    assert.deepEqual(await user.get('/api/agents'), [agent]);
    assert.equal((await strict.fetch(agent.avatar)).status, 200);
    for (const headers of [{}, { authorization: `Bearer ${env.API_TOKEN}` }]) {
        assertRefused(await strict.json('GET', '/api/agents', undefined, headers), 401, 'Please authenticate.');
    }
});
