// A TCP proxy whose connections a test can cut, or let go silent, at any moment.
import { once } from 'node:events';
import net from 'node:net';

export class TcpProxy {
    constructor(port) {
        this.target = port;
        this.pairs = new Set();
        this.sockets = new Set(); // also of pairs that are over at one end
        this.accepted = 0;
        this.server = net.createServer((client) => this.#join(client));
    }

    static async to(t, port) {
        const proxy = new TcpProxy(port);
        proxy.server.listen(0, '127.0.0.1');
        await once(proxy.server, 'listening');
        t.after(() => proxy.close());
        return proxy;
    }

    get url() {
        return `http://127.0.0.1:${this.server.address().port}`;
    }

    #join(client) {
        const upstream = net.connect(this.target, '127.0.0.1');
        const pair = { client, upstream, silent: false };
        this.accepted++;
        this.pairs.add(pair);
        const relay = (from, to) => {
            this.sockets.add(from);
            from.on('data', (bytes) => pair.silent || to.write(bytes));
            from.on('end', () => pair.silent || to.end());
            from.on('error', () => {});
            from.on('close', () => {
                this.pairs.delete(pair);
                this.sockets.delete(from);
                if (!pair.silent) {
                    to.destroy();
                }
            });
            from.setNoDelay(true);
        };
        relay(client, upstream);
        relay(upstream, client);
    }

    /** Breaks these connections, all by default: both ends get a reset or an end at once. */
    cut(pairs = [...this.pairs]) {
        for (const socket of pairs.flatMap(({ client, upstream }) => [client, upstream])) {
            // Node cannot reset what is ending already, and then never lets go of it
            socket.writableEnded ? socket.destroy() : socket.resetAndDestroy();
        }
        return pairs.length;
    }

    /** Nothing passes any more, and neither end is told. */
    silence(pairs = [...this.pairs]) {
        pairs.forEach((pair) => (pair.silent = true));
    }

    close() {
        this.sockets.forEach((socket) => socket.destroy());
        this.server.close();
    }
}
