// Tries to log in are limited per account and per address, and many logins at once hold up nobody else.
import assert from 'node:assert/strict';
import os from 'node:os';
import { after, test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';

const PASSWORD = 'Secret123';
const TOO_MANY = 'Too many attempts. Please try again later.';

const post = (server, what, body, headers) => server.json('POST', `/api/auth/${what}`, body, headers);
/* Each from an address of its own, as a proxy tells it. */
const from = (address) => ({ 'x-forwarded-for': address });

function limited(limits = {}) {
    const env = { PASSWORD_COST: '4', TRUST_PROXY: '1', RATE_LIMIT_LOGIN_MAX: '3', ...limits };
    return startServer({ after }, { env });
}

async function account(server, email, address) {
    const { status } = await post(server, 'register', { name: 'Ann Bee', email, password: PASSWORD }, from(address));
    assert.equal(status, 201);
}

function assertTooMany({ status, headers, body }) {
    assert.equal(status, 429);
    assert.deepEqual([body.message, body.error, body.code], [TOO_MANY, TOO_MANY, 'RATE_LIMIT_EXCEEDED']);
    const wait = Number(headers.get('retry-after'));
    assert.ok(wait > 0 && wait <= 900, `Retry-After: ${wait}`);
}

/** What a client sees, but for what differs by the clock. */
const seen = ({ status, headers, text }) => ({
    status,
    text,
    names: [...headers.keys()].sort(),
    authenticate: headers.get('www-authenticate'),
});

test('an account is tried so often, whether it exists or not', async () => {
    const server = await limited();
    await account(server, 'ann@example.com', '192.0.2.1');
    for (let i = 0; i < 5; i++) {
        const headers = from(`198.51.100.${i}`);
        const wrong = { password: 'Wrong123' };
        const known = await post(server, 'login', { email: i % 2 ? 'ANN@example.com ' : 'ann@example.com', ...wrong }, headers);
        const unknown = await post(server, 'login', { email: 'nobody@example.com', ...wrong }, headers);
        assert.deepEqual(seen(known), seen(unknown));
        if (i < 3) {
            assert.deepEqual([known.status, known.body.message], [401, 'Invalid credentials']);
        } else {
            assertTooMany(known);
            assertTooMany(unknown);
        }
    }
    /* The right password is no way to find out either. */
    assertTooMany(await post(server, 'login', { email: 'ann@example.com', password: PASSWORD }, from('198.51.100.77')));
    await account(server, 'bob@example.com', '198.51.100.78');
    const bob = { email: 'bob@example.com', password: PASSWORD };
    assert.equal((await post(server, 'login', bob, from('198.51.100.78'))).status, 200);
});

test('an address tries so often, whatever it asks for', async () => {
    const server = await limited({ RATE_LIMIT_LOGIN_MAX: '4' });
    await account(server, 'ann@example.com', '192.0.2.1');
    const mine = from('203.0.113.5');
    assert.equal((await post(server, 'login', { email: 'a@example.com', password: 'x' }, mine)).status, 401);
    assert.equal((await post(server, 'register', { name: 'Eve', email: 'e@example.com', password: PASSWORD }, mine)).status, 201);
    assert.equal((await post(server, 'login', { email: 'b@example.com', password: 'x' }, mine)).status, 401);
    assert.equal((await post(server, 'login', { email: 'ann@example.com', password: PASSWORD }, mine)).status, 200);
    for (const [what, body] of [
        ['login', { email: 'ann@example.com', password: PASSWORD }],
        ['login', { email: 'new@example.com', password: 'x' }],
        ['register', { name: 'Eve', email: 'f@example.com', password: PASSWORD }],
    ]) {
        assertTooMany(await post(server, what, body, mine));
    }
    /* What is no form is told, not counted; and others are not held up. */
    assert.equal((await post(server, 'login', {}, mine)).status, 400);
    const other = from('203.0.113.6');
    assert.equal((await post(server, 'login', { email: 'ann@example.com', password: PASSWORD }, other)).status, 200);
    /* One network of IPv6 is one client. */
    for (let i = 0; i < 6; i++) {
        const reply = await post(server, 'login', { email: `v6-${i}@example.com`, password: 'x' }, from(`2001:db8::${i + 1}`));
        assert.equal(reply.status, i < 4 ? 401 : 429);
    }
});

test('without a limit nobody counts', async () => {
    const server = await limited({ RATE_LIMIT_LOGIN_MAX: undefined });
    for (let i = 0; i < 30; i++) {
        assert.equal((await post(server, 'login', { email: 'nobody@example.com', password: 'x' })).status, 401);
    }
});

test('in production a limit is on', async () => {
    const server = await startServer(
        { after },
        {
            env: {
                ENVIRONMENT: 'production',
                JWT_SECRET: 'ZTJlLWxpbWl0cy1vZi10aGlzLXRlc3QtMDEyMzQ1Njc4OQ',
                API_TOKEN: 'the-api-token-0815',
                PASSWORD_COST: '4',
            },
        },
    );
    const statuses = [];
    for (let i = 0; i < 21; i++) {
        statuses.push((await post(server, 'login', { email: `n${i}@example.com`, password: 'x' })).status);
    }
    assert.deepEqual(statuses, [...Array(20).fill(401), 429]);
});

test('1,000 logins at once do not stall a chat', async () => {
    const upstream = await startUpstream();
    after(() => upstream.close());
    /* Seconds of hashing, however many cores share it. */
    const cost = 6 + Math.ceil(Math.log2(Math.max(os.cpus().length, 2) / 2));
    const server = await startServer(
        { after },
        { env: { ...upstream.openaiEnv, PASSWORD_COST: String(cost), RATE_LIMIT_LOGIN_MAX: '0', ACCESS_LOG: 'off' } },
    );
    const email = 'ann@example.com';
    await account(server, email);
    let done = 0;
    const wrong = { email, password: 'Wrong123' };
    const logins = Array.from({ length: 1000 }, async (_, i) => {
        const reply = await post(server, 'login', i % 10 ? wrong : { email, password: PASSWORD });
        done++;
        return { i, reply };
    });
    await Promise.race(logins);
    /* From here on, some logins are done and most are not: what follows must not wait for them. */
    const chats = await Promise.all(
        Array.from({ length: 5 }, async (_, i) => {
            const held = gate();
            const words = Array.from({ length: 20 }, (_, n) => `word${n} `);
            upstream.next({ tokens: words, holdAfter: 10, gate: held.promise });
            const reply = await server.fetch('/v1/chat/completions', {
                method: 'POST',
                headers: { 'content-type': 'application/json' },
                body: JSON.stringify({ stream: true, messages: [{ role: 'user', content: `Chat ${i}` }] }),
            });
            assert.equal(reply.status, 200);
            held.open();
            const text = await reply.text();
            assert.match(text, /\[DONE\]/);
            assert.equal(text.match(/word\d+ /g).length, 20);
            return done;
        }),
    );
    const health = await server.json('GET', '/health');
    assert.equal(health.status, 200);
    const guarded = await server.json('GET', '/api/auth/me');
    assert.equal(guarded.status, 401);
    const before = done;
    assert.ok(before < 1000, `all ${before} logins were over before five chats were`);
    assert.ok(Math.max(...chats) < 1000);
    /* Each gets its answer; on a machine that is busy with other things, some are told to come again. */
    let answered = 0;
    for (const { i, reply } of await Promise.all(logins)) {
        if (reply.status === 503) {
            assert.deepEqual([reply.body.code, reply.headers.get('retry-after')], ['OVERLOADED', '1']);
        } else {
            assert.equal(reply.status, i % 10 ? 401 : 200);
            answered++;
        }
    }
    assert.ok(answered > 0);
    assert.equal((await post(server, 'login', { email, password: PASSWORD })).status, 200);
});
