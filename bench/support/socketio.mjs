// What the Socket.IO rows share: the two servers, and rows with npm socket.io beside parley.
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, program, LOAD_CORE, runJson, start, startBare, startNode, startParley } from './process.mjs';
import { interleave, medianOf, row } from './rows.mjs';

// Which namespaces the conformance mode has, the peer knows too; the heartbeats are those of ordinary use.
const CONFORMANCE = { CONFORMANCE: 'true', SOCKETIO_PING_INTERVAL: '25s', SOCKETIO_PING_TIMEOUT: '20s' };

/** parley and the peer, with the chat of seeds/002. */
export const startChat = async (env = {}) => ({
    parley: await startParley(env),
    peer: await startNode('socketio.mjs', { env }),
});

/** The two with echo and rooms, and the bare loop, which knows these over WebSockets. */
export const startLab = async () => ({
    ...(await startChat(CONFORMANCE)),
    bare: await startBare(),
});

/** Until the server has done what earlier rounds left behind, such as closing their connections. */
async function settled({ pid }) {
    for (let before = -1, now = 0, tries = 0; before !== now && tries < 50; tries++) {
        before = now;
        await sleep(100);
        now = await cpuSeconds(pid);
    }
}

/** Measures all servers in turn with the load generator: { parley: [results of the rounds], peer: […] }. */
export function compare(rounds, servers, args) {
    return interleave(rounds, servers, async ({ pid, port }, name) => {
        await Promise.all(Object.values(servers).map(settled));
        const result = await runJson('socketio_bench', [...args, '--port', port, '--pid', pid]);
        if (result.errors > 0) {
            throw new Error(`${args[0]}: ${result.errors} wrong answers from ${name}`);
        }
        return result;
    });
}

/** A row of the figure that pick finds in the results of compare; besideBare: with the bare loop as the peer. */
export function beside(group, what, results, pick, options) {
    const { parley, peer } = medianOf(results, pick);
    return row(group, what, parley, { peer, peerName: 'socket.io', ...options });
}
export const besideBare = (group, what, { parley, bare }, pick, options) =>
    beside(group, what, { parley, peer: bare }, pick, { peerName: 'bare epoll', ...options });

/** Holds n idle sessions, each connected to "/": { stop() }. */
export const holdSessions = (port, n) =>
    start([program('socketio_bench'), 'idle', '--port', port, '--clients', n].map(String), {
        core: LOAD_CORE,
        ready: (output) => output.includes('"open"'),
    });

export const stopAll = (servers) => Promise.all(Object.values(servers).map((server) => server.stop()));
