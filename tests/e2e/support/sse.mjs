// A follower of server-sent events over fetch: events queue up and are taken one by one.
import assert from 'node:assert/strict';

/** Parses the text of a finished stream into [{ id, event, data, comment }]. */
export function parseEvents(text) {
    return text
        .split(/\r?\n\r?\n/)
        .filter((block) => block !== '')
        .map((block) => {
            const event = { event: 'message' };
            const data = [];
            for (const line of block.split(/\r?\n/)) {
                const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
                if (name === '') {
                    event.comment = value;
                } else if (name === 'data') {
                    data.push(value);
                } else {
                    event[name] = value;
                }
            }
            if (data.length > 0) {
                event.data = data.join('\n');
            }
            return event;
        });
}

export class EventStream {
    static async open(url, { lastEventId, ...options } = {}) {
        const stream = new EventStream();
        stream.controller = new AbortController();
        stream.response = await fetch(url, {
            ...options,
            headers: {
                accept: 'text/event-stream',
                ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
                ...options.headers,
            },
            signal: stream.controller.signal,
        });
        assert.equal(stream.response.status, 200);
        assert.match(stream.response.headers.get('content-type'), /^text\/event-stream/);
        stream.reader = stream.response.body.getReader();
        stream.decoder = new TextDecoder();
        stream.pending = '';
        stream.events = [];
        stream.comments = 0;
        stream.lastEventId = lastEventId;
        return stream;
    }

    async #read() {
        const { done, value } = await this.reader.read();
        if (done) {
            return false;
        }
        this.pending += this.decoder.decode(value, { stream: true });
        const end = this.pending.lastIndexOf('\n\n');
        if (end >= 0) {
            for (const event of parseEvents(this.pending.slice(0, end + 2))) {
                if (event.data === undefined) {
                    this.comments++;
                } else {
                    this.events.push({ ...event, data: JSON.parse(event.data) });
                }
            }
            this.pending = this.pending.slice(end + 2);
        }
        return true;
    }

    /** The next event with data; undefined at the end of the stream. */
    async next() {
        while (this.events.length === 0) {
            if (!(await this.#read())) {
                return undefined;
            }
        }
        const event = this.events.shift();
        if (event.id !== undefined) {
            this.lastEventId = event.id;
        }
        return event;
    }

    async expect(name) {
        const event = await this.next();
        assert.equal(event?.event, name, JSON.stringify(event));
        return event;
    }

    /** Events up to and with the first of this name. */
    async until(name) {
        const all = [];
        for (;;) {
            const event = await this.next();
            assert.ok(event, `stream ended before ${name}: ${JSON.stringify(all)}`);
            all.push(event);
            if (event.event === name) {
                return all;
            }
        }
    }

    /** Waits for a heartbeat. */
    async comment() {
        const before = this.comments;
        while (this.comments === before) {
            assert.ok(await this.#read(), 'stream ended');
        }
    }

    close() {
        this.controller.abort();
    }
}
