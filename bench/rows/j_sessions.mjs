// (j) Memory of an idle Socket.IO session in user space: what 10,000, on WebSockets and connected to "/", add to the
// process.
import { memory, startNode, startParley } from '../support/process.mjs';
import { median, row } from '../support/rows.mjs';
import { holdSessions } from '../support/socketio.mjs';

async function bytesEach(server, sessions) {
    const warm = await holdSessions(server.port, 50);
    const before = await memory(server.pid);
    const holder = await holdSessions(server.port, sessions);
    const during = await memory(server.pid);
    await Promise.all([warm.stop(), holder.stop(), server.stop()]);
    return (during.anonymous - before.anonymous) / sessions;
}

export async function run({ rounds, sockets }) {
    const parley = [];
    const peer = [];
    for (let round = 0; round < Math.min(rounds, 3); round++) {
        parley.push(await bytesEach(await startParley(), sockets));
        peer.push(await bytesEach(await startNode('socketio.mjs'), sockets));
    }
    return [
        row('j', `memory per idle Socket.IO session, ${sockets.toLocaleString('en-US')} open`, median(parley), {
            unit: 'B',
            peer: median(peer),
            peerName: 'socket.io',
            goal: { atMost: 2048 },
            detail: { parley, peer },
        }),
    ];
}
