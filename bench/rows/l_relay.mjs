// (l) Realtime voice through a relay, one core: 40 ms of audio every 40 ms, both ways, in each session.
import { LOAD_CORE, freePort, runJson, startNode, startParley } from '../support/process.mjs';
import { interleave, medianOf, row } from '../support/rows.mjs';

const MANY = 500;
const FEW = 150; // as many as ws carries without falling behind
const LIMIT = 500; // us that 99 frames of 100 may take
const STEPS = [25, 50, 75, 100, 150, 200, 300, 400, 500, 600, 800];

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

/** The largest step with which frames are in time: in two of three tries, 99 of 100 each way. */
async function carries(contestant, upstream, seconds) {
    let carried = 0;
    for (const sessions of STEPS) {
        const [results] = Object.values(await talk(3, contestant, upstream, sessions, seconds));
        const late = results.filter((r) => Math.max(r.up.p99_us, r.down.p99_us) > LIMIT).length;
        if (late > 1) {
            break;
        }
        carried = sessions;
    }
    return carried;
}

export async function run({ rounds, seconds }) {
    const upstream = await freePort(); // of the load generator, which is the service too
    const base = `http://127.0.0.1:${upstream}/v1`;
    const parley = await startParley({ REALTIME_PROVIDER: 'openai', OPENAI_BASE_URL: base, OPENAI_API_KEY: 'sk-bench' });
    const ws = await startNode('ws_relay.mjs', { env: { UPSTREAM: `${base.replace('http', 'ws')}/realtime?model=bench` } });
    const direct = { port: upstream };
    const few = await talk(rounds, { direct, parley, ws }, upstream, FEW, seconds);
    const many = await talk(rounds, { direct, parley }, upstream, MANY, seconds);
    const carried = {
        parley: await carries({ parley }, upstream, seconds),
        ws: await carries({ ws }, upstream, seconds),
    };
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
    const cpu = medianOf(few, (r) => (r.cpu * 1e6) / r.sessions);
    rows.push(row('l', `CPU time of a session, ${FEW} sessions`, cpu.parley, { unit: 'us/s', peer: cpu.ws, peerName: 'ws' }));
    const options = { unit: 'sessions', peer: carried.ws, peerName: 'ws', goal: { ratio: 3 } };
    rows.push(row('l', `sessions a core carries with p99 below ${LIMIT} us`, carried.parley, options));
    return rows;
}
