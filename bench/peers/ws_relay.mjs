// The relay of realtime voice on npm ws: a socket to the service for each socket of a client, messages passed both ways.
// UPSTREAM: the service's URL. Prints {"port":N}.
import WebSocket, { WebSocketServer } from 'ws';

const options = { perMessageDeflate: false };
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', backlog: 4096, ...options });

server.on('connection', (client) => {
    const upstream = new WebSocket(process.env.UPSTREAM, { ...options, headers: { Authorization: 'Bearer sk-bench' } });
    const early = [];
    client.on('message', (data, binary) => {
        if (upstream.readyState === WebSocket.OPEN) {
            upstream.send(data, { binary });
        } else {
            early.push([data, { binary }]);
        }
    });
    upstream.on('open', () => early.splice(0).forEach(([data, kind]) => upstream.send(data, kind)));
    upstream.on('message', (data, binary) => client.send(data, { binary }));
    client.on('close', () => upstream.close());
    upstream.on('close', () => client.close());
    client.on('error', () => upstream.terminate());
    upstream.on('error', () => client.terminate());
});

server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
