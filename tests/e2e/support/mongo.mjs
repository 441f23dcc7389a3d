// A real MongoDB engine for a test: a process on a free port of 127.0.0.1 with a data folder, which can be stopped, killed
// and started again on the same folder and port.
//   const engine = await startMongo(t);            // or { certFile, keyFile } for TLS
//   await engine.kill(); await engine.start();
// PARLEY_TEST_MONGODB_URI names one that is there already (with_mongo.mjs, or a server of your own).
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { prepareEngine } from '../../fake/mongo/prepare.mjs';

const ENGINE = fileURLToPath(new URL('../../fake/mongo/engine.mjs', import.meta.url));

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class Mongo {
    constructor(folder, { certFile, keyFile } = {}) {
        Object.assign(this, { folder, port: 0, tls: certFile ? [certFile, keyFile] : [] });
    }

    /** Connection string, of one database when it is named. */
    uri(database = '') {
        return `mongodb://127.0.0.1:${this.port}/${database}${this.tls.length ? '?tls=true' : ''}`;
    }

    async start() {
        const { module, env } = await prepareEngine();
        const child = spawn(process.execPath, [ENGINE, module, this.folder, String(this.port), ...this.tls], {
            env: { PATH: process.env.PATH, ...env },
            stdio: ['pipe', 'pipe', 'pipe'],
        });
        running.add(child);
        this.child = child;
        let said = '';
        child.stderr.on('data', (chunk) => (said = (said + chunk).slice(-4000)));
        child.stdin.on('error', () => {});
        this.exited = once(child, 'close').then(() => running.delete(child));
        const lines = createInterface({ input: child.stdout });
        const [line] = await Promise.race([
            once(lines, 'line'),
            this.exited.then(() => Promise.reject(new Error(`the MongoDB engine ended before it listened:\n${said}`))),
        ]);
        this.port = Number(line);
        return this;
    }

    async stop() {
        this.child.kill('SIGTERM');
        await this.exited;
    }

    /** With no chance to tidy up. */
    async kill() {
        this.child.kill('SIGKILL');
        await this.exited;
    }

    async remove() {
        await this.kill();
        await rm(this.folder, { recursive: true, force: true });
    }
}

/** An engine with an empty data folder that ends with the test (or suite) `t`. */
export async function startMongo(t, options) {
    const engine = new Mongo(await mkdtemp(path.join(os.tmpdir(), 'parley-mongo-')), options);
    t.after(() => engine.remove());
    return engine.start();
}

export const freshDatabase = () => `parley_test_${randomBytes(6).toString('hex')}`;

/** `uri` with another database's name. */
export function withDatabase(uri, database) {
    return uri.replace(/^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?[^?]*/, `$1/${database}`);
}

let shared;

/** Connection string of an engine for whoever asks in this process: the one given by the environment, or one of our own. */
export async function sharedMongo() {
    if (process.env.PARLEY_TEST_MONGODB_URI) {
        return process.env.PARLEY_TEST_MONGODB_URI;
    }
    shared ??= mkdtemp(path.join(os.tmpdir(), 'parley-mongo-')).then((folder) => {
        process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
        return new Mongo(folder).start();
    });
    const engine = await shared;
    engine.child.unref(); // it ends with this process
    for (const stream of engine.child.stdio) {
        stream.unref?.();
    }
    return engine.uri();
}
