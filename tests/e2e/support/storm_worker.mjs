// Some of the clients of a storm (94_socketio_storm.test.mjs), in a thread of their own: does as told, and reports.
import { parentPort, workerData } from 'node:worker_threads';
import { io } from 'socket.io-client';

const { url, websockets, pollers } = workerData;
const clients = [];

function open(transports) {
    const socket = io(`${url}/lab`, {
        transports,
        auth: { recovery: true },
        forceNew: true,
        reconnectionDelay: 50,
        reconnectionDelayMax: 1000,
        timeout: 60000,
    });
    const client = { socket, heard: [], lost: 0, recovered: 0, fresh: 0 };
    socket.on('cast', (number) => client.heard.push(number));
    socket.on('disconnect', () => client.lost++);
    socket.on('connect', () => (socket.recovered ? client.recovered++ : client.fresh++));
    clients.push(client);
    return new Promise((resolve) => socket.once('connect', resolve));
}

/** Asks again when the question, or its answer, was lost with a connection. */
async function ask({ socket }, ...args) {
    for (;;) {
        try {
            return await socket.timeout(60000).emitWithAck(...args);
        } catch {
            // the client says when it is disconnected
        }
    }
}

const commands = {
    async connect() {
        const opened = [];
        for (let i = 0; i < websockets + pollers; i++) {
            opened.push(open(i < websockets ? ['websocket'] : ['polling']));
            if (i % 50 === 49) {
                await opened.at(-1); // the listen queue is not what is measured
            }
        }
        await Promise.all(opened);
        await Promise.all(clients.map((client) => ask(client, 'join', 'all')));
    },
    /** Every client gets an answer, those that are lost once they are back; tells what all of them went through. */
    async check() {
        await Promise.all(clients.map((client) => ask(client, 'join', 'all')));
        const sum = (name) => clients.reduce((total, client) => total + client[name], 0);
        return {
            heard: [...new Set(clients.map(({ heard }) => heard.join()))],
            lost: sum('lost'),
            recovered: sum('recovered'),
            fresh: sum('fresh'),
        };
    },
    close() {
        clients.splice(0).forEach(({ socket }) => socket.close());
    },
};

parentPort.on('message', async (name) => parentPort.postMessage(await commands[name]()));
