// `parley check`, `parley version`, wrong options; starts that fail half-way; signals while starting.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startUpstream } from '../fake/upstream.mjs';
import { BINARY, SQLITE, run, startServer, temporaryFolder } from './support/server.mjs';

const DATABASE = 'parley.db';
const line = (output, what) => output.split('\n').find((text) => text.startsWith(`${what} `));

test('without a model: exit code 0, and it says who answers', async () => {
    const { code, stdout, stderr } = await run(['check']);
    assert.equal(code, 0, stdout + stderr);
    assert.match(line(stdout, 'store'), /ok$/);
    assert.match(line(stdout, 'model'), /embedded responder/);
});

test('an upstream that answers, one with another key, and none', async (t) => {
    const upstream = await startUpstream({ key: 'sk-the-right-key' });
    t.after(() => upstream.close());
    const env = { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' };
    const good = await run(['check'], { env });
    assert.equal(good.code, 0, good.stdout + good.stderr);
    assert.match(line(good.stdout, 'openai'), /ok$/);

    upstream.server.removeAllListeners('request');
    upstream.server.on('request', (_, res) => {
        res.writeHead(401, { 'content-type': 'application/json' });
        res.end(JSON.stringify({ error: { message: 'Incorrect API key provided: sk-the-wrong-key.', type: 'x', code: 'x' } }));
    });
    const wrong = await run(['check'], { env: { ...env, OPENAI_API_KEY: 'sk-the-wrong-key' } });
    assert.equal(wrong.code, 1);
    assert.doesNotMatch(line(wrong.stdout, 'openai'), /ok$/);
    assert.match(line(wrong.stdout, 'store'), /ok$/);
    assert.ok(!(wrong.stdout + wrong.stderr).includes('sk-the-wrong-key'), wrong.stdout + wrong.stderr);

    await upstream.close();
    const down = await run(['check'], { env });
    assert.equal(down.code, 1);
    assert.doesNotMatch(line(down.stdout, 'openai'), /ok$/);
});

test('every secret is masked, wherever it was set', async () => {
    const folder = await temporaryFolder();
    const secrets = { OPENAI_API_KEY: 'sk-one-hidden', JWT_SECRET: 'jwt-two-hidden', API_TOKEN: 'token-three-hidden' };
    await writeFile(path.join(folder, '.env'), `AZURE_OPENAI_API_KEY=four-hidden\nMONGODB_URI=mongodb://u:five-hidden@h/x\n`);
    const args = ['check', '--azure-speech-key=six-hidden'];
    const { stdout, stderr } = await run(args, { cwd: folder, env: { ...secrets, LLM_PROVIDER: 'demo' } });
    assert.ok(!(stdout + stderr).includes('hidden'), stdout);
    for (const name of [...Object.keys(secrets), 'AZURE_OPENAI_API_KEY', 'STORE_URL', 'AZURE_SPEECH_KEY']) {
        assert.match(stdout, new RegExp(`${name}\\b.*set`), name);
    }
});

test('a damaged store is told and left alone', async (t) => {
    const folder = await temporaryFolder();
    const server = await startServer(t, { folder, env: SQLITE });
    for (let i = 0; i < 40; i++) {
        await server.json('POST', '/api/chat', { message: 'x'.repeat(2000), conversationId: null });
    }
    await server.stop();
    const file = path.join(server.dataDir, DATABASE);
    assert.ok((await readdir(server.dataDir)).includes(DATABASE));
    const good = await readFile(file);
    const healthy = await run(['check'], { cwd: folder, env: { ...SQLITE, DATA_DIR: server.dataDir } });
    assert.equal(healthy.code, 0, healthy.stdout);
    const bad = Buffer.from(good);
    bad.fill(0x55, 4096 + 8, good.length - 4096);
    await writeFile(file, bad);
    const { code, stdout } = await run(['check'], { cwd: folder, env: { ...SQLITE, DATA_DIR: server.dataDir } });
    assert.equal(code, 1, stdout);
    assert.doesNotMatch(line(stdout, 'store'), /ok$/);
    assert.deepEqual(await readFile(file), bad);
    await writeFile(file, good);
    await server.start();
});

test('beside a running server: the store is in use, and the server does not mind', async (t) => {
    const server = await startServer(t, { env: SQLITE });
    const { code, stdout } = await run(['check'], { cwd: server.folder, env: { ...SQLITE, DATA_DIR: server.dataDir } });
    assert.equal(code, 1);
    assert.match(line(stdout, 'store'), /another process|in use|locked/i);
    const { status } = await server.json('POST', '/api/chat', { message: 'still here', conversationId: null });
    assert.equal(status, 200);
});

test('--markdown is docs/CONFIGURATION.md', async () => {
    const page = fileURLToPath(new URL('../../docs/CONFIGURATION.md', import.meta.url));
    const { code, stdout } = await run(['check', '--markdown']);
    assert.equal(code, 0);
    assert.equal(stdout, await readFile(page, 'utf8'));
});

test('version and help say the same from everywhere; what is unknown is named', async () => {
    const { stdout: version } = await run(['version']);
    for (const args of [['--version'], ['serve', '--version'], ['check', '--version']]) {
        const said = await run(args);
        assert.equal(said.code, 0);
        assert.equal(said.stdout, version);
    }
    for (const args of [['help'], ['-h'], ['serve', '--help'], ['check', '--help']]) {
        const said = await run(args);
        assert.equal(said.code, 0);
        assert.match(said.stdout, /^Usage: parley/);
        assert.equal(said.stderr, '');
    }
    for (const [args, named] of [
        [['check', '--no-such-option'], '--no-such-option'],
        [['--prot=80'], '--prot'],
        [['check', '--port'], '--port'],
        [['chekc'], 'chekc'],
        [['serve', 'now'], 'now'],
        [['--config', '/nowhere/at/all.json'], '/nowhere/at/all.json'],
    ]) {
        const { code, stderr, stdout } = await run(args);
        assert.equal(code, 2, args.join(' '));
        assert.ok(stderr.includes(named), stderr);
        assert.equal(stdout, '');
    }
});

const errors = (stderr) => stderr.split('\n').filter((text) => /level=error/.test(text));

test('a start that fails half-way: one error line, exit code 1, nothing left behind', async (t) => {
    const blocker = net.createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    t.after(() => blocker.close());
    const { port } = blocker.address();
    const server = await startServer(t, { env: SQLITE });
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    for (const [env, says] of [
        [{ PORT: String(port) }, String(port)],
        [{ PORT: `0,${port}`, THREADS: '3', ...upstream.openaiEnv }, String(port)],
        [{ ...SQLITE, DATA_DIR: server.dataDir }, server.dataDir],
        [{ ...SQLITE, DATA_DIR: '/proc/nowhere/data' }, '/proc/nowhere'],
        [{ HOST: '203.0.113.77' }, '203.0.113.77'],
        [{ ACCESS_LOG_FILE: '/proc/nowhere/access.log' }, '/proc/nowhere/access.log'],
    ]) {
        const { code, stderr } = await run(['serve'], { env: { THREADS: '2', ...env } });
        assert.equal(code, 1, stderr);
        assert.equal(errors(stderr).length, 1, stderr);
        assert.ok(errors(stderr)[0].includes(says), stderr);
    }
    const folder = await temporaryFolder();
    await mkdir(path.join(folder, 'data'));
    const failed = await run(['serve'], { cwd: folder, env: { PORT: String(port) } });
    assert.equal(failed.code, 1);
    const again = await startServer(t, { folder });
    assert.equal((await again.json('GET', '/health')).status, 200);
});

test('SIGTERM at any moment of the start ends it, and the next start works', async (t) => {
    const folder = await temporaryFolder();
    const env = { ...SQLITE, PATH: process.env.PATH, PORT: '0', DATA_DIR: path.join(folder, 'data'), THREADS: '2' };
    const ends = [];
    for (let ms = 0; ms < 40; ms += 2) {
        const child = spawn(BINARY, ['serve'], { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] });
        let stderr = '';
        child.stderr.on('data', (chunk) => (stderr += chunk));
        setTimeout(() => child.kill('SIGTERM'), ms);
        const [code, signal] = await once(child, 'close');
        assert.ok(code === 0 || signal === 'SIGTERM', `${code} ${signal}\n${stderr}`);
        assert.doesNotMatch(stderr, /Sanitizer|runtime error/);
        ends.push(signal ?? code);
    }
    const server = await startServer(t, { folder, env: SQLITE });
    assert.equal((await server.json('GET', '/health')).status, 200);
    t.diagnostic(ends.join(' '));
});

test('SIGHUP with a file that went away or makes no sense keeps what was', async (t) => {
    const folder = await temporaryFolder();
    const file = path.join(folder, 'parley.json');
    await writeFile(file, JSON.stringify({ CORS_ORIGINS: 'https://kept.example' }));
    const server = await startServer(t, { folder, args: ['serve', '--config', file], env: { THREADS: '2' } });
    const allowed = async () => {
        const { headers } = await server.json('GET', '/health', undefined, { origin: 'https://kept.example' });
        return headers.get('access-control-allow-origin');
    };
    const refusals = () => [...server.stderr.matchAll(/event=reload_refused/g)].length;
    for (const text of ['{"CORS_ORIGINS":', '[]', '{"LOG_FORMAT":"loud"}', '\0\0']) {
        const before = refusals();
        await writeFile(file, text);
        server.child.kill('SIGHUP');
        await server.logged(new RegExp(`(event=reload_refused[^]*){${before + 1}}`));
        assert.equal(await allowed(), 'https://kept.example');
    }
});
