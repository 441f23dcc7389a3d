// A real browser: the official client's bundle, served by the server itself, in two tabs of one conversation.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';

const CLIENT = fileURLToPath(new URL('../node_modules/socket.io-client/dist', import.meta.url));
const FLAGS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
];
const TOKENS = Array.from({ length: 40 }, (_, i) => `word${i} `);

async function launch(t) {
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: FLAGS,
    });
    t.after(() => browser.close());
    return browser;
}

/** Serves one page from an origin of its own, as a front end's development server does. */
async function pageServer(t, html) {
    const server = http.createServer((_, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end(html));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    return `http://127.0.0.1:${server.address().port}/`;
}

async function openTab(browser, url) {
    const page = await browser.newPage();
    page.problems = [];
    page.on('pageerror', (error) => page.problems.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
    await page.goto(url);
    return page;
}

const PAGE = (origin, file, type, options) => `<!doctype html><link rel="icon" href="data:,">
<script ${type} src="${origin}/socket.io/${file}"></script>
<script type="module">
${file.includes('esm') ? `import { io } from '${origin}/socket.io/${file}';` : ''}
const seen = (window.seen = []);
const socket = (window.socket = io('${origin}', ${JSON.stringify(options)}));
socket.onAny((...event) => seen.push(event));
socket.on('connect', () => { window.ready = true; });
</script>`;

for (const [name, file, options] of [
    ['polling, then WebSocket', 'socket.io.js', {}],
    ['polling only', 'socket.io.min.js', { transports: ['polling'] }],
    ['WebSocket only', 'socket.io.esm.min.js', { transports: ['websocket'] }],
]) {
    test(`two tabs follow one conversation: ${name}`, async (t) => {
        const upstream = await startUpstream();
        t.after(() => upstream.close());
        upstream.always = { tokens: TOKENS, delay: 3 };
        const server = await startServer(t, { env: { ...upstream.openaiEnv, SOCKETIO_CLIENT: CLIENT } });
        const browser = await launch(t);
        const url = await pageServer(t, PAGE(server.url, file, file.includes('esm') ? 'type="module"' : '', options));
        const tabs = [await openTab(browser, url), await openTab(browser, url)];
        for (const tab of tabs) {
            await tab.waitForFunction(() => window.ready);
        }
        await tabs[1].evaluate(() => window.socket.emitWithAck('join_conversation', 'tabs'));
        await tabs[0].evaluate(() => window.socket.emit('stream_chat', { message: 'Hello', conversationId: 'tabs' }));
        const told = [];
        for (const tab of tabs) {
            await tab.waitForFunction(() => window.seen.some(([event]) => event === 'stream_complete'));
            told.push(await tab.evaluate(() => window.seen));
        }
        for (const seen of told) {
            const last = seen.filter(([event]) => event === 'stream_chunk').at(-1)[1];
            assert.equal(last.content, TOKENS.join(''));
            assert.equal(last.isComplete, true);
        }
        assert.deepEqual(told[1].at(-1), told[0].at(-1));
        const transport = await tabs[0].evaluate(() => window.socket.io.engine.transport.name);
        assert.equal(transport, options.transports?.[0] === 'polling' ? 'polling' : 'websocket');
        assert.deepEqual(tabs.flatMap(({ problems }) => problems), []);
    });
}

test("the README's page streams a reply", async (t) => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
    const html = /```html\n([\s\S]*?)```/.exec(readme)[1];
    assert.ok(html.trim().split('\n').length <= 15, 'it is at most 15 lines');
    const server = await startServer(t, { env: { LLM_PROVIDER: 'demo', SOCKETIO_CLIENT: CLIENT } });
    const browser = await launch(t);
    const url = await pageServer(t, html.replaceAll('http://127.0.0.1:8080', server.url).replaceAll('http://localhost:8080', server.url));
    const page = await openTab(browser, url);
    await page.locator('input').fill('What can you do?');
    await page.locator('input').press('Enter');
    await page.waitForFunction(() => document.body.innerText.length > 80);
    assert.deepEqual(page.problems, []);
});

test('the bundle is served with its map, validators and a clear answer when it is not installed', async (t) => {
    const server = await startServer(t, { env: { SOCKETIO_CLIENT: CLIENT } });
    for (const file of ['socket.io.js', 'socket.io.min.js', 'socket.io.esm.min.js', 'socket.io.min.js.map']) {
        const response = await fetch(`${server.url}/socket.io/${file}`);
        assert.equal(response.status, 200);
        assert.match(response.headers.get('content-type'), file.endsWith('.map') ? /json/ : /javascript/);
        assert.equal(await response.text(), await readFile(`${CLIENT}/${file}`, 'utf8'));
        const again = await fetch(`${server.url}/socket.io/${file}`, {
            headers: { 'If-None-Match': response.headers.get('etag') },
        });
        assert.equal(again.status, 304);
    }
    const without = await startServer(t, { env: { SOCKETIO_CLIENT: '/nonexistent' } });
    const missing = await fetch(`${without.url}/socket.io/socket.io.js`);
    assert.equal(missing.status, 404);
    assert.match(await missing.text(), /SOCKETIO_CLIENT/);
});
