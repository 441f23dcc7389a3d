// The socket of 000 on npm ws: a greeting, then a pong for every ping. Prints {"port":N}.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', backlog: 4096, perMessageDeflate: false });

server.on('connection', (ws) => {
    ws.send(
        JSON.stringify({
            type: 'connection',
            message: 'WebSocket connected successfully',
            connectionId: Date.now().toString(),
            timestamp: new Date().toISOString(),
        }),
    );
    ws.on('message', (data) => {
        const message = JSON.parse(data);
        if (message.type === 'ping') {
            ws.send(JSON.stringify({ type: 'pong', timestamp: new Date().toISOString() }));
        }
    });
});

server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
