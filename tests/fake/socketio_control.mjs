// The original Socket.IO server, offering what parley offers in its conformance mode (src/api/conformance.h): tests of
// the protocol are run against both, so that a wrong test is found. As a program: node socketio_control.mjs PORT
// SETTINGS; they are JSON. It ends with its standard input.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Server } from 'socket.io';

// A dependency of socket.io, which npm may place beside or below it.
const { Server: EngineServer } = createRequire(import.meta.resolve('socket.io'))('engine.io');

const SELF = fileURLToPath(import.meta.url);

const DEFAULTS = {
    pingInterval: 25000,
    pingTimeout: 20000,
    upgradeTimeout: 10000,
    connectTimeout: 45000,
    maxPayload: 1000000,
    allowEio3: true,
    compression: false,
    cookie: undefined,
    recovery: 0,
};

function engineOptions(settings) {
    return {
        pingInterval: settings.pingInterval,
        pingTimeout: settings.pingTimeout,
        upgradeTimeout: settings.upgradeTimeout,
        maxHttpBufferSize: settings.maxPayload,
        allowEIO3: settings.allowEio3,
        httpCompression: settings.compression,
        cookie: settings.cookie && { name: settings.cookie },
        cors: { origin: true, credentials: true },
        destroyUpgrade: false, // two engines share the HTTP server
    };
}

/** At a distance, for suites that take one message per turn of their loop. */
const greet = (socket) => setTimeout(() => socket.emit('auth', socket.handshake.auth), 10);

function mainNamespace(io) {
    io.of('/').on('connection', (socket) => {
        greet(socket);
        socket.on('message', (...args) => socket.emit('message-back', ...args));
        socket.on('message-with-ack', (...args) => {
            if (typeof args.at(-1) === 'function') {
                args.pop()(...args);
            }
        });
    });
    io.of('/custom').on('connection', greet);
}

function labNamespace(io) {
    const lab = io.of('/lab');
    lab.use((socket, next) => {
        const { refuse } = socket.handshake.auth;
        const refusal = Object.assign(new Error(refuse), { data: { code: 'UNAUTHORIZED' } });
        next(typeof refuse === 'string' ? refusal : undefined);
    });
    const acknowledge = (ack) => (typeof ack === 'function' ? ack() : undefined);
    lab.on('connection', (socket) => {
        const rows = {
            join: (room, ack) => (socket.join(room), acknowledge(ack)),
            leave: (room, ack) => (socket.leave(room), acknowledge(ack)),
            bye: (close) => socket.disconnect(close === true),
        };
        for (const [name, row] of Object.entries(rows)) {
            socket.on(name, row);
        }
        const cast = (from, room, args) => {
            const ack = typeof args.at(-1) === 'function' ? args.pop() : undefined;
            from.to(room).emit('cast', ...args);
            acknowledge(ack);
        };
        socket.on('broadcast', (room, ...args) => cast(socket, room, args));
        socket.on('shout', (room, ...args) => cast(lab, room, args));
        socket.on('emit-volatile', (n, arg) => {
            for (let i = 0; i < n; i++) {
                socket.volatile.emit('volatile', i, arg);
            }
        });
        socket.on('ask', (ms, ...args) => {
            const asked = ms > 0 ? socket.timeout(ms) : socket;
            const answered = (error, answer) => socket.emit('answered', { ok: !error, args: error ? [] : answer });
            asked.emit('question', ...args, (...all) => {
                const error = ms > 0 ? all.shift() : null;
                answered(error, all);
            });
        });
    });
}

async function serve(settings, port) {
    const all = { ...DEFAULTS, ...settings };
    const httpServer = http.createServer((request, response) => response.writeHead(404).end());
    const io = new Server(httpServer, {
        ...engineOptions(all),
        connectTimeout: all.connectTimeout,
        serveClient: false,
        ...(all.recovery > 0 ? { connectionStateRecovery: { maxDisconnectionDuration: all.recovery } } : {}),
    });
    mainNamespace(io);
    labNamespace(io);
    const engine = new EngineServer(engineOptions(all));
    engine.attach(httpServer, { path: '/engine.io/', destroyUpgrade: false });
    engine.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    httpServer.listen(port, '127.0.0.1');
    await once(httpServer, 'listening');
    console.log(httpServer.address().port);
}

/** Starts it as a process of its own, on a free port. Settings as DEFAULTS. */
export async function startControl(settings = {}) {
    const args = [SELF, '0', JSON.stringify(settings)];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const ended = once(child, 'close');
    const [port] = await Promise.race([
        once(child.stdout, 'data'),
        ended.then(() => Promise.reject(new Error('the control ended before it listened'))),
    ]);
    return {
        port: Number(port),
        async close() {
            child.kill('SIGKILL');
            await ended;
        },
    };
}

if (process.argv[1] === SELF) {
    process.stdin.on('end', () => process.exit()).resume(); // its parent is gone
    await serve(JSON.parse(process.argv[3] ?? '{}'), Number(process.argv[2] ?? 0));
}
