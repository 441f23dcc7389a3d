// (d) Memory of an idle WebSocket in user space: what 10,000 of them add to the process.
import { holdIdle, memory, startNode, startParley } from '../support/process.mjs';
import { median, row } from '../support/rows.mjs';

async function bytesEach(server, sockets) {
    const warm = await holdIdle(server.port, 50, '/ws/audio');
    const before = await memory(server.pid);
    const holder = await holdIdle(server.port, sockets, '/ws/audio');
    const during = await memory(server.pid);
    await Promise.all([warm.stop(), holder.stop(), server.stop()]);
    return (during.anonymous - before.anonymous) / sockets;
}

export async function run({ rounds, sockets }) {
    const parley = [];
    const ws = [];
    for (let round = 0; round < Math.min(rounds, 3); round++) {
        parley.push(await bytesEach(await startParley({ WS_PING_INTERVAL: '0' }), sockets));
        ws.push(await bytesEach(await startNode('ws_echo.mjs'), sockets));
    }
    return [
        row('d', `memory per idle WebSocket, ${sockets.toLocaleString('en-US')} open`, median(parley), {
            unit: 'B',
            peer: median(ws),
            peerName: 'npm ws',
            goal: { atMost: 1024 },
        }),
    ];
}
