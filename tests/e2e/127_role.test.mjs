// parley role: who is an admin, and what that changes, on a file and on MongoDB.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { careEnv, CareUser } from './support/care.mjs';
import { freshDatabase, sharedMongo, withDatabase } from './support/mongo.mjs';
import { run, SQLITE, startServer, temporaryFolder } from './support/server.mjs';

/* Whether the user may see the other one's figures; what a user is, is what it sees of itself. */
async function assertRole(role, user, other) {
    const { status, body } = await user.json('GET', `/api/conversations/stats/user/${other.id}`);
    assert.equal(status, role === 'admin' ? 200 : 403, JSON.stringify(body));
    if (role === 'user') {
        assert.equal(body.error, 'Unauthorized to access other user stats');
    }
    assert.equal((await user.get('/api/auth/profile')).role, role);
    assert.equal((await user.json('GET', `/api/conversations/stats/user/${user.id}`)).status, 200);
}

/** Runs the command on the server's store: { code, stdout, stderr }. */
const give = (server, email, role) => run(['role', email, role], { env: server.env, cwd: server.folder });

async function given(server, user, role, was) {
    const { code, stdout, stderr } = await give(server, user.email, role);
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(stdout, `${user.email} has the role ${role} now (it was ${was})\n`);
}

async function twoUsers(server) {
    const [ann, ben] = [await CareUser.make(server, 'Ann Lee'), await CareUser.make(server, 'Ben Oak')];
    await assertRole('user', ann, ben);
    return [ann, ben];
}

test('on a file: while no server runs; tokens stay good', async (t) => {
    const server = await startServer(t, { env: { ...SQLITE, ...careEnv } });
    const [ann, ben] = await twoUsers(server);
    const refused = await give(server, ann.email, 'admin');
    assert.equal(refused.code, 1);
    assert.equal(refused.stdout, '');
    assert.match(refused.stderr, /a server that uses it has to be stopped/);
    assert.match(refused.stderr, new RegExp(`the role was not changed: data directory .* is in use by process ${server.pid}\n`));
    await assertRole('user', ann, ben);
    for (const [role, was] of [
        ['admin', 'user'],
        ['user', 'admin'],
    ]) {
        await server.stop();
        await given(server, ann, role, was);
        await server.start();
        await assertRole(role, ann, ben);
        await assertRole('user', ben, ann);
    }
});

test('on MongoDB: beside a running server, heeded by the next request', async (t) => {
    const env = { ...careEnv, STORE_DRIVER: 'mongo', STORE_URL: withDatabase(await sharedMongo(), freshDatabase()) };
    const server = await startServer(t, { env });
    const [ann, ben] = await twoUsers(server);
    await given(server, ann, 'admin', 'user');
    await assertRole('admin', ann, ben);
    await assertRole('user', ben, ann);
    await given(server, ann, 'user', 'admin');
    await assertRole('user', ann, ben);
});

test('an address is found however it is spelled; a role that is there already is no failure', async (t) => {
    const server = await startServer(t, { env: { ...SQLITE, ...careEnv } });
    const ann = await CareUser.make(server, 'Ann Lee');
    await server.stop();
    const { code, stdout } = await give(server, `  ${ann.email.toUpperCase()} `, 'admin');
    assert.deepEqual([code, stdout], [0, `${ann.email} has the role admin now (it was user)\n`]);
    const again = await give(server, ann.email, 'admin');
    assert.deepEqual([again.code, again.stdout, again.stderr], [0, `${ann.email} has the role admin already\n`, '']);
    await server.start();
    assert.equal((await ann.get('/api/auth/profile')).role, 'admin');
});

test('who is not there is named', async (t) => {
    const env = { ...SQLITE, ...careEnv };
    const folder = await temporaryFolder();
    const server = await startServer(t, { env, folder });
    await server.stop();
    for (const [email, text] of [
        ['Nobody@example.com', 'There is no user nobody@example.com'],
        ['nobody', 'nobody is no e-mail address of a user'],
    ]) {
        const { code, stdout, stderr } = await give(server, email, 'admin');
        assert.deepEqual([code, stdout], [1, '']);
        assert.equal(stderr, `parley: the role was not changed: ${text}\n`);
    }
});

test('a store that is not there is no change', async () => {
    const env = { STORE_DRIVER: 'mongo', STORE_URL: 'mongodb://ann:Pass-3@127.0.0.1:1/db', STORE_SELECT_TIMEOUT: '200ms' };
    const { code, stdout, stderr } = await run(['role', 'ann@example.com', 'admin'], { env });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /the role was not changed: /);
    assert.doesNotMatch(stderr, /Pass-3/);
});

for (const args of [
    [],
    ['ann@example.com'],
    ['ann@example.com', 'king'],
    ['ann@example.com', 'Admin'],
    ['--data-dir', 'admin'],
    ['ann@example.com', 'admin', 'user'],
    ['ann@example.com', 'admin', '--no-such-setting', '1'],
]) {
    test(`not understood: role ${args.join(' ')}`, async () => {
        const { code, stdout, stderr } = await run(['role', ...args], { env: SQLITE });
        assert.deepEqual([code, stdout], [2, '']);
        assert.match(stderr, /Try 'parley --help'/);
    });
}

test('the help names it', async () => {
    assert.match((await run(['--help'])).stdout, /^ +parley role EMAIL admin\|user /m);
});
