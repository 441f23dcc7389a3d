// For those who run it: liveness, readiness, metrics, OpenAPI, logs.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { JsonSocket } from './support/socket.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const server = await startServer({ after }, { env: upstream.openaiEnv });

/** Strict reading of the Prometheus text format: { families, samples }. */
function parseMetrics(text) {
    assert.ok(text.endsWith('\n'));
    const families = new Map();
    const samples = [];
    const seen = new Set();
    for (const line of text.split('\n').slice(0, -1)) {
        const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
        if (comment) {
            const [, kind, name, rest] = comment;
            const family = families.get(name) ?? {};
            assert.equal(family[kind], undefined, `${kind} of ${name} twice`);
            family[kind] = rest;
            families.set(name, family);
            continue;
        }
        const sample =
            /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (-?[0-9.eE+-]+|NaN|[+-]Inf)$/.exec(
                line,
            );
        assert.ok(sample, `not a sample: ${line}`);
        const [, name, labels = '', value] = sample;
        assert.ok(!seen.has(name + labels), `${name}${labels} twice`);
        seen.add(name + labels);
        const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
        assert.ok(family?.TYPE, `${name} has no TYPE`);
        samples.push({ name, labels, value: Number(value.replace('Inf', 'Infinity')) });
    }
    return { families, samples };
}

const metrics = async () => {
    const response = await server.json('GET', '/metrics');
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    return parseMetrics(response.text);
};
const sum = ({ samples }, pattern) =>
    samples.filter((s) => pattern.test(s.name + s.labels)).reduce((total, s) => total + s.value, 0);

test('live and ready', async () => {
    for (const path of ['/health/live', '/health/ready']) {
        const { status, body } = await server.json('GET', path);
        assert.equal(status, 200);
        assert.equal(typeof body.status, 'string');
    }
});

test('/metrics is valid and counts what happens', async () => {
    const before = await metrics();
    const socket = await JsonSocket.open(`${server.wsUrl}/ws/audio`);
    await socket.expect('connection');
    const during = await metrics();
    await server.json('POST', '/api/chat', { message: 'count me', conversationId: null });
    await socket.close();
    const afterwards = await metrics();
    assert.ok(sum(afterwards, /^http_server_request_duration_seconds_count/) > sum(before, /^http_server_request_duration_seconds_count/));
    assert.ok(sum(afterwards, /turns.*total/) > sum(before, /turns.*total/));
    assert.ok(sum(afterwards, /tokens.*total/) > sum(before, /tokens.*total/));
    assert.ok(sum(afterwards, /upstream.*total/) > sum(before, /upstream.*total/));
    assert.ok(sum(during, /connections.*websocket/) > sum(before, /connections.*websocket/));
    assert.ok(sum(afterwards, /store.*_count/) > 0, 'store latency');
    assert.ok(sum(afterwards, /(resident|memory).*bytes/) > 1000000);
});

test('histograms are cumulative and end in +Inf', async () => {
    const { families, samples } = await metrics();
    const histograms = [...families].filter(([, family]) => family.TYPE === 'histogram').map(([name]) => name);
    assert.ok(histograms.length > 0);
    for (const name of histograms) {
        const rows = new Map();
        for (const sample of samples.filter((s) => s.name === `${name}_bucket`)) {
            const rest = sample.labels.replace(/,?le="[^"]*"/, '').replace('{,', '{').replace('{}', '');
            rows.set(rest, [...(rows.get(rest) ?? []), sample]);
        }
        for (const [labels, row] of rows) {
            row.slice(1).forEach((sample, i) => assert.ok(sample.value >= row[i].value, name));
            assert.match(row.at(-1).labels, /le="\+Inf"/);
            const count = samples.find((s) => s.name === `${name}_count` && s.labels === labels);
            assert.equal(count?.value, row.at(-1).value, `${name}_count${labels}`);
        }
    }
});

test('METRICS=false takes them away', async (t) => {
    const without = await startServer(t, { env: { METRICS: 'false' } });
    assert.equal((await without.json('GET', '/metrics')).status, 404);
});

test('/openapi.json is OpenAPI 3.1 and lists what is served', async () => {
    const { status, body } = await server.json('GET', '/openapi.json');
    assert.equal(status, 200);
    assert.match(body.openapi, /^3\.1\./);
    assert.equal(typeof body.info.title, 'string');
    assert.equal(typeof body.info.version, 'string');
    const routes = Object.entries(body.paths).flatMap(([path, item]) =>
        Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    for (const route of [
        'GET /',
        'GET /health',
        'GET /health/live',
        'GET /health/ready',
        'GET /metrics',
        'GET /openapi.json',
        'GET /api/health',
        'GET /api/status',
        'POST /api/chat',
        'GET /api/conversations',
        'POST /api/conversations',
        'GET /api/conversations/{id}',
        'PUT /api/conversations/{id}',
        'DELETE /api/conversations/{id}',
        'GET /api/conversations/{id}/events',
        'POST /api/conversations/{id}/cancel',
        'POST /v1/chat/completions',
        'GET /v1/models',
    ]) {
        assert.ok(routes.includes(route), `${route} is missing`);
    }
});

test('every route of /openapi.json is served: never 404 with "Endpoint not found", never 405', async () => {
    const { body } = await server.json('GET', '/openapi.json');
    for (const [path, item] of Object.entries(body.paths)) {
        for (const method of Object.keys(item)) {
            const controller = new AbortController();
            const response = await server.fetch(path.replace(/\{[^}]+\}/g, 'some-id'), {
                method: method.toUpperCase(),
                signal: controller.signal,
            });
            const stream = response.headers.get('content-type')?.startsWith('text/event-stream');
            const text = stream ? '' : await response.text();
            controller.abort();
            assert.notEqual(response.status, 405, `${method} ${path}`);
            assert.doesNotMatch(text, /Endpoint not found/, `${method} ${path}`);
        }
    }
});

test('every operation is described', async () => {
    const { body } = await server.json('GET', '/openapi.json');
    const ids = new Set();
    for (const [path, item] of Object.entries(body.paths)) {
        for (const [method, operation] of Object.entries(item)) {
            assert.ok(operation.summary, `${method} ${path} has no summary`);
            assert.ok(Object.keys(operation.responses).length > 0, `${method} ${path} has no responses`);
            for (const name of path.match(/\{[^}]+\}/g) ?? []) {
                const parameters = [...(operation.parameters ?? []), ...(item.parameters ?? [])];
                assert.ok(
                    parameters.some((p) => `{${p.name}}` === name && p.in === 'path'),
                    `${name} of ${path} is not described`,
                );
            }
            if (operation.operationId) {
                assert.ok(!ids.has(operation.operationId), operation.operationId);
                ids.add(operation.operationId);
            }
        }
    }
});

test('the access log has one line per request, without query secrets', async (t) => {
    const logging = await startServer(t, { env: { ENVIRONMENT: 'test', THREADS: '1', ACCESS_LOG: 'combined', API_TOKEN: 'token-in-the-query' } });
    await logging.json('GET', '/health?token=token-in-the-query', undefined, { 'user-agent': 'probe "quoted"/1' });
    await logging.json('GET', '/nothing', undefined, { authorization: 'Bearer token-in-the-query' });
    const socket = await JsonSocket.open(`${logging.wsUrl}/ws?token=token-in-the-query`);
    await socket.close();
    logging.child.kill('SIGTERM');
    await logging.exited;
    const lines = logging.stdout.trim().split('\n');
    const pattern = /^\S+ \S+ \S+ \[[^\]]+\] "GET (\S+) HTTP\/1\.1" (\d{3}) (\d+|-) "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"/;
    const parsed = lines.map((line) => pattern.exec(line));
    assert.ok(parsed.every(Boolean), logging.stdout);
    assert.deepEqual(
        parsed.map((match) => match[2]),
        ['200', '404', '101'],
    );
    assert.doesNotMatch(logging.stdout + logging.stderr, /token-in-the-query/);
});

test('JSON logs are one object a line, with the request id', async (t) => {
    const logging = await startServer(t, { env: { ENVIRONMENT: 'test', ACCESS_LOG: 'json', LOG_FORMAT: 'json', LOG_LEVEL: 'debug' } });
    await logging.json('GET', '/nothing', undefined, { 'x-request-id': 'request-0815' });
    logging.child.kill('SIGTERM');
    await logging.exited;
    const access = logging.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
    assert.ok(access.some((line) => JSON.stringify(line).includes('request-0815')));
    for (const line of logging.stderr.trim().split('\n')) {
        const entry = JSON.parse(line);
        assert.equal(typeof entry.event, 'string');
    }
});

test('message texts are not logged above debug', async (t) => {
    const logging = await startServer(t, { env: { LLM_PROVIDER: 'demo' } });
    await logging.json('POST', '/api/chat', { message: 'very-private-words', conversationId: null });
    assert.doesNotMatch(logging.stderr + logging.stdout, /very-private-words/);
});
