// One parley process for a test: own data folder, own port, watched for crashes and sanitizer reports.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sharedMongo, withDatabase } from './mongo.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
export const BINARY = path.resolve(ROOT, process.env.PARLEY_BIN ?? 'build/parley');

const SANITIZER = /ERROR: (Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:|Sanitizer:DEADLYSIGNAL/;

/** Only what the test says reaches the process, so a developer's own keys never do. */
function environment(env, dataDir) {
    const merged = {
        PATH: process.env.PATH,
        HOST: '127.0.0.1',
        PORT: '0',
        DATA_DIR: dataDir,
        LOG_LEVEL: 'info',
        THREADS: process.env.PARLEY_TEST_THREADS ?? '1',
        ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? 'detect_leaks=1',
        UBSAN_OPTIONS: 'print_stacktrace=1',
        TSAN_OPTIONS: process.env.TSAN_OPTIONS ?? '',
        ...env,
    };
    return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined));
}

/** Environment of a server whose test is about SQLite's file, whatever store the other tests run on. */
export const SQLITE = { STORE_DRIVER: 'sqlite' };

export const temporaryFolder = () => mkdtemp(path.join(os.tmpdir(), 'parley-e2e-'));

/** With PARLEY_TEST_STORE=mongo, servers keep all in MongoDB, each folder in a database of its own; but a test that names a
 * store gets that one. */
async function storeOf(env, folder) {
    const named = ['STORE_DRIVER', 'STORE_URL', 'MONGODB_URI'].some((name) => name in env);
    if (process.env.PARLEY_TEST_STORE !== 'mongo' || named) {
        return {};
    }
    const database = `parley_test_${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`;
    return { STORE_URL: withDatabase(await sharedMongo(), database) };
}

async function dropStore({ STORE_URL }) {
    if (STORE_URL) {
        const { MongoClient } = await import('mongodb');
        const client = new MongoClient(STORE_URL);
        await client.db().dropDatabase();
        await client.close();
    }
}

/** Runs the binary to its end: { code, signal, stdout, stderr }. */
export async function run(args, { env = {}, cwd, input = '' } = {}) {
    const folder = cwd ?? (await temporaryFolder());
    const store = await storeOf(env, folder);
    const merged = environment({ ...store, ...env }, path.join(folder, 'data'));
    const child = spawn(BINARY, args, { cwd: folder, env: merged });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.stdin.on('error', () => {}); // it may end without reading
    child.stdin.end(input);
    const [code, signal] = await once(child, 'close');
    if (!cwd) {
        await rm(folder, { recursive: true, force: true });
        await dropStore(store);
    }
    assert.doesNotMatch(stderr, SANITIZER);
    return { code, signal, stdout, stderr };
}

/* A test that is given up must not leave its servers behind. */
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => process.exit(1));
}

export class Server {
    constructor({ env = {}, args = ['serve'], folder, wrapper = [] }) {
        Object.assign(this, { env, args, folder, wrapper, stderr: '', stdout: '', ports: [] });
        this.dataDir = path.join(folder, 'data');
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    get wsUrl() {
        return `ws://127.0.0.1:${this.port}`;
    }

    get port() {
        return this.ports[0];
    }

    get pid() {
        return this.child.pid;
    }

    /** Spawns and waits until every port listens and the signals are minded. */
    async start(ports = 1) {
        this.stderr = '';
        this.ports = [];
        this.store = await storeOf(this.env, this.folder);
        const [command, ...args] = [...this.wrapper, BINARY, ...this.args];
        this.child = spawn(command, args, {
            cwd: this.folder,
            env: environment({ ...this.store, ...this.env }, this.dataDir),
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        const { child } = this;
        running.add(child);
        this.exited = once(child, 'close').then(([code, signal]) => {
            running.delete(child);
            this.exit = { code, signal };
            return this.exit;
        });
        this.exit = null;
        this.child.stdout.on('data', (chunk) => (this.stdout += chunk));
        await new Promise((resolve, reject) => {
            this.child.once('error', reject);
            this.child.stderr.on('data', (chunk) => {
                this.stderr += chunk;
                this.ports = [...this.stderr.matchAll(/event"?[=:]"?listening\b[^\n]*port"?[=:](\d+)/g)].map((m) =>
                    Number(m[1]),
                );
                if (this.ports.length >= ports && /event"?[=:]"?ready\b/.test(this.stderr)) {
                    resolve();
                }
            });
            this.exited.then(() => reject(new Error(`the server ended before it listened:\n${this.stderr}`)));
        });
        return this;
    }

    /** Orderly end: exit code 0, nothing from the sanitizers. */
    async stop() {
        if (!this.exit) {
            this.child.kill('SIGTERM');
        }
        const { code, signal } = await this.exited;
        this.check();
        assert.equal(signal, null, `ended by ${signal}:\n${this.stderr.slice(-4000)}`);
        assert.equal(code, 0, `exit code ${code}:\n${this.stderr.slice(-4000)}`);
    }

    /** Ends it with no chance to tidy up. */
    async kill() {
        this.child.kill('SIGKILL');
        await this.exited;
        this.check();
    }

    check() {
        assert.ok(!SANITIZER.test(this.stderr), this.stderr.slice(-12000));
    }

    /** Resolves with the first line of the log that matches, also one already written. */
    async logged(pattern) {
        for (;;) {
            const match = this.stderr.match(pattern);
            if (match) {
                return match;
            }
            await Promise.race([
                once(this.child.stderr, 'data'),
                this.exited.then(() => assert.match(this.stderr, pattern)),
            ]);
        }
    }

    async remove() {
        await rm(this.folder, { recursive: true, force: true });
        await dropStore(this.store ?? {});
    }

    fetch(pathname, options = {}) {
        return fetch(this.url + pathname, options);
    }

    /** fetch with a JSON body (when given), as the browser's fetch sends it: Accept: any. */
    async json(method, pathname, body, headers = {}) {
        const response = await this.fetch(pathname, {
            method,
            headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        const text = await response.text();
        let parsed;
        try {
            parsed = JSON.parse(text);
        } catch {
            parsed = undefined;
        }
        return { status: response.status, headers: response.headers, text, body: parsed };
    }
}

/** Starts a server that ends with the test (or suite) `t`: any object with after(), such as node:test itself. */
export async function startServer(t, { env = {}, args, ports = 1, folder, wrapper } = {}) {
    const server = new Server({ env, args, wrapper, folder: folder ?? (await temporaryFolder()) });
    let started = false;
    t.after(async () => {
        try {
            if (started) {
                await server.stop();
            }
        } finally {
            server.child?.kill('SIGKILL');
            await server.remove();
        }
    });
    await server.start(ports);
    started = true;
    return server;
}
