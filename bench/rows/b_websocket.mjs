// (b) A ping answered with a pong over WebSockets, one core; alone and beside idle connections.
import { holdIdle, runJson, startBare, startNode, startParley } from '../support/process.mjs';
import { interleave, medianOf, row } from '../support/rows.mjs';

const PATH = '/ws/audio';

async function measure(rounds, seconds, contestants) {
    const results = await interleave(rounds, contestants, async ({ port }) => {
        const load = ['ws', '--port', port, '--connections', 64, '--seconds', seconds, '--path', PATH, '--greeting'];
        const result = await runJson('load_bench', [...load, '--body', '{"type":"ping"}']);
        if (result.errors > 0) {
            throw new Error(`${result.errors} answers were no text frames`);
        }
        return result;
    });
    return medianOf(results, (r) => r.per_second);
}

export async function run({ rounds, seconds, idle }) {
    const contestants = {
        parley: await startParley({ WS_PING_INTERVAL: '0' }),
        bare: await startBare(),
        ws: await startNode('ws_echo.mjs'),
    };
    const rows = [];
    const add = (what, rate) => {
        const options = (name, peerName, goal = {}) => ({ unit: 'msg/s', peer: rate[name], peerName, goal });
        rows.push(row('b', what, rate.parley, options('bare', 'bare epoll', { ratio: 0.9 })));
        rows.push(row('b', what, rate.parley, options('ws', 'npm ws')));
    };
    add('WebSocket ping to pong', await measure(rounds, seconds, contestants));
    const holders = [];
    for (const { port } of Object.values(contestants)) {
        holders.push(await holdIdle(port, idle, PATH));
    }
    add(`the same beside ${idle.toLocaleString('en-US')} idle`, await measure(rounds, seconds, contestants));
    await Promise.all([...holders, ...Object.values(contestants)].map((process) => process.stop()));
    return rows;
}
