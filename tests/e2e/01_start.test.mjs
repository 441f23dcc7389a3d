// The command line, configuration and what stops a start.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { SQLITE, run, startServer, temporaryFolder } from './support/server.mjs';

test('--help, version', async () => {
    const help = await run(['--help']);
    assert.equal(help.code, 0);
    for (const word of ['serve', 'check', 'version', '--config', '--port', '--openai-api-key', '--data-dir']) {
        assert.ok(help.stdout.includes(word), word);
    }
    for (const args of [['version'], ['--version']]) {
        const version = await run(args);
        assert.equal(version.code, 0);
        assert.match(version.stdout, /^parley \d+\.\d+\.\d+/);
    }
});

test('unknown commands and options are refused with exit code 2', async () => {
    for (const args of [['dance'], ['--no-such-option'], ['serve', '--no-such-option'], ['serve', 'extra']]) {
        const result = await run(args);
        assert.equal(result.code, 2, args.join(' '));
        assert.match(result.stderr, /help/i);
    }
});

test('without a command it serves', async (t) => {
    const server = await startServer(t, { args: [] });
    assert.equal((await server.json('GET', '/health')).status, 200);
});

test('PORT takes a list; every port serves every dialect', async (t) => {
    const server = await startServer(t, { env: { PORT: '0,0,0' }, ports: 3 });
    assert.equal(new Set(server.ports).size, 3);
    for (const port of server.ports) {
        const response = await fetch(`http://127.0.0.1:${port}/api/conversations`);
        assert.deepEqual(await response.json(), []);
    }
});

test('several threads share one port', async (t) => {
    const server = await startServer(t, { env: { THREADS: '3' } });
    const created = await Promise.all(
        Array.from({ length: 60 }, (_, i) =>
            server.json('POST', '/api/conversations', { title: `t${i}` }, { connection: 'close' }),
        ),
    );
    assert.ok(created.every((response) => response.status === 201));
    assert.equal((await server.json('GET', '/api/conversations')).body.length, 60);
});

test('a wrong value names the setting, the value and what is allowed, and stops the start', async () => {
    for (const [name, value] of [
        ['PORT', 'eighty'],
        ['PORT', '70000'],
        ['THREADS', '-1'],
        ['LOG_LEVEL', 'loud'],
        ['LLM_PROVIDER', 'parrot'],
        ['HEADER_TIMEOUT', 'soon'],
        ['OPENAI_BASE_URL', 'not a url'],
        ['ENVIRONMENT', 'prodction'],
        ['LLM_UPSTREAMS', '{"not":"an array"}'],
    ]) {
        const result = await run(['serve'], { env: { [name]: value } });
        assert.notEqual(result.code, 0, name);
        assert.ok(result.stderr.includes(name), result.stderr);
    }
});

test('a secret with a wrong shape is not printed', async () => {
    const result = await run(['serve'], { env: { LLM_UPSTREAMS: '[{"api_key":"sk-hidden","weight":"x"}]' } });
    assert.notEqual(result.code, 0);
    assert.ok(!result.stderr.includes('sk-hidden'));
});

test('precedence: environment over .env over the file of --config', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const folder = await temporaryFolder();
    await writeFile(
        path.join(folder, 'appsettings.json'),
        JSON.stringify({
            OpenAI: { ApiKey: upstream.key, ChatModel: 'from-appsettings' },
            OPENAI_BASE_URL: `${upstream.url}/v1`,
            CHAT_MODEL: 'from-file',
            AIMCS_MODEL: 'from-file',
        }),
    );
    await writeFile(path.join(folder, '.env'), 'CHAT_MODEL="from-dotenv"\n# comment\nexport AIMCS_MODEL=from-dotenv\n');
    const server = await startServer(t, {
        folder,
        args: ['serve', '--config', 'appsettings.json'],
        env: { AIMCS_MODEL: 'from-environment' },
    });
    await server.json('POST', '/api/chat', { message: 'x', context: {} });
    await server.json('POST', '/api/chat', { message: 'x', conversationId: null });
    await server.json('POST', '/api/chat', { messages: [{ role: 'user', content: 'x' }] });
    assert.deepEqual(
        upstream.requests.map((rq) => rq.body.model),
        ['from-environment', 'from-dotenv', 'from-appsettings'],
    );
});

test('check prints the configuration with secrets masked, and tests store and upstream', async (t) => {
    const upstream = await startUpstream({ key: 'sk-to-be-masked' });
    t.after(() => upstream.close());
    const good = await run(['check'], { env: upstream.openaiEnv });
    assert.equal(good.code, 0, good.stderr + good.stdout);
    assert.match(good.stdout, /OPENAI_BASE_URL/);
    assert.ok(!(good.stdout + good.stderr).includes('sk-to-be-masked'));
    await upstream.close();
    const bad = await run(['check'], { env: { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' } });
    assert.notEqual(bad.code, 0);
});

test('a second process on the same data is refused', async (t) => {
    const server = await startServer(t, { env: SQLITE });
    const second = await run(['serve'], { cwd: server.folder, env: { ...SQLITE, DATA_DIR: server.dataDir } });
    assert.notEqual(second.code, 0);
    assert.match(second.stderr, /another process|in use|locked/i);
    assert.equal((await server.json('GET', '/health')).status, 200);
});

test('a port in use stops the start with its number', async (t) => {
    const server = await startServer(t);
    const blocker = await startUpstream();
    t.after(() => blocker.close());
    const result = await run(['serve'], { env: { PORT: String(blocker.port) } });
    assert.notEqual(result.code, 0);
    assert.ok(result.stderr.includes(String(blocker.port)));
    assert.ok(server.port);
});

test('a data folder that cannot be made stops the start', async (t) => {
    const folder = await temporaryFolder();
    await writeFile(path.join(folder, 'file'), '');
    const result = await run(['serve'], { cwd: folder, env: { ...SQLITE, DATA_DIR: path.join(folder, 'file', 'data') } });
    assert.notEqual(result.code, 0);
    assert.ok(result.stderr.length > 0);
    t.diagnostic(result.stderr.trim().split('\n').at(-1));
});

test('a damaged database stops the start and is not overwritten', async () => {
    const folder = await temporaryFolder();
    const data = path.join(folder, 'data');
    await mkdir(data);
    const names = ['parley.db', 'parley.sqlite', 'parley.sqlite3'];
    await Promise.all(names.map((name) => writeFile(path.join(data, name), 'this is not a database '.repeat(500))));
    const result = await run(['serve'], { cwd: folder, env: { ...SQLITE, DATA_DIR: data } });
    assert.notEqual(result.code, 0);
});

test('production refuses a missing, short or sample JWT_SECRET and says what to do', async () => {
    for (const secret of [undefined, 'short', 'your-secret-key', 'your-secret-key-your-secret-key'.slice(0, 31)]) {
        const result = await run(['serve'], { env: { ENVIRONMENT: 'production', JWT_SECRET: secret } });
        assert.notEqual(result.code, 0, String(secret));
        assert.match(result.stderr, /JWT_SECRET/);
        assert.match(result.stderr, /32|openssl/);
    }
});

test('SIGHUP re-reads what may change', async (t) => {
    const folder = await temporaryFolder();
    const dotenv = path.join(folder, '.env');
    await writeFile(dotenv, 'CORS_ORIGINS=https://before.example\n');
    const server = await startServer(t, { folder });
    const allowed = async (origin) => {
        const { headers } = await server.json('GET', '/health', undefined, { origin });
        return headers.get('access-control-allow-origin') === origin;
    };
    assert.equal(await allowed('https://before.example'), true);
    assert.equal(await allowed('https://after.example'), false);
    await writeFile(dotenv, 'CORS_ORIGINS=https://after.example\n');
    server.child.kill('SIGHUP');
    while (!(await allowed('https://after.example'))) {
        // until it took effect
    }
    assert.equal(await allowed('https://before.example'), false);
});

test('SIGHUP with a wrong file keeps what was', async (t) => {
    const folder = await temporaryFolder();
    await writeFile(path.join(folder, '.env'), 'LOG_LEVEL=info\n');
    const server = await startServer(t, { folder, env: { LOG_LEVEL: undefined } });
    await writeFile(path.join(folder, '.env'), 'LOG_LEVEL=loud\n');
    server.child.kill('SIGHUP');
    await server.logged(/LOG_LEVEL/);
    assert.equal((await server.json('GET', '/health')).status, 200);
});
