// What was said, by both sides, in order.
const HISTORY = 40; // messages told to a server that begins anew

export class Messages {
    constructor(view) {
        this.view = view;
        this.all = new Map(); // id: { id, role, text, final, interrupted, unsent }
    }

    has(id) {
        return this.all.has(id);
    }

    put(id, { append = '', ...change }) {
        const message = this.all.get(id) ?? { id, role: 'assistant', text: '', final: false, interrupted: false };
        Object.assign(message, change);
        message.text += append;
        this.all.set(id, message);
        this.view.onmessage(message);
    }

    remove(id) {
        if (this.all.delete(id)) {
            this.view.onremove(id);
        }
    }

    /** One that was typed, to be sent. */
    type(text) {
        const random = crypto.getRandomValues(new Uint8Array(12));
        const id = `item_${Array.from(random, (x) => x.toString(16).padStart(2, '0')).join('')}`;
        this.put(id, { role: 'user', text, unsent: true });
        return this.all.get(id);
    }

    unsent() {
        return [...this.all.values()].filter(({ unsent }) => unsent);
    }

    known() {
        return [...this.all.values()].filter(({ final, text }) => final && text).slice(-HISTORY);
    }

    /** Nothing more comes for what is not complete. */
    seal() {
        for (const { id, role, text, final, unsent } of [...this.all.values()]) {
            if (!final && !unsent && text) {
                this.put(id, { final: true, interrupted: role === 'assistant' });
            } else if (!final && !unsent) {
                this.remove(id);
            }
        }
    }

    dropEmptyReplies() {
        for (const { id, role, text } of [...this.all.values()]) {
            if (role === 'assistant' && !text) {
                this.remove(id);
            }
        }
    }
}
