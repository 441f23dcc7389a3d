// Accounts (dialect 003): register, log in, profile, with the texts its front end shows.
import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import bcrypt from 'bcryptjs';
import { OBJECT_ID, ISO } from './support/care.mjs';
import { dataUrl, form, png } from './support/pictures.mjs';
import { SQLITE, startServer } from './support/server.mjs';

const server = await startServer({ after }, { env: { PASSWORD_COST: '4' } });
const PASSWORD = 'Secret123';
let count = 0;
const address = () => `person-${count++}@example.com`;

const register = (body, to = server) => to.json('POST', '/api/auth/register', body);
const login = (body, to = server) => to.json('POST', '/api/auth/login', body);
const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** A new account: { token, refreshToken, user }. */
async function account(more = {}) {
    const { status, body } = await register({ name: 'Ann Bee', email: address(), password: PASSWORD, ...more });
    assert.equal(status, 201, JSON.stringify(body));
    return body;
}

/** A refusal has its text in both members that front ends read. */
function assertRefused({ status, body }, expected, text, code = 'INVALID_REQUEST') {
    assert.equal(status, expected, JSON.stringify(body));
    assert.equal(body.message, text);
    assert.equal(body.error, text);
    assert.equal(body.code, code);
    return body;
}

test('register makes an account', async () => {
    const { status, body, headers } = await register({ name: ' Ann Bee ', email: ' Ann@Example.COM ', password: PASSWORD });
    assert.equal(status, 201);
    assert.equal(headers.get('content-type'), 'application/json; charset=utf-8');
    const { _id, name, email, role } = body.user;
    assert.match(_id, OBJECT_ID);
    assert.deepEqual({ name, email, role }, { name: 'Ann Bee', email: 'ann@example.com', role: 'user' });
    assert.equal(body.token.split('.').length, 3);
    assert.equal(typeof body.refreshToken, 'string');
    assert.doesNotMatch(JSON.stringify(body), /password|hash|\$2b\$/i);
    const [head, claims] = body.token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
    assert.equal(JSON.parse(head).alg, 'HS256');
    const { userId, iat, exp, ...more } = JSON.parse(claims);
    assert.equal(userId, _id);
    assert.equal(exp - iat, 24 * 3600);
    assert.deepEqual(more, {});
});

test('register says which fields are missing', async () => {
    const missing = { name: 'Name is required', email: 'Email is required', password: 'Password is required' };
    const cases = [
        [{}, missing],
        [undefined, missing],
        [{ name: '', email: null, password: 7 }, missing],
        [{ name: 'Ann' }, { ...missing, name: null }],
        [{ email: 'a@b.co', password: PASSWORD }, { ...missing, email: null, password: null }],
        [{ name: 'Ann', email: 'x', password: '' }, { ...missing, name: null, email: null }],
    ];
    for (const [body, fields] of cases) {
        const refused = assertRefused(await register(body), 400, 'All fields are required');
        assert.deepEqual(refused.fields, fields);
    }
});

test('register checks what it is given', async () => {
    const cases = [
        [{ name: 'A' }, 'Name must be at least 2 characters long'],
        [{ name: '  A  ' }, 'Name must be at least 2 characters long'],
        [{ name: 'x'.repeat(51) }, 'Name cannot exceed 50 characters'],
        [{ email: 'nonsense' }, 'Please provide a valid email address'],
        [{ email: 'a b@example.com' }, 'Please provide a valid email address'],
        [{ email: 'a@example' }, 'Please provide a valid email address'],
        [{ password: 'Aa1xy' }, 'Password must be at least 6 characters long'],
        [{ password: `Aa1${'x'.repeat(126)}` }, 'Password is too long'],
        [{ password: 'alllower1' }, 'Password must contain at least one uppercase letter, one lowercase letter, and one number'],
    ];
    for (const [wrong, text] of cases) {
        assertRefused(await register({ name: 'Ann Bee', email: address(), password: PASSWORD, ...wrong }), 400, text);
    }
});

test('bodies that are none are answered', async () => {
    const headers = { 'content-type': 'application/json' };
    for (const path of ['/api/auth/register', '/api/auth/login', '/api/auth/refresh']) {
        for (const body of ['{', '[]', '"x"', '{"email":"\xff', 'null']) {
            const reply = await server.fetch(path, { method: 'POST', headers, body });
            assert.ok([400, 401].includes(reply.status), `${path} ${body}: ${reply.status}`);
            assert.equal(typeof (await reply.json()).message, 'string');
        }
        const form = await server.fetch(path, { method: 'POST', headers: { 'content-type': 'image/png' }, body: 'x' });
        assert.equal(form.status, 415);
        const long = await server.fetch(path, { method: 'POST', headers, body: `{"email":"${'x'.repeat(70000)}"}` });
        assert.equal(long.status, 413);
    }
});

test('an e-mail address has one account, also when many want it at once', async () => {
    const email = address();
    const replies = await Promise.all(
        Array.from({ length: 12 }, (_, i) =>
            register({ name: `Ann ${i}`, email: i % 2 ? email : email.toUpperCase(), password: PASSWORD }),
        ),
    );
    const made = replies.filter(({ status }) => status === 201);
    assert.equal(made.length, 1);
    for (const refused of replies.filter((reply) => reply !== made[0])) {
        assertRefused(refused, 400, 'User already exists with this email');
    }
    const { status, body } = await login({ email, password: PASSWORD });
    assert.equal(status, 200);
    assert.equal(body.user._id, made[0].body.user._id);
});

test('login answers as register does', async () => {
    const { user } = await account();
    const { status, body } = await login({ email: `  ${user.email.toUpperCase()}`, password: PASSWORD });
    assert.equal(status, 200);
    assert.deepEqual(body.user, user);
    assert.equal(typeof body.token, 'string');
});

test('login refuses', async () => {
    const { user } = await account();
    for (const wrong of [{ password: 'Secret124' }, { email: 'nobody@example.com' }, { password: ' Secret123' }]) {
        const refused = await login({ email: user.email, password: PASSWORD, ...wrong });
        assertRefused(refused, 401, 'Invalid credentials', 'UNAUTHORIZED');
        assert.equal(refused.headers.get('www-authenticate'), 'Bearer');
    }
    const fields = { email: 'Email is required', password: 'Password is required' };
    assert.deepEqual(assertRefused(await login({}), 400, 'Email and password are required').fields, fields);
    const some = assertRefused(await login({ email: 'x' }), 400, 'Email and password are required');
    assert.deepEqual(some.fields, { ...fields, email: null });
    assertRefused(await login({ email: 'x', password: 'x' }), 400, 'Please provide a valid email address');
});

test('me', async () => {
    const { token, user } = await account();
    for (const authorization of [`Bearer ${token}`, token, `bearer  ${token}`]) {
        const { status, body } = await server.json('GET', '/api/auth/me', undefined, { authorization });
        assert.equal(status, 200);
        assert.deepEqual(body, user);
    }
    assertRefused(await server.json('GET', '/api/auth/me'), 401, 'No token provided', 'UNAUTHORIZED');
    for (const authorization of ['Bearer nonsense', 'Bearer a.b.c', `Bearer ${token}x`]) {
        const refused = await server.json('GET', '/api/auth/me', undefined, { authorization });
        assertRefused(refused, 401, 'Invalid token', 'UNAUTHORIZED');
    }
});

test('a profile is read and changed', async () => {
    const { token, user } = await account();
    const profile = (body) => server.json(body ? 'PUT' : 'GET', '/api/auth/profile', body, bearer(token));
    const { status, body } = await profile();
    assert.equal(status, 200);
    const { createdAt, updatedAt, ...rest } = body;
    assert.match(createdAt, ISO);
    assert.match(updatedAt, ISO);
    assert.deepEqual(rest, user);
    const email = address();
    const changed = await profile({ name: ' New Name ', email: email.toUpperCase(), role: 'admin', _id: 'x', password: '' });
    assert.equal(changed.status, 200);
    assert.equal(changed.body.name, 'New Name');
    assert.equal(changed.body.email, email);
    assert.equal(changed.body.role, 'user');
    assert.equal(changed.body._id, user._id);
    assert.equal(changed.body.token, undefined);
    assert.deepEqual((await profile()).body, changed.body);
    assert.equal((await login({ email, password: PASSWORD })).status, 200);
    assert.equal((await login({ email: user.email, password: PASSWORD })).status, 401);
    assert.equal((await profile({})).status, 200);
});

test('a profile takes only what an account may have', async () => {
    const { token } = await account();
    const { user: other } = await account();
    const put = (body) => server.json('PUT', '/api/auth/profile', body, bearer(token));
    const before = await server.json('GET', '/api/auth/profile', undefined, bearer(token));
    const cases = [
        [{ name: 'A' }, 'Name must be at least 2 characters long'],
        [{ name: '' }, 'Name must be at least 2 characters long'],
        [{ name: 7 }, 'name must be a string'],
        [{ email: 'x' }, 'Please provide a valid email address'],
        [{ email: other.email }, 'User already exists with this email'],
        [{ password: 'short' }, 'Password must be at least 6 characters long'],
        [{ name: 'Good', password: 'nodigits' }, 'Password must contain at least one uppercase letter, one lowercase letter, and one number'],
        [{ name: 'Good', currentPassword: 'wrong', password: 'N3wPassword' }, 'The current password is wrong'],
    ];
    for (const [body, text] of cases) {
        assertRefused(await put(body), 400, text);
    }
    for (const avatar of ['data:image/png;base64,AAAA', '/public/avatars/../x', 'https://example.com/x.png', 7]) {
        assert.equal((await put({ avatar, name: 'Good' })).status, 400, String(avatar));
    }
    const after = await server.json('GET', '/api/auth/profile', undefined, bearer(token));
    assert.deepEqual(after.body, before.body);
    for (const headers of [{}, bearer('x.y.z')]) {
        for (const method of ['GET', 'PUT']) {
            const refused = await server.json(method, '/api/auth/profile', method === 'PUT' ? {} : undefined, headers);
            assertRefused(refused, 401, 'Please authenticate.', 'UNAUTHORIZED');
        }
    }
    const odd = await server.fetch('/api/auth/profile', {
        method: 'PUT',
        headers: { ...bearer(token), 'content-type': 'image/png' },
        body: png(),
    });
    assert.equal(odd.status, 415);
});

test('a profile has a picture, of which the last one is kept', async () => {
    const own = await startServer({ after }, { env: { PASSWORD_COST: '4' } });
    const { body: made } = await register({ name: 'Ann Bee', email: address(), password: PASSWORD }, own);
    const put = async (body) => {
        const reply = await own.json('PUT', '/api/auth/profile', body, bearer(made.token));
        assert.equal(reply.status, 200, reply.text);
        return reply.body;
    };
    const shown = async (avatar) => {
        const reply = await own.fetch(avatar);
        return { status: reply.status, bytes: Buffer.from(await reply.arrayBuffer()) };
    };
    const first = png({ width: 3 });
    const { avatar } = await put({ avatar: dataUrl(first), name: 'With Picture' });
    assert.match(avatar, /^\/public\/avatars\/[^/]+\.png$/);
    assert.deepEqual((await shown(avatar)).bytes, first);
    assert.equal((await put({ avatar })).avatar, avatar);
    assert.equal((await put({ name: 'Other Name' })).avatar, avatar);
    assert.equal((await shown(avatar)).status, 200);

    const second = png({ width: 5 });
    const body = form(second, { name: '../../x.php', type: 'text/html' });
    body.append('name', 'By Form');
    const sent = await own.fetch('/api/auth/profile', { method: 'PUT', headers: bearer(made.token), body });
    const changed = await sent.json();
    assert.equal(sent.status, 200, JSON.stringify(changed));
    assert.equal(changed.name, 'By Form');
    assert.notEqual(changed.avatar, avatar);
    assert.deepEqual((await shown(changed.avatar)).bytes, second);
    assert.equal((await shown(avatar)).status, 404);

    const lie = form(Buffer.from('<script>'), { name: 'me.png', type: 'image/png' });
    const refused = await own.fetch('/api/auth/profile', { method: 'PUT', headers: bearer(made.token), body: lie });
    assert.equal(refused.status, 400);
    assert.equal((await shown(changed.avatar)).status, 200);
    /* What is refused for another reason leaves no picture behind. */
    const wrong = form(first);
    wrong.append('email', 'x');
    assert.equal((await own.fetch('/api/auth/profile', { method: 'PUT', headers: bearer(made.token), body: wrong })).status, 400);
    assert.equal((await own.json('GET', '/api/auth/me', undefined, bearer(made.token))).body.avatar, changed.avatar);
    assert.equal((await put({ avatar: '' })).avatar, undefined);
    assert.equal((await shown(changed.avatar)).status, 404);
    const left = await readdir(path.join(own.folder, 'public/avatars')).catch(() => []);
    assert.deepEqual(left, []);
});

test('a broken form is answered', async () => {
    const { token } = await account();
    const headers = { ...bearer(token), 'content-type': 'multipart/form-data; boundary=B' };
    for (const body of ['', '--B\r\n', '--B\r\nContent-Disposition: form-data; name="name"\r\n\r\nAnn', 'x']) {
        const reply = await server.fetch('/api/auth/profile', { method: 'PUT', headers, body });
        assert.equal(reply.status, 400, JSON.stringify(body));
    }
});

/** Every file of a folder, as text of single bytes. */
async function filesOf(folder) {
    const names = await readdir(folder);
    const all = names.map(async (name) => ({ name, text: await readFile(path.join(folder, name), 'latin1') }));
    return Promise.all(all);
}

test('passwords are bcrypt: ours verify elsewhere, those of elsewhere verify here', async () => {
    const own = await startServer({ after }, { env: { PASSWORD_COST: '5', ...SQLITE } });
    const email = 'ann@example.com';
    const password = 'Pässw0rd ☃';
    assert.equal((await register({ name: 'Ann Bee', email, password }, own)).status, 201);
    await own.stop();
    const hashes = (await filesOf(own.dataDir)).flatMap(({ text }) => text.match(/\$2b\$05\$[./A-Za-z0-9]{53}/g) ?? []);
    const [hash] = hashes;
    assert.ok(hash);
    assert.ok(await bcrypt.compare(password, hash));
    assert.ok(!(await bcrypt.compare('Passw0rd', hash)));
    /* Each hash has 60 bytes, so another one fits in its place. */
    let now = hash;
    for (const [version, other] of ['2a', '2b', '2y'].entries()) {
        const theirs = (await bcrypt.hash(`Öther${version}`, 4 + version)).replace('$2b$', `$${other}$`);
        for (const { name, text } of await filesOf(own.dataDir)) {
            await writeFile(path.join(own.dataDir, name), text.replaceAll(now, theirs), 'latin1');
        }
        now = theirs;
        await own.start();
        assert.equal((await login({ email, password: `Öther${version}` }, own)).status, 200, other);
        assert.equal((await login({ email, password }, own)).status, 401);
        await own.stop();
    }
});

test('what is stored of a session is not what its holder has', async () => {
    const own = await startServer({ after }, { env: { PASSWORD_COST: '4', ...SQLITE } });
    const { body } = await register({ name: 'Ann Bee', email: 'ann@example.com', password: PASSWORD }, own);
    await own.stop();
    const secret = body.refreshToken.split('-').at(-1);
    for (const { name, text } of await filesOf(own.dataDir)) {
        assert.ok(!text.includes(secret) && !text.includes(body.token) && !text.includes(PASSWORD), name);
    }
    for (const word of [secret, body.token, PASSWORD]) {
        assert.ok(!own.stderr.includes(word) && !own.stdout.includes(word), 'the log');
    }
});
