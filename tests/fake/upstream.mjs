// Stand-in for an OpenAI-compatible and an Azure OpenAI service, on a port of its own.
//   const upstream = await startUpstream({ key: 'sk-test' });
//   upstream.next({ tokens: ['a', 'b'], delay: 5 });       // the next request only; several calls queue up
//   upstream.always = failures.server(500);                // when nothing is queued
//   const rq = await upstream.request(1);                  // the first request, once it is there
//   await rq.ended;                                        // -> { closedEarly }
// Run by itself it listens on $PORT (default 9099) and obeys the [[directives]] of the prompt (plan.mjs).
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { errorBody, planFor } from './plan.mjs';
import { completion, writeStream } from './stream.mjs';

export { failures, tokenize } from './plan.mjs';

const MODELS = ['gpt-4o', 'gpt-4', 'o4-mini'];

/** A promise and the call that resolves it: holds a stream at a point until the test lets it go on. */
export function gate() {
    let open;
    const promise = new Promise((resolve) => {
        open = resolve;
    });
    return { promise, open };
}

export class Upstream extends EventEmitter {
    constructor({ key = 'sk-test' } = {}) {
        super();
        this.setMaxListeners(0);
        this.key = key;
        this.requests = [];
        this.connections = 0;
        this.always = {};
        this.queue = [];
        this.server = http.createServer((req, res) => this.#handle(req, res));
        this.server.on('connection', () => {
            this.connections++;
        });
        this.server.keepAliveTimeout = 0;
    }

    async listen(port = 0) {
        this.server.listen(port, '127.0.0.1');
        await once(this.server, 'listening');
        this.port = this.server.address().port;
        return this;
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    /** Environment that points the server here. */
    get openaiEnv() {
        return { OPENAI_API_KEY: this.key, OPENAI_BASE_URL: `${this.url}/v1` };
    }

    get azureEnv() {
        return {
            AZURE_OPENAI_ENDPOINT: `${this.url}/`,
            AZURE_OPENAI_API_KEY: this.key,
            AZURE_OPENAI_DEPLOYMENT: 'o4-mini',
        };
    }

    next(plan) {
        this.queue.push(plan);
        return this;
    }

    /** The nth chat request (from 1), as soon as it is complete. */
    async request(n) {
        while (this.requests.length < n) {
            await once(this, 'request');
        }
        return this.requests[n - 1];
    }

    forget() {
        this.requests = [];
        this.queue = [];
        this.always = {};
    }

    async close() {
        this.server.close();
        this.server.closeAllConnections();
        await once(this.server, 'close');
    }

    async #handle(req, res) {
        const chunks = [];
        for await (const chunk of req) {
            chunks.push(chunk);
        }
        const raw = Buffer.concat(chunks).toString();
        const url = new URL(req.url, this.url);
        const request = {
            method: req.method,
            path: url.pathname,
            query: Object.fromEntries(url.searchParams),
            headers: req.headers,
            key: req.headers['api-key'] ?? req.headers.authorization?.replace(/^Bearer /, ''),
            raw,
            body: undefined,
            sent: 0,
            at: performance.now(),
        };
        request.ended = new Promise((resolve) => {
            res.on('close', () => {
                request.closedEarly = !res.writableFinished;
                resolve({ closedEarly: request.closedEarly });
            });
        });
        try {
            await this.#route(request, res);
        } catch (error) {
            if (!res.destroyed) {
                throw error;
            }
        }
    }

    async #route(request, res) {
        const chat =
            /^\/v1\/chat\/completions$|^\/openai\/v1\/chat\/completions$|^\/openai\/deployments\/([^/]+)\/chat\/completions$/.exec(
                request.path,
            );
        if (chat && request.method === 'POST') {
            request.deployment = chat[1];
            request.body = JSON.parse(request.raw);
            this.requests.push(request);
            const scripted = this.queue.shift() ?? this.always;
            this.emit('request', request);
            await this.#chat(request, res, typeof scripted === 'function' ? scripted(request) : scripted);
        } else if (/^\/(openai\/)?v1\/models$/.test(request.path)) {
            const data = MODELS.map((id) => ({ id, object: 'model', created: 1715367049, owned_by: 'system' }));
            this.#json(res, 200, JSON.stringify({ object: 'list', data }));
        } else {
            this.#json(res, 404, errorBody(`Invalid URL (${request.method} ${request.path})`, 'invalid_request_error', null));
        }
    }

    async #chat(request, res, scripted) {
        const azure = request.path.startsWith('/openai/');
        if (request.key !== this.key || (request.deployment && !request.query['api-version'])) {
            const message = azure
                ? 'Access denied due to invalid subscription key or wrong API endpoint.'
                : `Incorrect API key provided: ${request.key}.`;
            this.#json(res, 401, errorBody(message, 'invalid_request_error', azure ? '401' : 'invalid_api_key'));
            return;
        }
        const plan = planFor(request, { azure, ...scripted });
        request.plan = plan;
        if (plan.hang === 'connection') {
            return;
        }
        if (plan.first) {
            await sleep(plan.first);
        }
        if (plan.body !== null || plan.status !== 200) {
            this.#json(res, plan.status, plan.body ?? '', plan.headers);
        } else if (request.body.stream) {
            await writeStream(res, plan, request);
        } else {
            if (plan.holdAfter >= 0) {
                await plan.gate;
            }
            this.#json(res, 200, JSON.stringify(completion(plan, request)), plan.headers);
        }
    }

    #json(res, status, body, headers = {}) {
        res.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'req_fake', ...headers });
        res.end(body);
    }
}

export function startUpstream(options = {}) {
    return new Upstream(options).listen(options.port ?? 0);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
    const upstream = await startUpstream({ port: Number(process.env.PORT ?? 9099), key: process.env.KEY ?? 'sk-test' });
    console.log(`listening on ${upstream.url}, key ${upstream.key}`);
}
