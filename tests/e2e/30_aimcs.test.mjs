// Dialect 000: HTTP echo and chat, the sockets /ws/audio and /.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { failures, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { ISO, assertError } from './support/shapes.mjs';
import { JsonSocket } from './support/socket.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const echo = await startServer({ after });
const model = await startServer({ after }, { env: { ...upstream.openaiEnv, UPSTREAM_RETRIES: '0' } });
const demo = await startServer({ after }, { env: { LLM_PROVIDER: 'demo' } });

test('GET /health', async () => {
    for (const [server, configured] of [
        [echo, false],
        [model, true],
    ]) {
        const { status, body } = await server.json('GET', '/health');
        assert.equal(status, 200);
        assert.equal(body.status, 'healthy');
        assert.equal(body.message, 'Server is running');
        assert.match(body.timestamp, ISO);
        assert.equal(typeof body.uptime, 'number');
        assert.ok(Number.isInteger(body.connections));
        assert.equal(body.version, '1.0.0');
        assert.equal(body.aiConfigured, configured);
        assert.equal(typeof body.speechConfigured, 'boolean');
        assert.equal(body.database, 'connected');
        assert.ok(['running', 'stopped'].includes(body.services.iot_hub));
    }
});

test('GET /api/status', async () => {
    const { status, body } = await echo.json('GET', '/api/status');
    assert.equal(status, 200);
    assert.equal(body.message, 'AIMCS Backend API is running');
    assert.match(body.timestamp, ISO);
    assert.ok(Number.isInteger(body.activeConnections));
    for (const endpoint of ['GET /health', 'GET /api/status', 'POST /api/chat', 'WS /ws/audio']) {
        assert.ok(body.endpoints.includes(endpoint), endpoint);
    }
});

test('activeConnections counts sockets', async () => {
    const count = async () => (await echo.json('GET', '/api/status')).body.activeConnections;
    const before = await count();
    const socket = await JsonSocket.open(`${echo.wsUrl}/ws/audio`);
    await socket.expect('connection');
    assert.equal(await count(), before + 1);
    await socket.close();
});

describe('POST /api/chat without a model', () => {
    test('echoes', async () => {
        const { status, body } = await echo.json('POST', '/api/chat', { message: 'Hi there', context: { a: 1 } });
        assert.equal(status, 200);
        assert.match(body.id, /^\d{13}$/);
        assert.equal(body.message, 'Echo: Hi there');
        assert.match(body.timestamp, ISO);
        assert.deepEqual(body.context, { a: 1 });
        assert.equal(body.aiUsed, false);
    });

    test('context is {} when absent', async () => {
        const { body } = await echo.json('POST', '/api/chat', { message: 'bare' });
        assert.equal(body.message, 'Echo: bare');
        assert.deepEqual(body.context, {});
    });

    test('a message is required', async () => {
        for (const message of ['', null, undefined, 5, {}]) {
            assertError(
                await echo.json('POST', '/api/chat', { message, context: {} }),
                400,
                'Message is required',
                'INVALID_REQUEST',
            );
        }
    });
});

test('POST /api/chat with a model answers with the reply as a string', async () => {
    upstream.forget();
    const { status, body } = await model.json('POST', '/api/chat', { message: 'Which tram?', context: { x: [1] } });
    assert.equal(status, 200);
    assert.match(body.id, /^\d{13}$/);
    assert.equal(body.message, 'You said: Which tram?');
    assert.equal(body.sender, 'Zimax AI');
    assert.equal(body.aiUsed, true);
    assert.equal(body.originalMessage, 'Which tram?');
    assert.deepEqual(body.context, { x: [1] });
    assert.ok(body.usage.total_tokens > 0);
    const sent = (await upstream.request(1)).body;
    assert.equal(sent.model, 'o4-mini');
    assert.equal(sent.messages[0].role, 'system');
    assert.equal(sent.messages.at(-1).content, 'Which tram?');
});

test('a failing model still answers 200 with the echo and the error', async () => {
    upstream.forget();
    upstream.next(failures.server(500));
    const { status, body } = await model.json('POST', '/api/chat', { message: 'Hi', context: {} });
    assert.equal(status, 200);
    assert.equal(body.message, 'Echo (AI failed): Hi');
    assert.equal(body.aiUsed, false);
    assert.equal(typeof body.error, 'string');
});

test('an empty reply says so', async () => {
    const { body } = await model.json('POST', '/api/chat', { message: '[[empty]] Hi', context: {} });
    assert.equal(body.message, 'No response from AI');
});

test('LLM_PROVIDER=demo answers from the embedded responder', async () => {
    const { body } = await demo.json('POST', '/api/chat', { message: 'Hello', context: {} });
    assert.equal(body.aiUsed, true);
    assert.ok(body.message.length > 0);
    assert.doesNotMatch(body.message, /^Echo:/);
    const again = await demo.json('POST', '/api/chat', { message: 'Hello', context: {} });
    assert.equal(again.body.message, body.message, 'deterministic');
});

for (const path of ['/ws/audio', '/']) {
    describe(`socket ${path}`, () => {
        const open = async (t, server = echo) => {
            const socket = await JsonSocket.open(server.wsUrl + path);
            t.after(() => socket.close());
            const hello = await socket.expect('connection');
            assert.equal(hello.message, 'WebSocket connected successfully');
            assert.match(hello.connectionId, /^\d{13}/);
            assert.match(hello.timestamp, ISO);
            assert.equal(hello.aiConfigured, server !== echo);
            return socket;
        };

        test('test, ping', async (t) => {
            const socket = await open(t);
            const answer = await socket.ask(
                { type: 'test', message: 'ping?', timestamp: new Date().toISOString() },
                'test_response',
            );
            assert.equal(answer.message, 'Test message received successfully');
            assert.equal(answer.originalMessage, 'ping?');
            assert.match(answer.timestamp, ISO);
            assert.match((await socket.ask({ type: 'ping' }, 'pong')).timestamp, ISO);
        });

        test('audio frames are acknowledged with their size', async (t) => {
            const socket = await open(t);
            const data = Buffer.alloc(600, 7).toString('base64');
            const answer = await socket.ask({ type: 'audio', data, timestamp: '' }, 'audio_received');
            assert.equal(answer.message, 'Audio data received');
            assert.equal(answer.dataSize, data.length);
            assert.equal((await socket.ask({ type: 'audio' }, 'audio_received')).dataSize, 0);
        });

        test('chat without a model', async (t) => {
            const socket = await open(t);
            const answer = await socket.ask({ type: 'chat', message: 'Hello' }, 'chat_response');
            assert.equal(answer.message, 'Echo: Hello');
            assert.equal(answer.aiUsed, false);
            assert.match(answer.timestamp, ISO);
            const error = await socket.ask({ type: 'chat', message: '' }, 'error');
            assert.equal(error.message, 'Chat message is required');
        });

        test('chat with a model', async (t) => {
            const socket = await open(t, model);
            const answer = await socket.ask({ type: 'chat', message: 'Hello' }, 'chat_response');
            assert.equal(answer.message, 'You said: Hello');
            assert.equal(answer.aiUsed, true);
            assert.equal(answer.originalMessage, 'Hello');
            const failed = await socket.ask({ type: 'chat', message: '[[status=500]] Hello' }, 'chat_response');
            assert.equal(failed.message, 'Echo (AI failed): [[status=500]] Hello');
            assert.equal(failed.aiUsed, false);
            assert.equal(typeof failed.error, 'string');
        });

        test('text_message', async (t) => {
            const plain = await open(t);
            const echoed = await plain.ask({ type: 'text_message', text: 'Hi' }, 'text_response');
            assert.equal(echoed.message, 'Echo: Hi');
            assert.equal(echoed.aiUsed, false);
            assert.equal((await plain.ask({ type: 'text_message' }, 'error')).message, 'Text is required');
            const socket = await open(t, model);
            const answer = await socket.ask({ type: 'text_message', text: 'Hi', context: { k: 1 } }, 'text_response');
            assert.match(answer.id, /^\d{13}$/);
            assert.equal(answer.message, 'You said: Hi');
            assert.equal(answer.aiUsed, true);
            assert.equal(answer.originalMessage, 'Hi');
            assert.deepEqual(answer.context, { k: 1 });
            assert.ok(answer.usage);
        });

        test('messages of one socket are answered in order, sockets do not wait for each other', async (t) => {
            const socket = await open(t, model);
            const other = await open(t, model);
            socket.send({ type: 'chat', message: '[[delay=20]] one two three' });
            socket.send({ type: 'chat', message: 'second' });
            await other.ask({ type: 'chat', message: 'elsewhere' }, 'chat_response');
            assert.match((await socket.expect('chat_response')).message, /one two three/);
            assert.match((await socket.expect('chat_response')).message, /second/);
        });

        test('unknown and missing types', async (t) => {
            const socket = await open(t);
            const unknown = await socket.ask({ type: 'dance' }, 'echo');
            assert.equal(unknown.originalType, 'dance');
            assert.equal(unknown.message, 'Unknown message type received');
            const missing = await socket.ask({ hello: 1 }, 'echo');
            assert.equal(missing.originalType, undefined);
        });

        test('what is no JSON is told, the socket stays open', async (t) => {
            const socket = await open(t);
            for (const text of ['nope', 'null', '', '{"type":', '{"type":"ping"}}']) {
                const error = await socket.ask(text, 'error');
                assert.equal(error.message, 'Failed to process message');
                assert.equal(typeof error.error, 'string');
                assert.match(error.timestamp, ISO);
            }
            await socket.ask({ type: 'ping' }, 'pong');
        });
    });
}

test('paths of the sibling back end', async () => {
    const root = await echo.json('GET', '/api');
    assert.equal(root.body.version, '1.0.0');
    assert.deepEqual(Object.keys(root.body.endpoints).sort(), ['chat', 'health', 'models', 'test']);
    const check = await echo.json('GET', '/api/test');
    assert.equal(typeof check.body.message, 'string');
    assert.match(check.body.timestamp, ISO);
    assert.equal(check.body.environment, 'development');
    const models = await model.json('GET', '/api/models');
    assert.ok(Array.isArray(models.body.models));
    for (const entry of models.body.models) {
        assert.deepEqual(Object.keys(entry).sort(), ['id', 'name', 'provider', 'status']);
    }
});
