// A MongoDB engine behind a TCP (or TLS) port of 127.0.0.1, in a process of its own (support/mongo.mjs starts it):
//   node engine.mjs <module> <data folder> <port> [certificate key]
// Prints its port as one line when it listens; ends with SIGTERM or when its standard input ends.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import tls from 'node:tls';

const OP_REPLY = 1;
const OP_MSG = 2013;
const [module, folder, port, certificate, key] = process.argv.slice(2);
const { Engine } = createRequire(import.meta.url)(module);
const engine = await Engine.open(folder);
let replies = 0;

/** The frame of a reply: a message of one document, or the older shape, in which a handshake may be asked. */
function frame({ requestId, legacy, response }) {
    const head = Buffer.alloc(legacy ? 36 : 21);
    head.writeInt32LE(head.length + response.length, 0);
    head.writeInt32LE(++replies, 4);
    head.writeInt32LE(requestId, 8);
    head.writeInt32LE(legacy ? OP_REPLY : OP_MSG, 12);
    if (legacy) {
        head.writeInt32LE(1, 32);
    }
    return Buffer.concat([head, response]);
}

/* {ok: 1.0} */
const OK = Buffer.from([17, 0, 0, 0, 1, 0x6f, 0x6b, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0]);

/** The engine has no sessions, and dies of being told that some ended. */
function isEndOfSessions(message) {
    const name = 16 + 4 + 1 + 4 + 1; // header, flags, kind, the document's length, its first element's type
    return message.readInt32LE(12) === OP_MSG && message.toString('latin1', name, name + 12) === 'endSessions\0';
}

function roundTrip(message) {
    if (isEndOfSessions(message)) {
        return { requestId: message.readInt32LE(4), moreToCome: false, legacy: false, response: OK };
    }
    return engine.roundTrip(message);
}

function serve(socket) {
    let pending = [];
    let length = 0;
    let answers = Promise.resolve();
    socket.on('error', () => {});
    const answer = async (message) => {
        const reply = await roundTrip(message);
        if (!reply.moreToCome && !socket.destroyed) {
            socket.write(frame(reply));
        }
    };
    socket.on('data', (chunk) => {
        pending.push(chunk);
        length += chunk.length;
        if (length < 4) {
            return;
        }
        if (pending[0].length < 4) {
            pending = [Buffer.concat(pending)];
        }
        while (length >= 4 && length >= pending[0].readInt32LE(0)) {
            const all = pending.length === 1 ? pending[0] : Buffer.concat(pending);
            const size = all.readInt32LE(0);
            const message = all.subarray(0, size);
            answers = answers.then(() => answer(message)).catch(() => socket.destroy());
            pending = size < all.length ? [all.subarray(size)] : [];
            length -= size;
            if (length > 0 && length < 4) {
                break;
            }
        }
    });
}

const onConnection = (socket) => {
    socket.setNoDelay?.(true);
    serve(socket);
};
const secure = certificate && { cert: readFileSync(certificate), key: readFileSync(key) };
const server = secure ? tls.createServer(secure, onConnection) : net.createServer(onConnection);
server.on('tlsClientError', () => {});
server.listen(Number(port), '127.0.0.1', () => console.log(server.address().port));

async function end() {
    await engine.close();
    process.exit(0);
}
process.once('SIGTERM', end);
process.once('SIGINT', () => {}); // the terminal's; whoever started this one ends it
process.stdin.once('end', end).resume();
