// (o) Logins, and what they do to a chat beside them: 16 who log in as fast as they are answered (bcrypt, cost 10), and one
// who chats. One core; parley hashes on threads of lower priority, which share it.
import { runJson, startNode, startParley } from '../support/process.mjs';
import { interleave, medianOf, row } from '../support/rows.mjs';

const FORM = { name: 'Bench', email: 'bench@example.com', password: 'Sunny4day' };
const LOGIN = ['--path', '/api/auth/login', '--body', JSON.stringify({ email: FORM.email, password: FORM.password })];
const CHAT = ['--path', '/api/chat', '--body', '{"message":"hello","context":{}}'];

async function startCare() {
    const server = await startParley();
    const response = await fetch(`http://127.0.0.1:${server.port}/api/auth/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(FORM),
    });
    if (response.status !== 201) {
        throw new Error(`register: ${response.status}`);
    }
    return server;
}

async function load({ port }, connections, seconds, request) {
    const args = ['http', '--port', port, '--connections', connections, '--seconds', seconds, ...request];
    const result = await runJson('load_bench', args);
    if (result.errors > 0) {
        throw new Error(`${request[1]}: ${result.errors} answers were not 200`);
    }
    return result;
}

/** { alone, beside, logins }: a chat by itself, then with logins running all the while. */
async function measure(server, seconds) {
    const alone = await load(server, 1, seconds, CHAT);
    const running = load(server, 16, seconds + 2, LOGIN);
    await new Promise((resolve) => setTimeout(resolve, 1000)); // the logins are under way
    const beside = await load(server, 1, seconds, CHAT);
    return { alone, beside, logins: await running };
}

/* A chat that got no answer all the while waited for all of it, at least. */
const latency = ({ latency: { n, ...quantiles }, seconds }, quantile) => (n ? quantiles[quantile] : seconds * 1e6);

export async function run({ rounds, seconds }) {
    const contestants = {
        parley: await startCare(),
        bcryptjs: await startNode('logins.mjs'),
        scrypt: await startNode('logins.mjs', { env: { HASH: 'scrypt' } }),
    };
    const results = await interleave(rounds, contestants, (server) => measure(server, seconds));
    await Promise.all(Object.values(contestants).map((server) => server.stop()));

    const rows = [];
    const add = (what, unit, pick) => {
        const values = medianOf(results, pick);
        for (const [name, peerName] of [
            ['bcryptjs', 'Express, bcryptjs'],
            ['scrypt', "Express, Node's scrypt"],
        ]) {
            rows.push(row('o', what, values.parley, { unit, peer: values[name], peerName }));
        }
    };
    add('logins', 'logins/s', ({ logins }) => logins.per_second);
    add('a chat by itself, p50', 'us', ({ alone }) => latency(alone, 'p50_us'));
    add('a chat by itself, p99', 'us', ({ alone }) => latency(alone, 'p99_us'));
    add('a chat beside logins, p50', 'us', ({ beside }) => latency(beside, 'p50_us'));
    add('a chat beside logins, p99', 'us', ({ beside }) => latency(beside, 'p99_us'));
    return rows;
}
