// (r) The store on MongoDB beside Mongoose: the same engine, the same write concern, as many connections and as many at
// once. Both share the machine with the engine.
import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Mongo } from '../../tests/e2e/support/mongo.mjs';
import { program } from '../support/process.mjs';
import { interleave, median, row } from '../support/rows.mjs';

const PEER = fileURLToPath(new URL('../peers/mongoose.mjs', import.meta.url));
const exec = promisify(execFile);

/** Lines of one contestant, in a database of its own: { what: per_s }. */
async function measure(engine, command, args, adds, database) {
    const { stdout } = await exec(command, [...args, engine.uri(database), String(adds)]);
    const lines = stdout.trim().split('\n');
    return Object.fromEntries(lines.map((line) => JSON.parse(line)).map(({ what, per_s }) => [what, per_s]));
}

export async function run({ quick, rounds }) {
    const engine = await new Mongo(await mkdtemp(path.join(os.tmpdir(), 'parley-mongo-'))).start();
    const adds = quick ? 3200 : 16000;
    let n = 0;
    try {
        const contestants = { parley: [program('store_bench'), []], mongoose: [process.execPath, [PEER]] };
        const results = await interleave(Math.min(rounds, 3), contestants, ([command, args], name) =>
            measure(engine, command, args, adds, `${name}_${n++}`),
        );
        const of = (name, what) => median(results[name].map((figures) => figures[what]));
        const many = 'add, a conversation per task';
        const pair = (what, peer, peerName, goal = {}) =>
            row('r', `MongoDB: ${what}`, of('parley', what), { unit: '1/s', peer: of('mongoose', peer), peerName, goal });
        return [
            pair(many, many, 'Mongoose', { ratio: 1.5 }),
            pair(many, 'add, embedded', 'Mongoose, embedded', { ratio: 1.5 }),
            pair('add, one task alone', 'add, one task alone', 'Mongoose'),
            pair('last 20 messages', 'last 20 messages', 'Mongoose'),
        ];
    } finally {
        await engine.remove();
    }
}
