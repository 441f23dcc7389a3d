// (i) A streamed reply of 200 tokens, one every 10 ms, to everybody in its conversation; each chunk is the text so far.
import { LOAD_CORE, program, start } from '../support/process.mjs';
import { beside, compare, startChat, stopAll } from '../support/socketio.mjs';

export async function run({ rounds, followers, tokens }) {
    const upstream = await start([program('stream_bench'), 'upstream'], { core: LOAD_CORE });
    const env = { OPENAI_BASE_URL: `http://127.0.0.1:${upstream.port}/v1`, OPENAI_API_KEY: 'sk-bench' };
    const servers = await startChat(env);
    const rows = [];
    for (const n of followers) {
        const args = ['follow', '--clients', n, '--tokens', tokens, '--pace', 10000];
        const results = await compare(Math.min(rounds, 3), servers, args);
        const whose = `${tokens} tokens to ${n.toLocaleString('en-US')}`;
        const add = (what, pick, options) => rows.push(beside('i', `${whose}: ${what}`, results, pick, options));
        add('deliveries', (r) => r.deliveries, { unit: 'chunks', detail: results });
        add('CPU', (r) => r.cpu_ms, { unit: 'ms' });
        add('token to follower, p50', (r) => r.token.p50_us, { unit: 'us' });
        add('token to follower, p99', (r) => r.token.p99_us, { unit: 'us' });
        add('last token to last delivery', (r) => r.last_us, { unit: 'us' });
        add('last token to last completion', (r) => r.complete_us, { unit: 'us' });
    }
    await stopAll({ upstream, ...servers });
    return rows;
}
