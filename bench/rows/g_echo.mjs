// (g) A Socket.IO event answered with an event, one under way on each of 100 WebSockets, one core.
import { beside, besideBare, compare, startLab, stopAll } from '../support/socketio.mjs';

export async function run({ rounds, seconds }) {
    const servers = await startLab();
    const results = await compare(rounds, servers, ['echo', '--clients', 100, '--seconds', seconds]);
    await stopAll(servers);
    const what = 'Socket.IO event to event';
    return [
        beside('g', what, results, (r) => r.per_second, { unit: 'events/s', goal: { ratio: 2 }, detail: results }),
        besideBare('g', what, results, (r) => r.per_second, { unit: 'events/s' }),
        beside('g', `${what}: CPU`, results, (r) => r.cpu_us, { unit: 'us/event' }),
        beside('g', `${what}: p50`, results, (r) => r.latency.p50_us, { unit: 'us' }),
        beside('g', `${what}: p99`, results, (r) => r.latency.p99_us, { unit: 'us', goal: { ratioAtMost: 1 } }),
    ];
}
