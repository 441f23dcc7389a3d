// (h) One 200-byte event to a room of 1,000 WebSockets, one core: the next one when all have it, and 8 under way.
import { beside, besideBare, compare, startLab, stopAll } from '../support/socketio.mjs';

export async function run({ rounds, seconds, members }) {
    const servers = await startLab();
    const rows = [];
    for (const [window, when] of [
        [1, 'one at a time'],
        [8, '8 under way'],
    ]) {
        const args = ['broadcast', '--clients', members, '--bytes', 200, '--window', window, '--seconds', seconds];
        const results = await compare(rounds, servers, args);
        const whole = `event to a room of ${members.toLocaleString('en-US')}, ${when}`;
        const add = (what, pick, options) => rows.push(beside('h', whole + what, results, pick, options));
        add('', (r) => r.per_second, { unit: 'deliveries/s', goal: { ratio: 5 }, detail: results });
        rows.push(besideBare('h', whole, results, (r) => r.per_second, { unit: 'deliveries/s' }));
        add(': CPU', (r) => r.cpu_us, { unit: 'us/delivery' });
        add(': p99', (r) => r.latency.p99_us, { unit: 'us', goal: { ratioAtMost: 1 } });
    }
    await stopAll(servers);
    return rows;
}
