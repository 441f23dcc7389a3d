// Runs a command beside a MongoDB engine, whose connection string it gets as PARLEY_TEST_MONGODB_URI:
//   node with_mongo.mjs <command> [arguments…]
// With PARLEY_TEST_MONGODB_URI or MONGODB_URI set, that server is used and none is started.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Mongo } from './mongo.mjs';

const given = process.env.PARLEY_TEST_MONGODB_URI ?? process.env.MONGODB_URI;
const engine = given ? null : await new Mongo(await mkdtemp(path.join(os.tmpdir(), 'parley-mongo-'))).start();
try {
    const [command, ...args] = process.argv.slice(2);
    const env = { ...process.env, PARLEY_TEST_MONGODB_URI: given ?? engine.uri() };
    const child = spawn(command, args, { env, stdio: 'inherit' });
    for (const signal of ['SIGTERM', 'SIGINT']) {
        process.on(signal, () => child.kill(signal));
    }
    const [code, signal] = await once(child, 'exit');
    if (signal) {
        console.error(`${command} ended by ${signal}`);
    }
    process.exitCode = code ?? 1;
} finally {
    await engine?.remove();
}
