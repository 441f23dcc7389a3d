// Tokens: forged ones, those that ended, refresh tokens that were used before, and who a user's token lets in.
import assert from 'node:assert/strict';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { after, test } from 'node:test';
import * as jose from 'jose';
import { refusedUpgrade } from './support/frames.mjs';
import { startServer } from './support/server.mjs';
import { JsonSocket } from './support/socket.mjs';

globalThis.crypto ??= webcrypto; // which jose expects, and Node 18 keeps in its module

const SECRET = 'ZTJlLXRva2Vucy1vZi10aGlzLXRlc3QtMDEyMzQ1Njc4OQ';
const KEY = new TextEncoder().encode(SECRET);
const env = { PASSWORD_COST: '4', JWT_SECRET: SECRET };
const server = await startServer({ after }, { env });
const PASSWORD = 'Secret123';
let count = 0;

const bearer = (token) => ({ authorization: `Bearer ${token}` });
const address = () => `token-${count++}@example.com`;
const post = (path, body, headers = {}, to = server) => to.json('POST', `/api/auth/${path}`, body, headers);

async function account(to = server) {
    const { status, body } = await post('register', { name: 'Ann Bee', email: address(), password: PASSWORD }, {}, to);
    assert.equal(status, 201, JSON.stringify(body));
    return body;
}

const me = (token, to = server) => to.json('GET', '/api/auth/me', undefined, bearer(token));
const guarded = (token, to = server) => to.json('GET', '/api/auth/profile', undefined, bearer(token));
const refresh = (refreshToken, to = server) => post('refresh', { refreshToken }, {}, to);

/** Everywhere the same: a token that is worth nothing. */
async function assertWorthless(token, why, to = server) {
    const asked = await me(token, to);
    assert.deepEqual([asked.status, asked.body.message], [401, 'Invalid token'], why);
    const refused = await guarded(token, to);
    assert.deepEqual([refused.status, refused.body.message], [401, 'Please authenticate.'], why);
    for (const reply of [await post('refresh', { token }, {}, to), await post('refresh', undefined, bearer(token), to)]) {
        assert.deepEqual([reply.status, reply.body.message], [401, 'Invalid token'], why);
        assert.equal(reply.body.token, undefined);
    }
}

const sign = (claims, { alg = 'HS256', key = KEY, ...header } = {}) =>
    new jose.SignJWT(claims).setProtectedHeader({ alg, ...header }).sign(key);
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

test('tokens are what the official library makes of them', async () => {
    const { token, user } = await account();
    const { payload, protectedHeader } = await jose.jwtVerify(token, KEY, { algorithms: ['HS256'] });
    assert.equal(payload.userId, user._id);
    assert.equal(protectedHeader.alg, 'HS256');
    const theirs = await sign({ userId: user._id, iat: 1, exp: inAnHour() });
    assert.deepEqual((await me(theirs)).body, user);
    const bare = await sign({ userId: user._id, exp: inAnHour() }, { typ: 'JWT' });
    assert.equal((await guarded(bare)).status, 200);
});

test('forged tokens are worth nothing', async () => {
    const { token, user } = await account();
    const claims = { userId: user._id, iat: 1, exp: inAnHour() };
    const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
    const [header, payload, signature] = token.split('.');
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = publicKey.export({ type: 'spki', format: 'pem' });
    const forged = {
        'alg none': new jose.UnsecuredJWT(claims).encode(),
        'alg none with a signature': `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.${signature}`,
        'alg None': `${encode({ alg: 'None' })}.${payload}.`,
        'no alg': `${encode({ typ: 'JWT' })}.${payload}.${signature}`,
        'another key': await sign(claims, { key: new TextEncoder().encode('another key, of 32 bytes or more') }),
        'the default key': await sign(claims, { key: new TextEncoder().encode('your-secret-key') }),
        'an empty key': `${header}.${payload}.${encode('')}`,
        'HS512 with the right key': await sign(claims, { alg: 'HS512' }),
        'HS384 with the right key': await sign(claims, { alg: 'HS384' }),
        RS256: await sign(claims, { alg: 'RS256', key: privateKey }),
        'RS256 by name': `${encode({ alg: 'RS256' })}.${payload}.${signature}`,
        'HS512 by name': `${encode({ alg: 'HS512', typ: 'JWT' })}.${payload}.${signature}`,
        'a public key as the secret': await sign(claims, { key: new TextEncoder().encode(pem) }),
        expired: await sign({ ...claims, exp: Math.floor(Date.now() / 1000) - 1 }),
        'without an end': await sign({ userId: user._id, iat: 1 }),
        'not yet': await sign({ ...claims, nbf: inAnHour() }),
        'an end that is no number': await sign({ userId: user._id }).then((t) => t && sign({ ...claims, exp: inAnHour() })).then(
            (t) => t.replace(/\.[^.]+\./, `.${encode({ ...claims, exp: 'never' })}.`),
        ),
        'another payload': `${header}.${encode({ ...claims, userId: '65f0c0ffee65f0c0ffee0001' })}.${signature}`,
        'another signature': `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
        'no signature': `${header}.${payload}.`,
        'two parts': `${header}.${payload}`,
        'four parts': `${token}.${signature}`,
        'crit that nobody knows': `${encode({ alg: 'HS256', crit: ['x'], x: 1 })}.${payload}.${signature}`,
        'no user': await sign({ exp: inAnHour() }),
        'a user that is an object': await sign({ userId: { $ne: null }, exp: inAnHour() }),
        'a version': await sign({ ...claims, v: 1 }),
        'long': await sign({ ...claims, more: 'x'.repeat(9000) }),
    };
    for (const [why, wrong] of Object.entries(forged)) {
        await assertWorthless(wrong, why);
    }
    assert.equal((await guarded(token)).status, 200);
});

test('a token of a user who is gone', async () => {
    const token = await sign({ userId: '65f0c0ffee65f0c0ffee0001', exp: inAnHour() });
    const asked = await me(token);
    assert.deepEqual([asked.status, asked.body.message], [404, 'User not found']);
    const refused = await guarded(token);
    assert.deepEqual([refused.status, refused.body.message], [401, 'Please authenticate.']);
    assert.equal((await post('refresh', { token })).status, 401);
});

test('a token that ends', async () => {
    const brief = await startServer({ after }, { env: { ...env, JWT_EXPIRES_IN: '1s' } });
    const { token, refreshToken } = await account(brief);
    const { exp } = jose.decodeJwt(token);
    while ((await guarded(token, brief)).status === 200) {
        assert.ok(Date.now() < (exp + 60) * 1000, 'it does not end');
    }
    await assertWorthless(token, 'ended', brief);
    assert.equal((await refresh(refreshToken, brief)).status, 200);
});

test('refreshing', async () => {
    const { token, refreshToken, user } = await account();
    for (const reply of [await post('refresh', { token }), await post('refresh', undefined, bearer(token))]) {
        assert.equal(reply.status, 200);
        assert.deepEqual(reply.body.user, user);
        assert.equal(reply.body.refreshToken, undefined);
        assert.equal((await guarded(reply.body.token)).status, 200);
    }
    let now = refreshToken;
    for (let i = 0; i < 3; i++) {
        const { status, body } = await (i % 2 ? post('refresh', { token: now }) : refresh(now));
        assert.equal(status, 200);
        assert.deepEqual(body.user, user);
        assert.notEqual(body.refreshToken, now);
        assert.equal((await guarded(body.token)).status, 200);
        now = body.refreshToken;
    }
    for (const nothing of [undefined, {}, { refreshToken: '' }, { refreshToken: 7 }, { token: null }]) {
        const { status, body } = await post('refresh', nothing);
        assert.deepEqual([status, body.message], [401, 'Invalid token'], JSON.stringify(nothing));
    }
});

test('a refresh token used again ends its family, and no other', async () => {
    const { refreshToken, user } = await account();
    const other = (await post('login', { email: user.email, password: PASSWORD })).body;
    const second = (await refresh(refreshToken)).body;
    assert.equal((await refresh(refreshToken)).status, 401);
    assert.equal((await refresh(second.refreshToken)).status, 401);
    assert.equal((await refresh(other.refreshToken)).status, 200);
    await server.logged(/refresh_reused/);
});

test('of many who refresh at once, one wins', async () => {
    const { refreshToken } = await account();
    const replies = await Promise.all(Array.from({ length: 10 }, () => refresh(refreshToken)));
    const won = replies.filter(({ status }) => status === 200);
    assert.equal(won.length, 1);
    assert.ok(replies.every(({ status }) => [200, 401].includes(status)));
    assert.equal((await refresh(won[0].body.refreshToken)).status, 401); /* the family ended: somebody had a copy */
});

test('logout ends a refresh token, and is harmless otherwise', async () => {
    const { token, refreshToken } = await account();
    for (const body of [{ refreshToken }, { refreshToken }, {}, { refreshToken: 'nonsense' }, undefined]) {
        const reply = await post('logout', body);
        assert.deepEqual([reply.status, reply.body.message], [200, 'Logged out']);
    }
    assert.equal((await refresh(refreshToken)).status, 401);
    assert.equal((await guarded(token)).status, 200);
});

test('a new password ends every token and session of the user', async () => {
    const mine = await account();
    const others = await account();
    const second = (await post('login', { email: mine.user.email, password: PASSWORD })).body;
    const change = { currentPassword: PASSWORD, password: 'N3wSecret' };
    const { status, body } = await server.json('PUT', '/api/auth/profile', change, bearer(mine.token));
    assert.equal(status, 200);
    assert.equal(body._id, mine.user._id);
    for (const { token, refreshToken } of [mine, second]) {
        await assertWorthless(token, 'before the password changed');
        assert.equal((await refresh(refreshToken)).status, 401);
    }
    assert.equal((await guarded(body.token)).status, 200);
    const next = await refresh(body.refreshToken);
    assert.equal(next.status, 200);
    assert.equal((await guarded(next.body.token)).status, 200);
    assert.equal((await post('login', { email: mine.user.email, password: PASSWORD })).status, 401);
    assert.equal((await post('login', { email: mine.user.email, password: 'N3wSecret' })).status, 200);
    assert.equal((await guarded(others.token)).status, 200);
    assert.equal((await refresh(others.refreshToken)).status, 200);
});

test('tokens outlive a restart, with a key of the operator and with one made here', async () => {
    for (const JWT_SECRET of [SECRET, undefined]) {
        const own = await startServer({ after }, { env: { ...env, JWT_SECRET } });
        const { token, refreshToken } = await account(own);
        await own.stop();
        await own.start();
        assert.equal((await guarded(token, own)).status, 200);
        assert.equal((await refresh(refreshToken, own)).status, 200);
    }
});

test('production: a user may come into the dialects without accounts', async () => {
    const closed = await startServer(
        { after },
        { env: { ...env, ENVIRONMENT: 'production', LLM_PROVIDER: 'demo', API_TOKEN: 'the-api-token-0815' } },
    );
    const { token } = await account(closed);
    const chat = (headers) => closed.json('POST', '/api/chat', { message: 'Hello', context: {} }, headers);
    const models = (headers) => closed.json('GET', '/v1/models', undefined, headers);
    const forged = new jose.UnsecuredJWT(jose.decodeJwt(token)).encode();
    for (const ask of [chat, models]) {
        assert.equal((await ask(bearer(token))).status, 200);
        assert.equal((await ask({ authorization: token })).status, 200);
        for (const headers of [{}, bearer(forged), bearer(`${token}x`)]) {
            assert.equal((await ask(headers)).status, 401);
        }
    }
    assert.equal((await closed.json('GET', '/metrics', undefined, bearer(token))).status, 401);
    const socket = await JsonSocket.open(`${closed.wsUrl}/ws?token=${token}`);
    assert.equal(await refusedUpgrade(closed.port, `/ws?token=${forged}`).then(({ status }) => status), 403);

    const change = { password: 'N3wSecret' };
    const { body } = await closed.json('PUT', '/api/auth/profile', change, bearer(token));
    assert.equal((await chat(bearer(token))).status, 401);
    assert.equal((await chat(bearer(body.token))).status, 200);
    socket.ws.close();
    await socket.closed;
});
