// Official Socket.IO clients for tests: awaited events, and a record of everything that came.
import { once } from 'node:events';
import { io } from 'socket.io-client';

/** A connected client that records its events in `seen` ([name, ...args]) and is closed with the test. */
export async function connect(t, url, options = {}) {
    const socket = record(io(url, { transports: ['websocket'], reconnection: false, forceNew: true, ...options }));
    t.after(() => socket.close());
    await new Promise((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('connect_error', reject);
    });
    return socket;
}

export function record(socket) {
    socket.seen = [];
    socket.waiting = new Set();
    socket.onAny((...event) => {
        socket.seen.push(event);
        socket.waiting.forEach((check) => check());
    });
    return socket;
}

/** The arguments of every event of this name so far. */
export const all = (socket, name) => socket.seen.filter(([event]) => event === name).map(([, ...args]) => args);

/** Waits until test(events so far) is truthy and returns what it returned. */
export function until(socket, test) {
    return new Promise((resolve) => {
        const check = () => {
            const result = test(socket.seen);
            if (result) {
                socket.waiting.delete(check);
                resolve(result);
            }
        };
        socket.waiting.add(check);
        check();
    });
}

/** The first argument of the nth event of this name (from 1), as soon as it is there. */
export const nth = (socket, name, n = 1) => until(socket, () => all(socket, name)[n - 1]).then(([first]) => first);

export const disconnected = (socket) => once(socket, 'disconnect').then(([reason]) => reason);
