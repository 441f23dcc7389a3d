// (l) Realtime voice through a relay, one core: 40 ms of audio every 40 ms, both ways, in each session.
import { LOAD_CORE, freePort, runJson, startNode, startParley } from '../support/process.mjs';
import { interleave, medianOf, row } from '../support/rows.mjs';

const MANY = 500;
const FEW = 150; // as many as ws carries without falling behind

/** Results of so many sessions with each contestant: { name: [of each round] }. */
const talk = (rounds, contestants, upstream, sessions, seconds) =>
    interleave(rounds, contestants, async ({ port, pid }, name) => {
        const args = ['--port', port, '--upstream', upstream, '--sessions', sessions, '--seconds', seconds];
        const result = await runJson('relay_bench', pid ? [...args, '--pid', pid] : args, { core: LOAD_CORE });
        if (result.errors > 0) {
            throw new Error(`${name}: ${result.errors} of ${result.frames} frames lost or changed`);
        }
        return result;
    });

export async function run({ rounds, seconds }) {
    const upstream = await freePort(); // of the load generator, which is the service too
    const base = `http://127.0.0.1:${upstream}/v1`;
    const parley = await startParley({ REALTIME_PROVIDER: 'openai', OPENAI_BASE_URL: base, OPENAI_API_KEY: 'sk-bench' });
    const ws = await startNode('ws_relay.mjs', { env: { UPSTREAM: `${base.replace('http', 'ws')}/realtime?model=bench` } });
    const direct = { port: upstream };
    const few = await talk(rounds, { direct, parley, ws }, upstream, FEW, seconds);
    const many = await talk(rounds, { direct, parley }, upstream, MANY, seconds);
    await Promise.all([parley, ws].map((process) => process.stop()));

    const rows = [];
    const addLatency = (results, sessions, way, quantile, options) => {
        const us = medianOf(results, (r) => r[way][`${quantile}_us`]);
        const what = `added to a frame ${way === 'up' ? 'to the service' : 'to the client'}, ${sessions} sessions, ${quantile}`;
        const peer = us.ws === undefined ? {} : { peer: us.ws - us.direct, peerName: 'ws' };
        rows.push(row('l', what, us.parley - us.direct, { unit: 'us', ...peer, ...options }));
    };
    for (const way of ['up', 'down']) {
        addLatency(many, MANY, way, 'p50', { goal: { atMost: 100 } });
        addLatency(many, MANY, way, 'p99', { goal: { atMost: 500 } });
        addLatency(few, FEW, way, 'p50');
        addLatency(few, FEW, way, 'p99');
    }
    const cpu = medianOf(few, (r) => r.cpu);
    const options = { unit: 'sessions', peer: FEW / cpu.ws, peerName: 'ws', goal: { ratio: 3 } };
    rows.push(row('l', 'sessions a core carries, by the CPU time they take', FEW / cpu.parley, options));
    return rows;
}
