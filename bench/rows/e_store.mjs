// (e) The embedded store by itself: durable messages a second from 64 tasks, and their cost by conversation length.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { program } from '../support/process.mjs';
import { row } from '../support/rows.mjs';

async function storeBench() {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'parley-bench-'));
    try {
        const { stdout } = await promisify(execFile)(program('store_bench'), [folder]);
        return stdout
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line));
    } finally {
        await rm(folder, { recursive: true, force: true });
    }
}

export async function run() {
    const lines = await storeBench();
    const plain = lines.find((line) => line.what.startsWith('peer'));
    const peerName = 'one commit each';
    const rows = [];
    for (const line of lines.filter((l) => l.per_s !== undefined && l !== plain)) {
        const goal = rows.length === 0 ? { atLeast: 10000 } : {};
        const beside = line.what.startsWith('add') ? { peer: plain?.per_s, peerName } : {};
        rows.push(row('e', line.what, line.per_s, { unit: '1/s', ...beside, goal, detail: line }));
    }
    const costs = lines.filter((line) => line.us_per_message !== undefined);
    const [shortest] = costs;
    for (const cost of costs) {
        const options = { unit: 'us/msg', peer: shortest.us_per_message, peerName: `at ${shortest.length}` };
        const goal = cost === shortest ? {} : { atMost: Math.ceil(shortest.us_per_message * 1.2) };
        const what = `message to a conversation of ${cost.length.toLocaleString('en-US')}`;
        rows.push(row('e', what, cost.us_per_message, { ...options, goal, detail: cost }));
    }
    return rows;
}
