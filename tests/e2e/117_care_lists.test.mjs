// Lists of a user's conversations: order, pages, many of them; and figures that always equal a recount.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { assertConversation, careEnv, CareUser, UNKNOWN_ID } from './support/care.mjs';
import { startServer } from './support/server.mjs';

const MANY = 300;
const server = await startServer({ after }, { env: { ...careEnv, CARE_SPEECH: 'false' } });
const ada = await CareUser.make(server, 'Ada Moss');
const ben = await CareUser.make(server, 'Ben Tull');

async function inTens(n, make) {
    const made = [];
    for (let i = 0; i < n; i += 10) {
        made.push(...(await Promise.all(Array.from({ length: Math.min(10, n - i) }, (_, j) => make(i + j)))));
    }
    return made;
}

/** All pages from a path on; each page is checked against its limit. */
async function walk(user, path, limit) {
    const items = [];
    for (let next = path; next; ) {
        const page = await user.json('GET', next);
        assert.equal(page.status, 200, page.text);
        assert.ok(page.body.length <= limit, `${page.body.length} > ${limit}`);
        items.push(...page.body);
        next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
        assert.equal(Boolean(page.headers.get('x-next-cursor')), Boolean(next));
        assert.ok(!next || page.body.length > 0, 'an empty page is the last');
    }
    return items;
}

const agent = await ada.agent();
const ids = (list) => list.map((c) => c._id);
const made = await inTens(MANY, (i) =>
    ada.ask(201, 'POST', '/api/conversations', i % 3 ? { isCallSimulator: true } : { agentId: agent._id, title: `Call ${i}` }),
);

test('all of them at once, newest creation first, each whole', async () => {
    const list = await ada.get('/api/conversations');
    assert.deepEqual(ids(list).sort(), ids(made).sort());
    list.forEach((c) => assertConversation(c, ada));
    const created = list.map((c) => c.metadata.created);
    assert.deepEqual(created, [...created].sort().reverse());
    const one = list[MANY / 2];
    assert.deepEqual(await ada.get(`/api/conversations/${one._id}`), one);
});

test('pages of any size hold the same, in the same order', async () => {
    const all = await ada.get('/api/conversations');
    for (const limit of [7, 50, 200]) {
        assert.deepEqual(ids(await walk(ada, `/api/conversations?limit=${limit}`, limit)), ids(all));
    }
    const exact = await ada.json('GET', '/api/conversations?limit=1');
    const cursor = exact.headers.get('x-next-cursor');
    const rest = await ada.get(`/api/conversations?cursor=${encodeURIComponent(cursor)}`);
    assert.deepEqual(ids(rest), ids(all).slice(1, 201));
});

test('a page says where the next one is, to scripts of another origin too', async () => {
    const headers = { ...ada.headers, origin: 'http://localhost:3000' };
    const page = await server.json('GET', '/api/conversations?limit=5', undefined, headers);
    const exposed = page.headers.get('access-control-expose-headers').toLowerCase().split(/,\s*/);
    assert.ok(exposed.includes('x-next-cursor') && exposed.includes('link'));
});

test('conversations that come while pages are read move nothing', async () => {
    const cleo = await CareUser.make(server, 'Cleo Ray');
    const before = ids(await inTens(20, () => cleo.simulator()));
    const first = await cleo.json('GET', '/api/conversations?limit=8');
    await inTens(10, () => cleo.simulator());
    await cleo.say(before[3], 'Hello?');
    const next = /^<([^>]+)>/.exec(first.headers.get('link'))[1];
    const rest = await walk(cleo, next, 8);
    assert.deepEqual(ids([...first.body, ...rest]).sort(), before.sort());
});

test('of one agent', async () => {
    const own = await ada.get(`/api/conversations?agentId=${agent._id}`);
    assert.equal(own.length, MANY / 3);
    assert.ok(own.every((c) => c.agentId === agent._id));
    const paged = await walk(ada, `/api/conversations?agentId=${agent._id}&limit=33`, 33);
    assert.deepEqual(ids(paged), ids(own));
    for (const none of [UNKNOWN_ID, 'nonsense', '%00', 'x%26y']) {
        assert.deepEqual(await ada.get(`/api/conversations?agentId=${none}`), []);
    }
    assert.deepEqual(await ben.get(`/api/conversations?agentId=${agent._id}`), []);
});

test('of nobody else', async () => {
    assert.deepEqual(await ben.get('/api/conversations'), []);
    const cursor = (await ada.json('GET', '/api/conversations?limit=2')).headers.get('x-next-cursor');
    const other = await ben.json('GET', `/api/conversations?limit=2&cursor=${encodeURIComponent(cursor)}`);
    assert.ok(other.status === 400 || other.body.length === 0, other.text);
});

test('what is no page', async () => {
    for (const query of ['limit=0', 'limit=201', 'limit=-5', 'limit=x', 'limit=', 'limit=5&cursor=nonsense']) {
        const { status, body } = await ada.json('GET', `/api/conversations?${query}`);
        assert.equal(status, 400, query);
        assert.equal(body.code, 'INVALID_REQUEST');
        assert.equal(body.error, body.message);
    }
});

// ---- figures ----

/* A generator with a seed: what fails can be run again. */
function random(seed) {
    let state = seed;
    return (n) => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * n);
    };
}

const TEXTS = [
    'How do I get a refund?',
    'Thank you, that is wonderful!',
    'I am disappointed, this does not work.',
    'EMERGENCY!!! I need help right now, my account was hacked!',
    'I want to order a book from Amazon.',
    'Netflix again',
    'ok',
];
const INTENTS = ['question', 'support', 'purchase', 'cancellation', 'general'];
const POINTS = { positive: 5, neutral: 3, negative: 2, urgent: 1 };

/** What the messages come to, counted here. */
function recount(messages) {
    const shown = messages.filter((m) => m.role !== 'system');
    const users = shown.filter((m) => m.role === 'user');
    const first = users[0];
    const seconds = first ? (Date.parse(shown.at(-1).timestamp) - Date.parse(first.timestamp)) / 1000 : 0;
    const judged = users.filter((m) => m.metadata?.sentiment);
    const sum = judged.reduce((points, m) => points + POINTS[m.metadata.sentiment], 0);
    return {
        messageCount: shown.length,
        seconds,
        sentiment: judged.at(-1)?.metadata.sentiment ?? 'pending',
        satisfaction: judged.length ? Math.round((sum / judged.length) * 10) / 10 : 0,
    };
}

async function checkFigures(user, c) {
    const counted = recount(await user.get(`/api/conversations/${c._id}/messages`));
    const { duration, ...figures } = c.analytics;
    const { seconds, ...wanted } = counted;
    assert.deepEqual(figures, wanted);
    assert.ok(Math.abs(duration - seconds) < 1.01 && Number.isInteger(duration), `${duration} for ${seconds} s`);
    assert.ok(c.metadata.intents.every((intent) => INTENTS.includes(intent)));
    assert.equal(c.priority, counted.sentiment === 'urgent' ? 'high' : 'normal');
}

/* What a user may do, by its place in the list. */
const operations = [
    (user, id, pick) => user.say(id, TEXTS[pick(TEXTS.length)]),
    (user, id, pick) => user.say(id, TEXTS[pick(TEXTS.length)]),
    (user, id, pick) => user.say(id, TEXTS[pick(TEXTS.length)], { clientMessageId: `c-${pick(1e9)}` }),
    (user, id, pick) =>
        user.ask(201, 'POST', `/api/conversations/${id}/messages`, {
            content: TEXTS[pick(TEXTS.length)],
            role: pick(2) ? 'assistant' : 'system',
        }),
    (user, id) => user.ask(200, 'PUT', `/api/conversations/${id}/end`),
    (user, id) => user.ask(200, 'PUT', `/api/conversations/${id}/update-title`),
    (user, id, pick) => user.ask(200, 'PUT', `/api/conversations/${id}`, { metadata: { n: pick(9) } }),
    (user) => user.ask(200, 'POST', '/api/conversations/reanalyze-sentiment', {}),
    (user, id, pick) =>
        Promise.all([user.say(id, TEXTS[pick(TEXTS.length)]), user.say(id, TEXTS[pick(TEXTS.length)]), user.get(`/api/conversations/${id}`)]),
];

for (const seed of [1, 2, 3]) {
    test(`figures equal a recount after any operations (seed ${seed})`, async () => {
        const pick = random(seed);
        const user = await CareUser.make(server, `Random ${seed}`);
        const open = ids(await inTens(3, () => user.simulator()));
        for (let i = 0; i < 40; i++) {
            const id = open[pick(open.length)];
            await operations[pick(operations.length)](user, id, pick);
            await checkFigures(user, await user.get(`/api/conversations/${id}`));
        }
        const list = await user.get('/api/conversations');
        for (const c of list) {
            await checkFigures(user, c);
        }
        const stats = await user.get(`/api/conversations/stats/user/${user.id}`);
        assert.equal(stats.totalCalls, list.length);
        assert.equal(stats.totalMessages, list.reduce((sum, c) => sum + c.analytics.messageCount, 0));
        const total = list.reduce((sum, c) => sum + c.analytics.duration, 0);
        assert.ok(Math.abs(stats.averageDuration - total / list.length) <= 1);
        const breakdown = { positive: 0, negative: 0, neutral: 0, urgent: 0 };
        list.filter((c) => c.metadata.sentiment !== 'pending').forEach((c) => breakdown[c.metadata.sentiment]++);
        assert.deepEqual(stats.sentimentBreakdown, breakdown);
    });
}
