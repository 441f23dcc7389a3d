// The unchanged front end of customer care, call by call: register, log in, build an agent, talk by text and voice, look
// at lists, details, feelings and figures, hang up. Without a key, and with OpenAI behind it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startOpenai } from '../fake/openai.mjs';
import { pcm, wav } from '../fake/tone.mjs';
import { FrontEnd } from './support/care_front_end.mjs';
import { startServer } from './support/server.mjs';

const FORM = { name: 'Ada Bell', email: 'Ada.Bell@Example.com', password: 'Sunny4day' };
const AGENT = {
    name: 'Nora',
    companyName: 'Lamp House',
    personality: 'calm and precise',
    companyInfo: 'Lamp House sells desk lamps. Delivery takes 3 days. A lamp can be returned within 60 days.',
    prompts: ['Always give the number of days.'],
};
const TURN = ['typing true', 'ai_response', 'typing false'];
const HEX = /^[0-9a-f]{24}$/;

const settings = [
    ['without a key', async () => ({ env: {}, words: null })],
    [
        'with OpenAI',
        async (t) => {
            const openai = (await startOpenai(t)).care({ reply: 'You can return it within 60 days.', sentiment: 'positive', title: '"Returning a lamp"' });
            return { env: openai.env, words: 'You can return it within 60 days.', openai };
        },
    ],
];

async function begin(t, setting) {
    const { env, words, openai } = await setting(t);
    const server = await startServer(t, { env });
    const page = new FrontEnd(server.url);
    return { server, page, words, openai };
}

for (const [name, setting] of settings) {
    test(`accounts, ${name}`, async (t) => {
        const { page } = await begin(t, setting);
        assert.equal((await page.register({ ...FORM, password: 'short' })).shown, 'Password must be at least 6 characters long');
        assert.equal((await page.register({ ...FORM, name: '' })).shown, 'All fields are required');
        const user = await page.register(FORM);
        assert.match(user._id, HEX);
        assert.deepEqual([user.name, user.email, user.role], ['Ada Bell', 'ada.bell@example.com', 'user']);
        assert.equal((await page.register(FORM)).shown, 'User already exists with this email');
        assert.equal((await page.reload())._id, user._id);
        page.storage.delete('token');
        assert.equal(await page.reload(), null);
        assert.equal((await page.logIn({ email: FORM.email, password: 'Wrong4day' })).shown, 'Invalid credentials');
        assert.equal((await page.logIn({ email: FORM.email, password: FORM.password }))._id, user._id);
        assert.ok(page.preflights > 0);
        page.storage.set('token', 'no.good.token');
        await assert.rejects(page.agents(), (error) => error.response.status === 401 && error.response.data.message === 'Please authenticate.');
    });

    test(`agents, ${name}`, async (t) => {
        const { page } = await begin(t, setting);
        await page.register(FORM);
        assert.deepEqual(await page.agents(), []);
        const made = await page.createAgent(AGENT);
        assert.match(made._id, HEX);
        assert.equal(made.userId, page.user._id);
        const bare = await page.createAgent({ ...AGENT, name: 'Bare', prompts: undefined });
        assert.deepEqual(bare.prompts, []);
        const changed = await page.editAgent(made._id, { name: 'Nora B.', prompts: ['One', 'Two'] });
        assert.equal(changed._id, made._id);
        assert.equal(changed.companyInfo, AGENT.companyInfo);
        assert.deepEqual((await page.agents()).map(({ card }) => card).sort(), [
            'Bare · Lamp House · calm and precise · ',
            'Nora B. · Lamp House · calm and precise · One, Two',
        ]);
        assert.deepEqual(await page.deleteAgent(bare._id), { message: 'Agent deleted successfully' });
        assert.equal((await page.agents()).length, 1);
        await assert.rejects(page.createAgent({ name: 'Nobody' }), (error) => error.response.data.message === 'Please provide all required fields');
    });

    test(`a call of the simulator, ${name}`, async (t) => {
        const { page, words, openai } = await begin(t, setting);
        await page.register(FORM);
        await page.connect(t);
        const call = await page.callSimulator();
        assert.match(call.conversationId, HEX);
        assert.match(call.welcomeMessage.content, /\bSigma\b/);
        assert.deepEqual(call.demoAgent, {
            name: 'Sigma',
            company: 'Zero to Hero',
            personality: 'motivational, strategic, and sharp-witted',
        });
        assert.equal(page.played.length, 1, 'the welcome is spoken');
        const { reply, names } = await page.say('How do I start?');
        assert.deepEqual(names, TURN);
        assert.ok(reply.message.trim());
        assert.deepEqual(reply.demoAgent, call.demoAgent);
        assert.equal(page.played.length, 2, 'the reply is spoken');
        if (words) {
            assert.equal(reply.message, words);
            assert.equal(openai.speech.requests.at(-1).body.voice, 'onyx');
            assert.equal(openai.speech.requests.at(-1).body.input, words);
        }
        const details = await page.details(call.conversationId);
        assert.deepEqual(details.messages.map(({ role }) => role), ['assistant', 'user', 'assistant']);
        assert.equal(details.messages[2].content, reply.message);
    });

    test(`a call of the user's own agent, from its first word to the figures, ${name}`, async (t) => {
        const { page, words, openai } = await begin(t, setting);
        await page.register(FORM);
        const agent = await page.createAgent(AGENT);
        await page.connect(t);
        const call = await page.callAgent(agent);
        assert.equal(call.welcomeMessage.content, "Hi, I'm Nora. How can I help you today?");
        assert.ok(!('demoAgent' in call));
        const first = await page.say('How long can I return a lamp? My order from Amazon is great, thank you!');
        const second = await page.say('And how long does delivery take?');
        for (const { names, reply } of [first, second]) {
            assert.deepEqual(names, TURN);
            assert.ok(!('demoAgent' in reply));
            assert.ok(reply.message.trim());
        }
        if (words) {
            assert.equal(first.reply.message, words);
            assert.equal(openai.speech.requests.at(-1).body.voice, 'alloy');
            const [asked] = openai.asked('reply').slice(-1);
            assert.ok(asked.body.messages.some(({ role, content }) => role === 'system' && content.includes(AGENT.companyInfo)));
            assert.equal(asked.body.messages.at(-1).content, 'And how long does delivery take?');
        } else {
            assert.match(first.reply.message, /60 days/);
            assert.match(second.reply.message, /3 days/);
        }
        const [line] = await page.conversations();
        assert.equal(line.id, call.conversationId);
        assert.deepEqual(await page.conversations(agent._id), [line]);
        assert.deepEqual(await page.conversations('65f0c0ffee65f0c0ffee0001'), []);
        const ended = await page.end(call.conversationId);
        assert.equal(ended._id, call.conversationId);
        const details = await page.details(call.conversationId);
        assert.equal(details.messages.length, 5);
        assert.equal(details.sentiment, ended.metadata.sentiment);
        assert.ok(['positive', 'neutral'].includes(details.sentiment));
        if (words) {
            assert.equal(details.sentiment, 'positive');
            assert.equal(details.title, 'Returning a lamp');
        }
        const stats = await page.stats();
        assert.equal(stats.totalCalls, 1);
        assert.equal(stats.totalMessages, 5);
        assert.equal(stats.companies, 'AMAZON');
        assert.equal(stats.sentimentBreakdown[details.sentiment], 1);
        assert.ok(!Number.isNaN(new Date(stats.lastActivity).getTime()));
        const again = await page.reanalyse();
        assert.equal(again.success, true);
        assert.equal(again.totalConversations, 1);
        assert.deepEqual(await page.remove(call.conversationId), { message: 'Conversation deleted successfully' });
        assert.deepEqual(await page.conversations(), []);
    });

    test(`messages and recordings by REST, ${name}`, async (t) => {
        const { page, words } = await begin(t, setting);
        await page.register(FORM);
        const agent = await page.createAgent(AGENT);
        const simulated = await page.create({ isCallSimulator: true });
        assert.equal(simulated.demoAgent.name, 'Sigma');
        assert.match(simulated.messages[0].audioUrl, /^\/audio\/.*\.mp3$/);
        const made = await page.create({ agentId: agent._id });
        assert.equal(made.messages.length, 1);
        const answer = await page.sendMessage(made._id, 'Can I return a lamp?');
        assert.equal(answer.role, 'assistant');
        if (words) {
            assert.equal(answer.content, words);
        }
        assert.equal(page.played.length, 1);
        const spoken = await page.sendVoice(made._id, wav(pcm(1, 16000), 16000), 'How long does delivery take?');
        assert.match(spoken.audioUrl, /^\/audio\/.*response.*\.mp3$/);
        assert.equal(page.played.length, 2);
        const all = await page.messages(made._id);
        const own = all.filter(({ role }) => role !== 'system');
        assert.deepEqual(own.map(({ role }) => role), ['assistant', 'user', 'assistant', 'user', 'assistant']);
        assert.equal(own[3].content, 'How long does delivery take?');
        assert.ok(own[3].audioUrl, 'the recording is kept');
        const titled = await page.retitle(made._id);
        assert.equal(titled.success, true);
        assert.equal(titled.message, 'Conversation title updated successfully');
        assert.ok(!/["']/.test(titled.title));
        const lines = await page.conversations();
        assert.deepEqual(lines.map(({ id }) => id), [made._id, simulated._id], 'newest first');
        const urls = [simulated.messages[0].audioUrl, spoken.audioUrl];
        await page.remove(made._id);
        assert.equal((await fetch(page.api + urls[0])).status, 200);
        assert.equal((await fetch(page.api + urls[1])).status, 404, 'goes with its conversation');
    });
}

test('a page of an origin that is not allowed is answered without being let in', async (t) => {
    const server = await startServer(t);
    const page = new FrontEnd(server.url, { origin: 'https://elsewhere.example' });
    await assert.rejects(page.axios('GET', '/health'), { code: 'ERR_ASSERTION', actual: null });
    await assert.rejects(page.axios('POST', '/api/auth/login', FORM), { code: 'ERR_ASSERTION', actual: null });
});

test("the front end's address from FRONTEND_URL is let in", async (t) => {
    const server = await startServer(t, { env: { FRONTEND_URL: 'https://care.example' } });
    const page = new FrontEnd(server.url, { origin: 'https://care.example' });
    await page.register(FORM);
    await page.connect(t);
    assert.match((await page.callSimulator()).conversationId, HEX);
});
