// Between a client and a MongoDB server: understands the commands that pass (OP_MSG), and does to those a test picks what
// networks and services do.
//   const proxy = await startMongoProxy(t, engine.port);
//   proxy.next('insert', answer(throttled(8)));     // the next insert only; several calls queue up
//   proxy.next('update', cutAfter);                 // the server has done it, nobody is told
//   proxy.next('insert', someFail([2], 16500));     // the others of the documents come in
//   proxy.commands                                  // names and documents of what came
import { once } from 'node:events';
import net from 'node:net';
import { BSON } from 'mongodb';

const OP_MSG = 2013;
const RAW = { promoteValues: false, promoteLongs: false };

/** Splits what comes into whole messages. */
function messages(onMessage) {
    let pending = Buffer.alloc(0);
    return (chunk) => {
        pending = pending.length ? Buffer.concat([pending, chunk]) : chunk;
        while (pending.length >= 4 && pending.length >= pending.readInt32LE(0)) {
            const size = pending.readInt32LE(0);
            onMessage(pending.subarray(0, size));
            pending = pending.subarray(size);
        }
    };
}

/** The command's document, with the lists that may travel in sections of their own put into it; null: no command. */
function read(message) {
    if (message.readInt32LE(12) !== OP_MSG) {
        return null;
    }
    let body = {};
    const lists = {};
    for (let at = 20; at < message.length; ) {
        const size = message.readInt32LE(at + 1);
        if (message[at] === 0) {
            body = BSON.deserialize(message.subarray(at + 1, at + 1 + size), RAW);
        } else {
            const end = at + 1 + size;
            const zero = message.indexOf(0, at + 5);
            const items = (lists[message.toString('latin1', at + 5, zero)] = []);
            for (let item = zero + 1; item < end; item += message.readInt32LE(item)) {
                items.push(BSON.deserialize(message.subarray(item, item + message.readInt32LE(item)), RAW));
            }
        }
        at += 1 + size;
    }
    return { ...body, ...lists };
}

function frame(document, requestId, responseTo) {
    const body = BSON.serialize(document);
    const head = Buffer.alloc(21);
    head.writeInt32LE(21 + body.length, 0);
    head.writeInt32LE(requestId, 4);
    head.writeInt32LE(responseTo, 8);
    head.writeInt32LE(OP_MSG, 12);
    return Buffer.concat([head, body]);
}

/* What can be done to a command: forward() sends it on and gives the reply; reply(document) answers; cut() breaks. */
export const answer = (document) => ({ reply }) => reply(document);
export const cut = ({ breakOff }) => breakOff();
export const cutAfter = async ({ command, forward, breakOff }) => {
    await forward(command);
    breakOff();
};
/** Some documents of an insert fail; the others go in. */
export const someFail =
    (indexes, code, errmsg = throttled(1).errmsg) =>
    async ({ command, forward, reply }) => {
        const documents = command.documents.filter((_, i) => !indexes.includes(i));
        const done = documents.length ? await forward({ ...command, documents }) : { n: 0, ok: 1 };
        reply({ ...done, writeErrors: indexes.map((index) => ({ index, code, errmsg })) });
    };
/** As Cosmos DB says that it has too much to do; the older form names no time. */
export const throttled = (ms) => ({
    ok: 0,
    code: 16500,
    codeName: 'TooManyRequests',
    errmsg:
        ms === undefined
            ? 'Message: {"Errors":["Request rate is large"]}'
            : `Error=16500, RetryAfterMs=${ms}, Details='Response status code does not indicate success: TooManyRequests (429)'`,
});
export const failure = (code, codeName, errmsg) => ({ ok: 0, code, codeName, errmsg });

class MongoProxy {
    constructor(port) {
        this.target = port;
        this.commands = [];
        this.plans = [];
        this.sockets = new Set();
        this.server = net.createServer((client) => this.#join(client));
    }

    get port() {
        return this.server.address().port;
    }

    uri(database = '') {
        return `mongodb://127.0.0.1:${this.port}/${database}`;
    }

    /** For the next command of this name, or the next that test(command) accepts. */
    next(which, action) {
        const test = typeof which === 'string' ? (command) => which in command : which;
        return new Promise((resolve) => this.plans.push({ test, action, resolve }));
    }

    cutAll() {
        this.sockets.forEach((socket) => socket.destroy());
    }

    #join(client) {
        const upstream = net.connect(this.target, '127.0.0.1');
        const waiting = new Map(); // request id -> who wants the reply, where it is not the client
        let requests = 1 << 30;
        const breakOff = () => [client, upstream].forEach((socket) => socket.destroy());
        for (const socket of [client, upstream]) {
            this.sockets.add(socket);
            socket.setNoDelay(true);
            socket.on('error', () => {});
            socket.on('close', () => {
                this.sockets.delete(socket);
                breakOff();
            });
        }
        const act = (message, command, plan) => {
            const requestId = message.readInt32LE(4);
            const forward = (document) =>
                new Promise((resolve) => {
                    waiting.set(++requests, resolve);
                    upstream.write(frame(document, requests, 0));
                });
            const reply = (document) => client.write(frame(document, ++requests, requestId));
            Promise.resolve(plan.action({ command, forward, reply, breakOff })).then(() => plan.resolve(command));
        };
        client.on(
            'data',
            messages((message) => {
                const command = read(message);
                const plan = command && this.plans.find(({ test }) => test(command));
                if (command) {
                    this.commands.push({ name: Object.keys(command)[0], command });
                }
                if (!plan) {
                    upstream.write(message);
                    return;
                }
                this.plans.splice(this.plans.indexOf(plan), 1);
                act(message, command, plan);
            }),
        );
        upstream.on(
            'data',
            messages((message) => {
                const resolve = waiting.get(message.readInt32LE(8));
                if (resolve) {
                    waiting.delete(message.readInt32LE(8));
                    resolve(read(message));
                } else {
                    client.write(message);
                }
            }),
        );
    }

    close() {
        this.cutAll();
        this.server.close();
    }
}

export async function startMongoProxy(t, port) {
    const proxy = new MongoProxy(port);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    t.after(() => proxy.close());
    return proxy;
}
