// Thousands of official clients that lose their connection at the same moment: all come back, none misses an event, and
// the server has its memory back when they are gone.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { io } from 'socket.io-client';
import { startParley } from './support/conformance.mjs';
import { TcpProxy } from './support/tcp_proxy.mjs';

const WORKERS = 2;
const WEBSOCKETS = 2000;
const POLLERS = 200;
const ALL = WEBSOCKETS + POLLERS;

// what is freed is free at once, also for AddressSanitizer: memory is looked at
const ASAN_OPTIONS = `${process.env.ASAN_OPTIONS ?? 'detect_leaks=1'}:quarantine_size_mb=1`;
const server = await startParley({ after }, { recovery: 60000, env: { THREADS: '2', ASAN_OPTIONS } });

function startWorkers(t, url) {
    const workerData = { url, websockets: WEBSOCKETS / WORKERS, pollers: POLLERS / WORKERS };
    const workers = Array.from({ length: WORKERS }, () => {
        const worker = new Worker(new URL('./support/storm_worker.mjs', import.meta.url), { workerData });
        t.after(() => worker.terminate());
        return worker;
    });
    return (command) =>
        Promise.all(
            workers.map((worker) => {
                worker.postMessage(command);
                return once(worker, 'message').then(([answer]) => answer);
            }),
        );
}

const total = (reports, name) => reports.reduce((sum, report) => sum + report[name], 0);

async function gauge(pattern) {
    const text = await (await server.fetch('/metrics', { headers: { connection: 'close' } })).text();
    return [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
}

async function resident() {
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
    return Number(/VmRSS:\s*(\d+)/.exec(status)[1]) / 1024; // MiB
}

/** Connects all, cuts all, talks meanwhile, closes all. */
async function storm(t) {
    const proxy = await TcpProxy.to(t, server.port);
    const tell = startWorkers(t, proxy.url);
    const speaker = io(`${server.url}/lab`, { transports: ['websocket'], forceNew: true });
    t.after(() => speaker.close());
    await once(speaker, 'connect');
    const say = (number) => speaker.timeout(60000).emitWithAck('shout', 'all', number);
    await tell('connect');
    assert.equal(await gauge(/^parley_engineio_sessions\{.*\} (\d+)$/gm), ALL + 1);
    await say(1);
    for (const report of await tell('check')) {
        assert.deepEqual(report, { heard: ['1'], lost: 0, recovered: 0, fresh: ALL / WORKERS });
    }
    assert.ok(proxy.cut() >= WEBSOCKETS);
    await say(2);
    const reports = await tell('check');
    await say(3);
    for (const report of await tell('check')) {
        assert.deepEqual(report.heard, ['1,2,3']);
    }
    assert.ok(total(reports, 'lost') >= WEBSOCKETS, String(total(reports, 'lost')));
    assert.equal(total(reports, 'recovered'), total(reports, 'lost'));
    assert.equal(total(reports, 'fresh'), ALL);
    await tell('close');
    speaker.close();
    while ((await gauge(/^parley_engineio_sessions\{.*\} (\d+)$/gm)) > 0) {
        await sleep(50);
    }
    proxy.close();
}

test(`${ALL} clients are cut off at once, and come back`, async (t) => {
    await storm(t);
});

test('another time, and the memory is back', async (t) => {
    const before = await resident();
    await storm(t);
    while ((await gauge(/^parley_connections\{kind="websocket"\} (\d+)$/gm)) > 0) {
        await sleep(50);
    }
    assert.equal(await gauge(/^parley_connection_buffer_bytes (\d+)$/gm), 0);
    const now = await resident();
    t.diagnostic(`resident: ${before.toFixed(0)} MiB before, ${now.toFixed(0)} MiB after`);
    assert.ok(now < before * 1.25 + 10, `${before} MiB, then ${now} MiB`);
});
