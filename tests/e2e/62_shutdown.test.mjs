// SIGTERM: what runs may end, sockets are told, the exit code is 0.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { RawClient, get, request } from './support/raw.mjs';
import { startServer } from './support/server.mjs';
import { EventStream } from './support/sse.mjs';
import { JsonSocket } from './support/socket.mjs';

for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal}: every socket is closed 1000 "Server shutting down", exit code 0`, async (t) => {
        const server = await startServer(t, { env: { THREADS: '2' } });
        const sockets = await Promise.all(
            ['/ws', '/ws/audio', '/', '/ws', '/ws/audio'].map((path) => JsonSocket.open(server.wsUrl + path)),
        );
        server.child.kill(signal);
        for (const socket of sockets) {
            assert.deepEqual(await socket.closed, { code: 1000, reason: 'Server shutting down' });
        }
        const { code } = await server.exited;
        assert.equal(code, 0);
    });
}

test('idle connections are closed, new ones refused', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const server = await startServer(t, { env: { ...upstream.openaiEnv, THREADS: '1' } });
    const idle = await RawClient.connect(server.port);
    await idle.request(get('/health'));
    const hold = gate();
    upstream.next({ text: 'x', holdAfter: 0, gate: hold.promise });
    const running = server.json('POST', '/api/chat', { message: 'x', context: {} });
    await upstream.request(1);
    server.child.kill('SIGTERM');
    await idle.closed();
    await assert.rejects(RawClient.connect(server.port));
    hold.open();
    assert.equal((await running).body.message, 'x');
    assert.equal((await server.exited).code, 0);
});

test('a running reply is finished and stored', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const server = await startServer(t, { env: upstream.openaiEnv });
    const hold = gate();
    upstream.next({ text: 'one two three', holdAfter: 1, gate: hold.promise });
    const pending = server.json('POST', '/api/chat', { message: 'x', conversationId: null });
    await upstream.request(1);
    server.child.kill('SIGTERM');
    hold.open();
    const { body } = await pending;
    assert.equal(body.message.content, 'one two three');
    assert.equal((await server.exited).code, 0);
    await server.start();
    const { messages } = (await server.json('GET', `/api/conversations/${body.conversation.id}`)).body;
    assert.deepEqual(messages[1], body.message);
});

test('what takes longer than DRAIN_TIMEOUT is cut and stored as interrupted', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const server = await startServer(t, { env: { ...upstream.openaiEnv, DRAIN_TIMEOUT: '300ms' } });
    const { id } = (await server.json('POST', '/api/conversations', { title: 'x' })).body;
    const hold = gate();
    upstream.next({ text: 'one two three', holdAfter: 2, gate: hold.promise });
    const stream = await EventStream.open(`${server.url}/api/conversations/${id}/events`);
    server.json('POST', '/api/chat', { message: 'x', conversationId: id }).catch(() => {});
    await stream.until('delta');
    await stream.expect('delta');
    server.child.kill('SIGTERM');
    assert.equal((await server.exited).code, 0);
    stream.close();
    hold.open();
    await server.start();
    const { messages } = (await server.json('GET', `/api/conversations/${id}`)).body;
    assert.equal(messages[1].content, 'one two ');
    assert.equal(messages[1].status, 'interrupted');
});

test('while draining: not ready, and no new turns', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const server = await startServer(t, { env: upstream.openaiEnv });
    const busy = await RawClient.connect(server.port);
    const hold = gate();
    upstream.next({ text: 'x', holdAfter: 0, gate: hold.promise });
    const body = JSON.stringify({ message: 'x', context: {} });
    const first = request('POST', '/api/chat', { 'Content-Length': body.length }, body);
    await busy.write(first);
    await upstream.request(1);
    server.child.kill('SIGTERM');
    await server.logged(/event=(drain|draining|stopping|shutdown)\S*/);
    await busy.write(get('/health/ready'));
    hold.open();
    assert.equal((await busy.response()).status, 200);
    const ready = await busy.response().catch(() => null);
    assert.ok(ready === null || ready.status === 503);
    assert.equal((await server.exited).code, 0);
});

test('followers of events are let go, so that the end is not held up', async (t) => {
    const server = await startServer(t);
    const { id } = (await server.json('POST', '/api/conversations', { title: 'x' })).body;
    const stream = await EventStream.open(`${server.url}/api/conversations/${id}/events`);
    await stream.expect('reset');
    const started = performance.now();
    server.child.kill('SIGTERM');
    assert.equal(await stream.next().catch(() => undefined), undefined);
    assert.equal((await server.exited).code, 0);
    assert.ok(performance.now() - started < 9000, 'well before DRAIN_TIMEOUT');
});
