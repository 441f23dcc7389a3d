// (p) A user with 10,000 conversations: the list of the 50 newest, and one of them. The newest have seven messages, older
// ones two. The peer is Express, which answers the same JSON from memory: a bound for what a database behind Node can
// reach.
import { runJson, startNode, startParley } from '../support/process.mjs';
import { interleave, medianOf, row } from '../support/rows.mjs';

const AT_ONCE = 32;
const NEWEST = 100; // with turns
const TURNS = ['How do I return a broken lamp?', 'Thank you, that was a great help!', 'One more thing: when do you open?'];
const ENV = { CARE_SPEECH: 'false', PASSWORD_COST: '4' };

async function ask(origin, method, path, token, body) {
    const response = await fetch(origin + path, {
        method,
        headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
        body: body && JSON.stringify(body),
    });
    if (!response.ok) {
        throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    }
    return response.json();
}

async function inParallel(n, one) {
    let left = n;
    const worker = async () => {
        while (left-- > 0) {
            await one();
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/* Through the doors: what is measured is what turns left behind. */
async function fill(origin, token, conversations) {
    const start = () => ask(origin, 'POST', '/api/conversations', token, { isCallSimulator: true });
    const say = (id, content, role) => ask(origin, 'POST', `/api/conversations/${id}/messages`, token, { content, role });
    await inParallel(conversations - NEWEST, async () => say((await start())._id, 'Are you still there?', 'assistant'));
    await inParallel(NEWEST, async () => {
        const { _id } = await start();
        for (const content of TURNS) {
            await say(_id, content, 'user');
        }
    });
}

export async function run({ rounds, seconds, conversations }) {
    const parley = await startParley(ENV);
    const origin = `http://127.0.0.1:${parley.port}`;
    const form = { name: 'Bench', email: 'bench@example.com', password: 'Secret123' };
    const { token } = await ask(origin, 'POST', '/api/auth/register', undefined, form);
    await fill(origin, token, conversations);
    const page = await ask(origin, 'GET', '/api/conversations?limit=50', token);
    const peer = await startNode('care_lists.mjs');
    await ask(`http://127.0.0.1:${peer.port}`, 'PUT', '/documents', undefined, page);

    const count = conversations.toLocaleString('en-US');
    const what = { [`50 newest of ${count}`]: '?limit=50', [`one of ${count}`]: `/${page[25]._id}` };
    const rows = [];
    for (const [name, path] of Object.entries(what)) {
        for (const connections of [1, 16]) {
            const results = await interleave(rounds, { parley, peer }, async ({ port }) => {
                const load = ['--port', port, '--connections', connections, '--seconds', seconds, '--token', token];
                const result = await runJson('load_bench', ['http', ...load, '--path', `/api/conversations${path}`]);
                if (result.errors > 0) {
                    throw new Error(`${name}: ${result.errors} answers were not 200`);
                }
                return result;
            });
            const add = (label, unit, pick, goal = {}) => {
                const { parley: figure, peer: other } = medianOf(results, pick);
                rows.push(row('p', `${name}${label}`, figure, { unit, peer: other, peerName: 'Express, from memory', goal }));
            };
            if (connections === 1) {
                add(': p50', 'us', (r) => r.latency.p50_us, path.startsWith('?') ? { atMost: 2000 } : {});
                add(': p99', 'us', (r) => r.latency.p99_us);
            } else {
                add(`, ${connections} connections`, '1/s', (r) => r.per_second);
            }
        }
    }
    await Promise.all([parley.stop(), peer.stop()]);
    return rows;
}
