// (f) From the start of the process to the first answer, size of the binary, memory when idle.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { PARLEY, memory, startNode, startParley } from '../support/process.mjs';
import { median, row } from '../support/rows.mjs';

async function ask(port) {
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    socket.destroy();
}

/** Starts, asks once: { ms, rss }. */
async function measure(startServer) {
    const began = performance.now();
    const server = await startServer();
    await ask(server.port);
    const ms = performance.now() - began;
    const { rss } = await memory(server.pid);
    await server.stop();
    return { ms, rss };
}

async function repeat(times, startServer) {
    const results = [];
    for (let i = 0; i < times; i++) {
        results.push(await measure(startServer));
    }
    return { ms: median(results.map((r) => r.ms)), rss: median(results.map((r) => r.rss)) };
}

async function strippedBytes(folder) {
    const copy = path.join(folder, 'parley');
    await copyFile(PARLEY, copy);
    execFileSync('strip', [copy]);
    return (await stat(copy)).size;
}

export async function run({ rounds }) {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'parley-bench-'));
    const fresh = await repeat(rounds, () => startParley());
    const again = await repeat(rounds, () => startParley({}, path.join(folder, 'data')));
    const express = await repeat(rounds, () => startNode('express.mjs'));
    const bytes = await strippedBytes(folder);
    await rm(folder, { recursive: true });
    const peerName = 'Express stack';
    const MIB = 1 << 20;
    return [
        row('f', 'start to first answer', again.ms, { unit: 'ms', peer: express.ms, peerName, goal: { atMost: 30 } }),
        row('f', 'the same with an empty data folder', fresh.ms, { unit: 'ms' }),
        row('f', 'binary, stripped', bytes / MIB, { unit: 'MiB', goal: { atMost: 4 } }),
        row('f', 'resident memory, idle', again.rss / MIB, {
            unit: 'MiB',
            peer: express.rss / MIB,
            peerName,
            goal: { atMost: 10 },
        }),
    ];
}
