// (a) Small JSON requests over keep-alive connections, one core.
import { cpuSeconds, runJson, startBare, startNode, startParley } from '../support/process.mjs';
import { interleave, medianOf, row } from '../support/rows.mjs';

const REQUESTS = {
    'GET /health/live': ['--path', '/health/live'],
    'POST /api/chat, echo': ['--path', '/api/chat', '--body', '{"message":"hello","context":{}}'],
};

export async function run({ rounds, seconds }) {
    const contestants = {
        parley: await startParley(),
        bare: await startBare(),
        express: await startNode('express.mjs'),
        fastify: await startNode('fastify.mjs'),
    };
    const rows = [];
    for (const [what, args] of Object.entries(REQUESTS)) {
        const results = await interleave(rounds, contestants, async ({ pid, port }) => {
            const before = await cpuSeconds(pid);
            const load = ['http', '--port', port, '--connections', 64, '--seconds', seconds, ...args];
            const result = await runJson('load_bench', load);
            if (result.errors > 0) {
                throw new Error(`${what}: ${result.errors} answers were not 200`);
            }
            const cpu = (await cpuSeconds(pid)) - before;
            return { ...result, cpu: (cpu / (result.per_second * result.seconds * 1.1)) * 1e6 };
        });
        const rate = medianOf(results, (r) => r.per_second);
        const cpu = medianOf(results, (r) => r.cpu);
        const p99 = medianOf(results, (r) => r.latency.p99_us);
        const add = (name, peerName, goal) =>
            rows.push(row('a', what, rate.parley, { unit: 'req/s', peer: rate[name], peerName, goal }));
        add('bare', 'bare epoll', { ratio: 0.9 });
        add('express', 'Express stack', { ratio: 15 });
        add('fastify', 'Fastify', {});
        rows.push(row('a', `${what}: CPU`, cpu.parley, { unit: 'us/req', peer: cpu.bare, peerName: 'bare epoll' }));
        rows.push(row('a', `${what}: p99`, p99.parley, { unit: 'us', peer: p99.bare, peerName: 'bare epoll' }));
    }
    await Promise.all(Object.values(contestants).map((contestant) => contestant.stop()));
    return rows;
}
