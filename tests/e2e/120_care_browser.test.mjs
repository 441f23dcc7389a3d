// Customer care in a real browser: a page of another origin that asks as the front end does, and plays what it is told.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { startOpenai } from '../fake/openai.mjs';
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
    '--disable-audio-output',
    '--autoplay-policy=no-user-gesture-required',
    '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream',
];
const PATIENCE = 120_000;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
after(() => browser.close());

/** The page, served by an address of its own, as a front end's development server does. */
async function open(t, api) {
    const html = (await readFile(new URL('./support/care_page.html', import.meta.url), 'utf8')).replaceAll('%API%', api);
    const server = http.createServer((_, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end(html));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const page = await browser.newPage();
    t.after(() => page.close());
    page.setDefaultTimeout(PATIENCE);
    page.problems = [];
    page.on('pageerror', (error) => page.problems.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
    await page.goto(`http://localhost:${server.address().port}/`);
    await page.waitForFunction(() => window.socket?.connected);
    return page;
}

const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
const line = (page, text) => page.getByRole('listitem').filter({ hasText: text }).first().waitFor();
/** What was played so far, once there are n. */
const played = async (page, n) => {
    await page.waitForFunction((count) => window.played.length >= count, n);
    return page.evaluate(() => window.played);
};

async function enter(page, name, email) {
    await page.getByPlaceholder('Name').fill(name);
    await page.getByPlaceholder('E-mail').fill(email);
    await page.getByPlaceholder('Password').fill('Sunny4day');
    await press(page, 'Register');
    await page.getByText(`${name[0]} ${name}`).waitFor();
}

const settings = [
    ['without a key', async () => ({})],
    ['with OpenAI', async (t) => (await startOpenai(t)).care({ reply: 'You can return it within 60 days.' }).env],
];
for (const [name, setting] of settings) {
    test(`from registering to the figures, ${name}`, async (t) => {
        const server = await startServer(t, { env: { ...(await setting(t)), SOCKETIO_CLIENT: CLIENT } });
        const page = await open(t, server.url);
        await enter(page, 'Ada Bell', 'ada@example.com');
        await press(page, 'Register');
        await page.getByRole('alert').filter({ hasText: 'User already exists with this email' }).waitFor();
        await press(page, 'Build an agent');
        await line(page, 'Nora (Be brief.)');
        await press(page, 'Rename the agent');
        await line(page, 'Wanda (Be brief.)');
        await press(page, 'Call the agent');
        await line(page, "assistant: Hi, I'm Wanda. How can I help you today?");
        await played(page, 1);
        await page.getByPlaceholder('Say something').fill('Can I return a lamp?');
        await press(page, 'Send');
        await line(page, /assistant: .*60 days/);
        await played(page, 2);
        await page.waitForFunction(() => document.getElementById('typing').textContent === '');
        await press(page, 'Record');
        await line(page, /recorded: \/audio\//);
        const sounds = await played(page, 3);
        assert.deepEqual(sounds.map(({ failed }) => failed), [undefined, undefined, undefined]);
        assert.deepEqual(sounds.map(({ url }) => url.replace(/\/audio\/.*/, '/audio/')), ['data', 'data', '/audio/']);
        assert.ok(sounds.every(({ seconds }) => seconds > 0.2), JSON.stringify(sounds));
        await press(page, 'End the call');
        await line(page, 'ended: completed');
        await press(page, 'Conversations');
        await page.getByText('1 calls, 5 messages,').waitFor();
        const row = await page.getByRole('table').innerText();
        assert.match(row, / \| \d+\/\d+\/\d+ \| \d+ \| (POSITIVE|NEUTRAL|NEGATIVE|URGENT) \| 5$/);
        // The refusal of the second registration is the one thing the browser complains of.
        assert.deepEqual(page.problems.filter((text) => !/status of 400/.test(text)), []);
    });
}

test('the simulator, and what the page shows when it is refused', async (t) => {
    const server = await startServer(t, { env: { SOCKETIO_CLIENT: CLIENT } });
    const page = await open(t, server.url);
    await enter(page, 'Bo', 'bo@example.com');
    await page.evaluate(() => window.socket.emit('start_conversation', { userId: '65f0c0ffee65f0c0ffee0001', isCallSimulator: true }));
    await page.getByRole('alert').filter({ hasText: 'Failed to start conversation: User not found' }).waitFor();
    await press(page, 'Call the simulator');
    await line(page, /assistant: .*Sigma/);
    await page.getByPlaceholder('Say something').fill('How do I start?');
    await press(page, 'Send');
    await page.waitForFunction(() => document.querySelectorAll('#talk li').length === 3);
    const sounds = await played(page, 2);
    assert.ok(sounds.every(({ seconds, failed }) => seconds > 0.2 && !failed), JSON.stringify(sounds));
    await page.waitForFunction(() => window.socket.io.engine.transport.name === 'websocket');
    assert.deepEqual(page.problems, []);
});
