// The page on /voice speaks with the server itself: spoken sentences go in through Chromium's microphone, text and
// speech come out. No key, no cloud.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { after, test } from 'node:test';
import { startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { TcpProxy } from './support/tcp_proxy.mjs';
import { inState, launch, messages, openPage, wordsRight } from './support/voice_page.mjs';

const RATE = 24000;
const OPENING = 'what time does the store open tomorrow';
const CANCEL = 'i would like to cancel my order';
const STORY = 'Once upon a time there was a king, and he had a daughter. '.repeat(12).trim();

const upstream = await startUpstream();
after(() => upstream.close());
const LOCAL = {
    ...upstream.openaiEnv,
    REALTIME_PROVIDER: 'local',
    TTS_PROVIDER: 'local',
    STT_PROVIDER: 'local',
};
const server = await startServer({ after }, { env: LOCAL });
const bare = await startServer({ after }); // nothing is configured
const browser = await launch({ after });

/** A sentence as samples. */
async function spoken(text) {
    const response = await server.fetch('/v1/audio/speech', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'tts-1', voice: 'echo', input: text, response_format: 'pcm' }),
    });
    const pcm = Buffer.from(await response.arrayBuffer());
    assert.equal(response.status, 200, pcm.toString());
    return Array.from({ length: pcm.length >> 1 }, (_, i) => pcm.readInt16LE(2 * i));
}

const sentences = { [OPENING]: await spoken(OPENING), [CANCEL]: await spoken(CANCEL) };
const say = (page, text) => page.evaluate((samples) => window.speak(samples), sentences[text]);
const assertHeard = (said, heard) => assert.ok(wordsRight(said, heard) >= 0.8, `"${said}" was heard as "${heard}"`);
const talk = (page) => page.locator('#talk').click();
const replies = (page, n) => page.locator('#messages li.assistant:not(.partial)').nth(n - 1).waitFor();

/** A WAV file for Chromium's microphone: silence, the sentence, silence. */
async function recording(text) {
    const silence = new Array(3 * RATE).fill(0);
    const samples = Int16Array.from([...silence, ...sentences[text], ...silence, ...silence]);
    const head = Buffer.alloc(44);
    head.write('RIFF\0\0\0\0WAVEfmt ', 'latin1');
    head.writeUInt32LE(36 + samples.byteLength, 4);
    head.writeUInt32LE(16, 16);
    head.writeUInt16LE(1, 20);
    head.writeUInt16LE(1, 22);
    head.writeUInt32LE(RATE, 24);
    head.writeUInt32LE(2 * RATE, 28);
    head.writeUInt16LE(2, 32);
    head.writeUInt16LE(16, 34);
    head.write('data', 36);
    head.writeUInt32LE(samples.byteLength, 40);
    const file = path.join(server.folder, `${text.replaceAll(' ', '_')}.wav`);
    await writeFile(file, Buffer.concat([head, Buffer.from(samples.buffer)]));
    return file;
}

/** A reply that is heard: not silent, and about as long as somebody takes to say it. */
async function assertAudible(page, text, before = { scheduled: 0, audible: 0 }) {
    const { scheduled, audible } = await page.evaluate(() => window.voice.played);
    const seconds = (scheduled - before.scheduled) / RATE;
    const usual = text.split(' ').length * 0.35;
    assert.ok(seconds > usual * 0.4 && seconds < usual * 3 + 1, `${seconds} s of "${text}"`);
    assert.ok(audible - before.audible > 0.2 * (scheduled - before.scheduled), `${audible} of ${scheduled} samples`);
}

test('without any configuration a sentence from the microphone is understood and answered aloud', async (t) => {
    const own = await launch(t, { capture: await recording(OPENING) });
    const page = await openPage(t, own, bare.url, { microphone: 'real' });
    await talk(page);
    await inState(page, 'speaking');
    await page.waitForFunction(() => window.voice.level > 0.01);
    await inState(page, 'listening');
    const [heard, reply] = await messages(page);
    assertHeard(OPENING, heard.text);
    assert.equal(reply.role, 'assistant');
    await assertAudible(page, reply.text);
    assert.deepEqual(page.problems, []);
});

test('the same as a recording of MediaRecorder, answered with MP3', async (t) => {
    const own = await launch(t, { capture: await recording(OPENING) });
    const page = await openPage(t, own, bare.url, { microphone: 'real', path: '/voice#recorded' });
    await talk(page);
    await inState(page, 'hearing');
    await replies(page, 1); // the sentence is over
    await talk(page);
    await inState(page, 'speaking');
    await page.waitForFunction(() => window.voice.level > 0.01);
    await inState(page, 'off');
    const [heard, reply] = await messages(page);
    assertHeard(OPENING, heard.text);
    assert.equal(reply.text, `Echo: ${heard.text}`);
    await assertAudible(page, reply.text);
    assert.deepEqual(page.problems, []);
});

test('turn after turn, and over a reply', async (t) => {
    const page = await openPage(t, browser, server.url);
    await talk(page);
    await inState(page, 'listening');
    upstream.next({ text: STORY });
    await say(page, CANCEL);
    await page.waitForFunction(() => window.voice.level > 0.01);
    upstream.next({ text: 'It is cancelled.' });
    await say(page, OPENING);
    await page.waitForFunction(() => window.voice.played.dropped > 0);
    await replies(page, 2);
    await inState(page, 'speaking');
    await inState(page, 'listening');
    const all = await messages(page);
    assert.deepEqual(all.map(({ role }) => role), ['user', 'assistant', 'user', 'assistant']);
    assertHeard(CANCEL, all[0].text);
    assertHeard(OPENING, all[2].text);
    assert.equal(all[3].text, 'It is cancelled.');
    assert.equal(await page.locator('#messages li.interrupted').count(), 1);
    const { truncated } = await page.evaluate(() => window.voice.sent);
    assert.ok(truncated.length >= 1);
    const [, told] = upstream.requests.at(-1).body.messages.filter(({ role }) => role !== 'system');
    assert.equal(told.role, 'assistant');
    const known = told.content.trim().replace(/\W+$/, '');
    assert.ok(known.length < STORY.length && STORY.startsWith(known), known);
    assert.deepEqual(page.problems, []);
});

test('typed text is answered aloud, without a microphone', async (t) => {
    const page = await openPage(t, browser, bare.url, { microphone: 'refused' });
    await page.getByRole('textbox', { name: 'Message' }).fill('Hello');
    await page.keyboard.press('Enter');
    await inState(page, 'speaking');
    await inState(page, 'typing');
    const [typed, reply] = await messages(page);
    assert.equal(typed.text, 'Hello');
    await assertAudible(page, reply.text);
    assert.deepEqual(page.problems, []);
});

test('a conversation goes on with a server that was killed and came back', async (t) => {
    const mortal = await startServer(t, { env: LOCAL });
    const proxy = await TcpProxy.to(t, mortal.port);
    const page = await openPage(t, browser, proxy.url);
    await talk(page);
    await inState(page, 'listening');
    upstream.next({ text: 'As you wish.' });
    await say(page, CANCEL);
    await inState(page, 'speaking');
    await inState(page, 'listening');
    await mortal.kill();
    await page.getByRole('alert').filter({ hasText: 'The server does not answer' }).waitFor();
    await mortal.start();
    proxy.target = mortal.port;
    await inState(page, 'listening');
    await page.getByRole('alert').waitFor({ state: 'hidden' });
    await say(page, OPENING);
    await replies(page, 2);
    const heard = (await messages(page)).map(({ text }) => text);
    const told = upstream.requests.at(-1).body.messages.filter(({ role }) => role !== 'system');
    assert.deepEqual(told.map(({ content }) => content), heard.slice(0, 3));
    assertHeard(CANCEL, heard[0]);
    assertHeard(OPENING, heard[2]);
    assert.deepEqual(page.problems.filter((text) => !/net::ERR_/.test(text)), []);
});

test('in production, with the token', async (t) => {
    const token = 'api-token-abcdefghij0123456789';
    const closed = await startServer(t, {
        env: {
            ...LOCAL,
            ENVIRONMENT: 'production',
            JWT_SECRET: 'and7c2lnbmluZy1zZWNyZXQtb2YtdGhlLXRlc3Q5ODc2NTQz',
            API_TOKEN: token,
        },
    });
    for (const [hash, state] of [
        ['', 'listening'],
        ['#recorded', 'hearing'],
    ]) {
        const page = await openPage(t, browser, closed.url, { path: `/voice${hash}` });
        await talk(page);
        await page.getByLabel('API token').fill(token);
        await page.keyboard.press('Enter');
        await inState(page, state);
        await say(page, CANCEL);
        await replies(page, 1);
        const [heard, reply] = await messages(page);
        assertHeard(CANCEL, heard.text);
        assert.equal(reply.text, `You said: ${heard.text}`);
        assert.ok(!closed.stderr.includes(token));
        assert.deepEqual(page.problems, []);
    }
});

/** In the page: counts what is played. */
function listen() {
    const { start } = AudioBufferSourceNode.prototype;
    window.heard = 0;
    AudioBufferSourceNode.prototype.start = function (...when) {
        if (this.context.sampleRate === 24000) {
            window.heard += this.buffer.getChannelData(0).filter((x) => Math.abs(x) > 0.01).length;
        }
        return start.apply(this, when);
    };
}

test('the example of the documentation, served from elsewhere, speaks on /api/realtime', async (t) => {
    const example = await readFile(new URL('../../docs/examples/talk.html', import.meta.url), 'utf8');
    assert.ok(example.trim().split('\n').length <= 40);
    const icon = '<link rel="icon" href="data:,">';
    const html = example.replace('ws://127.0.0.1:8080', bare.wsUrl).replace('<button>', `${icon}<button>`);
    const elsewhere = http.createServer((_, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end(html));
    elsewhere.listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    t.after(() => elsewhere.close());
    const url = `http://127.0.0.1:${elsewhere.address().port}`;
    const page = await openPage(t, browser, url, { path: '/', rate: 48000, script: listen });
    await page.getByRole('button').click();
    await page.waitForFunction(() => window.stream);
    const doubled = sentences[CANCEL].flatMap((x) => [x, x]);
    await page.evaluate((samples) => window.speak(samples), doubled);
    await page.waitForFunction(() => window.heard > 12000);
    const [, heard, reply] = /You: (.*)\n(.+)/.exec(await page.locator('pre').innerText());
    assertHeard(CANCEL, heard);
    assert.ok(reply.length > 0);
    assert.deepEqual(page.problems, []);
});
