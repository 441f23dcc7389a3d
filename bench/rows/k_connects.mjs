// (k) Clients that all come at once: until every one of them is connected to "/", over a WebSocket alone, and over
// polling with the upgrade to a WebSocket (then an event is answered there).
import { beside, compare, startChat, stopAll } from '../support/socketio.mjs';

// The reference server releases a waiting poll up to 100 ms after the probe: enough clients that it is never idle.
const WAYS = {
    'connects, WebSocket': ['--parallel', 64],
    'connects, polling and upgrade': ['--parallel', 500, '--upgrade'],
};

export async function run({ rounds, connects }) {
    const servers = await startChat();
    const rows = [];
    for (const [what, args] of Object.entries(WAYS)) {
        const results = await compare(Math.min(rounds, 3), servers, ['connect', '--clients', connects, ...args]);
        const add = (more, pick, options) => rows.push(beside('k', `${what}${more}`, results, pick, options));
        add('', (r) => r.per_second, { unit: '1/s', goal: { ratio: 3 }, detail: results });
        add(': CPU', (r) => r.cpu_us, { unit: 'us' });
        add(': p99', (r) => r.latency.p99_us, { unit: 'us' });
    }
    await stopAll(servers);
    return rows;
}
