// Both stand-ins for OpenAI behind one address, as the service itself is: chat (upstream.mjs) and speech (speech.mjs). The
// model knows what it is asked in customer care: a reply, a sentiment, a title.
//   const openai = await startOpenai();
//   openai.care({ reply: 'Of course.', sentiment: 'urgent' });
import { once } from 'node:events';
import http from 'node:http';
import { Upstream } from './upstream.mjs';
import { startSpeech } from './speech.mjs';

/** What a request of customer care asks for: "reply", "sentiment" or "title". */
export function questionOf(request) {
    const { messages } = request.body;
    const system = messages.filter(({ role }) => role === 'system').map(({ content }) => content).join('\n');
    if (/positive/.test(system) && /negative/.test(system) && /urgent/.test(system) && /neutral/.test(system)) {
        return 'sentiment';
    }
    return /\btitle\b/i.test(system) ? 'title' : 'reply';
}

export class Openai {
    async start() {
        this.upstream = await new Upstream().listen();
        this.speech = await startSpeech();
        this.server = http.createServer((req, res) => {
            const to = /\/audio\//.test(req.url) ? this.speech : this.upstream;
            to.server.emit('request', req, res);
        });
        this.server.listen(0, '127.0.0.1');
        await once(this.server, 'listening');
        this.port = this.server.address().port;
        this.key = this.upstream.key;
        return this;
    }

    get env() {
        return {
            OPENAI_API_KEY: this.key,
            OPENAI_BASE_URL: `http://127.0.0.1:${this.port}/v1`,
            UPSTREAM_RETRIES: '0',
            UPSTREAM_BREAKER_FAILURES: '0',
        };
    }

    /** Plans, or texts, by what is asked. */
    care({ reply = 'Of course.', sentiment = 'neutral', title = 'A question about an order' } = {}) {
        const plans = { reply, sentiment, title };
        this.upstream.always = (request) => {
            const plan = plans[questionOf(request)];
            const made = typeof plan === 'function' ? plan(request) : plan;
            return typeof made === 'string' ? { tokens: [made] } : made;
        };
        return this;
    }

    /** Requests so far that asked for this. */
    asked(question) {
        return this.upstream.requests.filter((request) => questionOf(request) === question);
    }

    async close() {
        this.server.close();
        this.server.closeAllConnections();
        await once(this.server, 'close');
        await this.upstream.close();
        await this.speech.close();
    }
}

export async function startOpenai(t) {
    const openai = await new Openai().start();
    t?.after(() => openai.close());
    return openai;
}
