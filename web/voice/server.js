// The way to the server: addresses, the API token, and a WebSocket that comes back.
const TOKEN_KEY = 'parley.token';
const DELAYS = [500, 1000, 2000, 4000, 8000, 15000]; // ms before the next attempt
const READY_WITHIN = 15000; // ms from the attempt to the server's first word
const BACKLOG = 2 ** 20; // bytes that the network does not take: it is gone, only nobody said so

/** Beside the page: also behind a proxy that serves it below a path of its own. */
const address = (path) => new URL(path, document.baseURI);

let kept = '';

export function getToken() {
    try {
        return sessionStorage.getItem(TOKEN_KEY) ?? kept;
    } catch {
        return kept;
    }
}

export function setToken(token) {
    kept = token;
    try {
        sessionStorage.setItem(TOKEN_KEY, token);
    } catch {
        // Storage is switched off: the token lasts as long as the page.
    }
}

/** "open", "token" when the server wants one or another, "gone" when it does not answer. */
async function askAccess(door) {
    const token = getToken();
    if (!/^[\x21-\x7e]*$/.test(token)) {
        return 'token'; // no header can carry it
    }
    try {
        const headers = token ? { Authorization: `Bearer ${token}` } : {};
        const response = await fetch(address('voice/access'), { headers, cache: 'no-store' });
        if (!response.ok) {
            return 'gone';
        }
        return (await response.json())[door] ? 'open' : 'token';
    } catch {
        return 'gone';
    }
}

/**
 * A connection that is kept. Calls onmessage(event), onup() when the server's first word came, ondown() when it is lost
 * and ontrouble({ kind, text, retryAt }): "gone" (another attempt follows), "token", "refused" (both are the end).
 */
export class Link {
    constructor({ door, path, isReady, ...handlers }) {
        Object.assign(this, { door, path, isReady }, handlers);
        this.attempt = 0;
        this.up = false;
        this.closed = false;
        this.connect = this.connect.bind(this);
        window.addEventListener('online', this.connect);
        this.connect();
    }

    async connect() {
        clearTimeout(this.timer);
        if (this.closed || this.socket || this.asking) {
            return;
        }
        this.asking = true;
        const access = await askAccess(this.door);
        this.asking = false;
        if (this.closed) {
            return;
        }
        if (access === 'open') {
            this.#open();
        } else if (access === 'token') {
            this.#fail('token', getToken() ? 'The server does not accept this token.' : '');
        } else {
            this.#again('The server does not answer.');
        }
    }

    #open() {
        const url = address(this.path);
        url.protocol = url.protocol.replace('http', 'ws');
        if (getToken()) {
            url.searchParams.set('token', getToken());
        }
        const socket = new WebSocket(url);
        this.socket = socket;
        this.said = '';
        this.timer = setTimeout(() => this.#lost(), READY_WITHIN);
        socket.onmessage = ({ data }) => this.#take(data);
        socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    }

    #take(data) {
        let event;
        try {
            event = JSON.parse(data);
        } catch {
            return;
        }
        if (!this.up && this.isReady(event)) {
            clearTimeout(this.timer);
            this.up = true;
            this.attempt = 0;
            this.onup(event);
        }
        if (!this.up && event.type === 'error') {
            this.said = event.error?.message ?? '';
        }
        this.onmessage(event);
    }

    #drop() {
        clearTimeout(this.timer);
        if (this.socket) {
            this.socket.onclose = this.socket.onmessage = null;
            this.socket.close(1000);
            this.socket = null;
        }
    }

    #lost(code = 1006, reason = '') {
        const wasUp = this.up;
        this.#drop();
        this.up = false;
        const final = !wasUp && code !== 1001 && code !== 1006 && code !== 1012 && code !== 1013;
        if (wasUp) {
            this.ondown();
        }
        if (final) {
            this.#fail('refused', this.said || reason || 'The server ended the connection.');
        } else {
            this.#again(wasUp ? 'The connection to the server is lost.' : 'The server does not answer.');
        }
    }

    #again(text) {
        const most = DELAYS[Math.min(this.attempt++, DELAYS.length - 1)];
        const delay = most * (0.75 + Math.random() / 2); // not all pages at the same moment
        this.timer = setTimeout(this.connect, delay);
        this.ontrouble({ kind: 'gone', text, retryAt: Date.now() + delay });
    }

    #fail(kind, text) {
        this.close();
        this.ontrouble({ kind, text });
    }

    send(event) {
        if (!this.up) {
            return;
        }
        if (this.socket.bufferedAmount > BACKLOG) {
            this.#lost();
            return;
        }
        this.socket.send(JSON.stringify(event));
    }

    close() {
        this.closed = true;
        this.up = false;
        window.removeEventListener('online', this.connect);
        this.#drop();
    }
}
