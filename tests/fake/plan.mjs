// What the stand-in upstream does with one request: a plan, from a script (API) or from [[directives]] in the prompt.

/** @typedef {object} Plan
 * @property {string[]} tokens          pieces of the reply, one chunk each
 * @property {number} first             ms before the first byte
 * @property {number} delay             ms between tokens
 * @property {number} split             bytes per write; 0: whole events
 * @property {string} eol               line end of the event stream
 * @property {boolean} comments         comment lines between events
 * @property {boolean} done             whether [DONE] ends the stream
 * @property {number} errorAfter        tokens before an error event; -1: none
 * @property {number} cutAfter          tokens before the connection is cut; -1: none
 * @property {number} holdAfter         tokens before waiting for `gate`; -1: never
 * @property {Promise<void>|null} gate
 * @property {string} hang              "" | "connection" (no byte at all) | "headers" (head only)
 * @property {number} status            of the answer
 * @property {object} headers           more response headers
 * @property {string|null} body         whole answer instead of a reply
 * @property {object[]|null} toolCalls  [{id,name,arguments}], streamed interleaved
 * @property {boolean} azure            first chunk without choices, filter results
 * @property {string} finish            finish_reason
 */

const DEFAULTS = {
    tokens: null,
    first: 0,
    delay: 0,
    split: 0,
    eol: '\n',
    comments: false,
    done: true,
    errorAfter: -1,
    cutAfter: -1,
    holdAfter: -1,
    gate: null,
    hang: '',
    status: 200,
    headers: {},
    body: null,
    toolCalls: null,
    azure: false,
    finish: 'stop',
};

/** Words with the space that follows them, so that joining gives the text again. */
export function tokenize(text) {
    return text.match(/\S+\s*|\s+/g) ?? [];
}

export function errorBody(message, type, code, param = null) {
    return JSON.stringify({ error: { message, type, param, code } });
}

export const failures = {
    rateLimited: (headers = {}) => ({
        status: 429,
        headers,
        body: errorBody('Rate limit reached. Please try again in 1s.', 'requests', 'rate_limit_exceeded'),
    }),
    quota: () => ({
        status: 429,
        body: errorBody('You exceeded your current quota.', 'insufficient_quota', 'insufficient_quota'),
    }),
    server: (status = 500) => ({
        status,
        body: errorBody('The server had an error while processing your request', 'server_error', null),
    }),
    html: (status = 502) => ({
        status,
        headers: { 'content-type': 'text/html' },
        body: '<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>',
    }),
    badKey: (key) => ({
        status: 401,
        body: errorBody(`Incorrect API key provided: ${key}.`, 'invalid_request_error', 'invalid_api_key'),
    }),
    badRequest: (message = 'This model does not support that.') => ({
        status: 400,
        body: errorBody(message, 'invalid_request_error', 'unsupported_parameter', 'temperature'),
    }),
};

const number = (name) => (value) => ({ [name]: value === '' ? 0 : Number(value) });
const DIRECTIVES = {
    delay: number('delay'),
    first: number('first'),
    split: (value) => ({ split: value === '' ? 1 : Number(value) }),
    error: number('errorAfter'),
    cut: number('cutAfter'),
    crlf: () => ({ eol: '\r\n' }),
    comments: () => ({ comments: true }),
    nodone: () => ({ done: false }),
    hang: (value) => ({ hang: value || 'connection' }),
    words: (value) => ({ tokens: Array.from({ length: Number(value) }, (_, i) => `word${i + 1} `) }),
    huge: (value) => ({ tokens: ['x'.repeat(Number(value))] }),
    empty: () => ({ tokens: [] }),
    status: (value) => failures.server(Number(value)),
    html: (value) => failures.html(value === '' ? 502 : Number(value)),
    quota: () => failures.quota(),
    limited: (value) => failures.rateLimited(value === '' ? {} : { 'retry-after': value }),
    badkey: (_, request) => failures.badKey(request.key),
    filtered: () => ({ finish: 'content_filter', azure: true }),
    tools: () => ({
        finish: 'tool_calls',
        toolCalls: [
            { id: 'call_1', name: 'get_weather', arguments: '{"city":"Zürich"}' },
            { id: 'call_2', name: 'get_time', arguments: '{"zone":"Europe/Zurich"}' },
        ],
    }),
};

function lastUserText(body) {
    const last = [...(body?.messages ?? [])].reverse().find((m) => m?.role === 'user');
    if (Array.isArray(last?.content)) {
        return last.content.map((part) => part.text ?? '').join('');
    }
    return last?.content ?? '';
}

/** The plan for a request: directives of its last user message, then what the script says, over the defaults. */
export function planFor(request, scripted) {
    const text = lastUserText(request.body);
    const plan = { ...DEFAULTS };
    const plain = text.replace(/\[\[([a-z]+)(?:=([^\]]*))?\]\]\s*/g, (whole, name, value = '') => {
        if (!DIRECTIVES[name]) {
            return whole;
        }
        Object.assign(plan, DIRECTIVES[name](value, request));
        return '';
    });
    Object.assign(plan, scripted);
    if (typeof plan.text === 'string') {
        plan.tokens = tokenize(plan.text);
    }
    plan.tokens ??= tokenize(`You said: ${plain}`);
    return plan;
}
