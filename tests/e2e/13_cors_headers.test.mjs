// CORS exactly as section 2 of the contract says, and the security headers.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { exchange, get, request } from './support/raw.mjs';
import { startServer } from './support/server.mjs';

const server = await startServer({ after }, { env: { FRONTEND_URL: 'https://a.example,https://b.example:8443' } });

const ALLOWED = [
    'http://localhost:5173',
    'http://localhost:3000',
    'http://localhost:8081',
    'http://127.0.0.1:4321',
    'https://aimcs.net',
    'https://aimcs-frontend-eastus2.azurewebsites.net',
    'https://a.example',
    'https://b.example:8443',
];
const DISALLOWED = [
    'https://evil.example',
    'http://localhost.evil.example',
    'https://aimcs.net.evil.example',
    'http://aimcs.net',
    'https://a.example:444',
    'http://localhost:5173.evil.example',
    'http://127.0.0.1.evil.example',
    'null',
];

for (const origin of ALLOWED) {
    test(`allowed: ${origin}`, async () => {
        const response = await exchange(server.port, get('/health', { Origin: origin }));
        assert.equal(response.headers['access-control-allow-origin'], origin);
        assert.equal(response.headers['access-control-allow-credentials'], 'true');
        assert.match(response.headers.vary, /\bOrigin\b/);
    });
}

for (const origin of DISALLOWED) {
    test(`not allowed: ${origin}`, async () => {
        const response = await exchange(server.port, get('/health', { Origin: origin }));
        assert.equal(response.status, 200, 'answered normally');
        assert.equal(response.headers['access-control-allow-origin'], undefined);
        assert.equal(response.headers['access-control-allow-credentials'], undefined);
        assert.match(response.headers.vary, /\bOrigin\b/);
    });
}

test('preflight: 204, methods, the headers asked for', async () => {
    const response = await exchange(
        server.port,
        request('OPTIONS', '/api/chat', {
            Origin: 'http://localhost:5173',
            'Access-Control-Request-Method': 'POST',
            'Access-Control-Request-Headers': 'cache-control,content-type',
        }),
    );
    assert.equal(response.status, 204);
    assert.equal(response.headers['access-control-allow-origin'], 'http://localhost:5173');
    assert.equal(response.headers['access-control-allow-credentials'], 'true');
    assert.equal(response.headers['access-control-allow-headers'], 'cache-control,content-type');
    const methods = response.headers['access-control-allow-methods'].split(/,\s*/);
    assert.deepEqual(methods.sort(), ['DELETE', 'GET', 'OPTIONS', 'PATCH', 'POST', 'PUT']);
    assert.match(response.headers.vary, /\bOrigin\b/);
});

test('preflight from elsewhere gives nothing away', async () => {
    const response = await exchange(
        server.port,
        request('OPTIONS', '/api/chat', {
            Origin: 'https://evil.example',
            'Access-Control-Request-Method': 'POST',
        }),
    );
    assert.equal(response.status, 204);
    assert.equal(response.headers['access-control-allow-origin'], undefined);
});

test('OPTIONS without an origin tells what is allowed', async () => {
    const response = await exchange(server.port, request('OPTIONS', '/api/chat'));
    assert.ok([200, 204].includes(response.status));
});

test('errors can be read by an allowed page too', async () => {
    const origin = 'http://localhost:5173';
    for (const path of ['/nothing', '/api/conversations/nope']) {
        const response = await exchange(server.port, get(path, { Origin: origin }));
        assert.equal(response.status, 404);
        assert.equal(response.headers['access-control-allow-origin'], origin);
    }
});

test('event streams carry the same headers', async () => {
    const created = await server.json('POST', '/api/conversations', { title: 'x' });
    const controller = new AbortController();
    const response = await server.fetch(`/api/conversations/${created.body.id}/events`, {
        headers: { origin: 'http://localhost:5173', accept: 'text/event-stream' },
        signal: controller.signal,
    });
    assert.equal(response.headers.get('access-control-allow-origin'), 'http://localhost:5173');
    controller.abort();
});

test('a list of origins in CORS_ORIGINS replaces nothing but adds', async (t) => {
    const wider = await startServer(t, { env: { CORS_ORIGINS: 'https://c.example' } });
    for (const origin of ['https://c.example', 'http://localhost:5173']) {
        const response = await exchange(wider.port, get('/health', { Origin: origin }));
        assert.equal(response.headers['access-control-allow-origin'], origin);
    }
});

test('security headers as helmet sets them, where they fit an API', async () => {
    for (const path of ['/health', '/nothing', '/api/conversations']) {
        const { headers } = await exchange(server.port, get(path));
        assert.equal(headers['x-content-type-options'], 'nosniff', path);
        assert.match(headers['x-frame-options'], /^(SAMEORIGIN|DENY)$/);
        assert.equal(headers['referrer-policy'], 'no-referrer');
        assert.equal(headers['cross-origin-resource-policy'], 'cross-origin');
        assert.equal(headers['x-powered-by'], undefined);
        assert.equal(headers['strict-transport-security'], undefined, 'not over plain HTTP');
    }
});
