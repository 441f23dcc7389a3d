// The page on /voice: how it is served, and what it does, in Chromium, with a server whose part the test plays.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { startServer } from './support/server.mjs';
import { TcpProxy } from './support/tcp_proxy.mjs';
import { Played, inState, launch, messages, openPage } from './support/voice_page.mjs';

const TOKEN = 'api-token-abcdefghij0123456789';
const PRODUCTION = {
    ENVIRONMENT: 'production',
    JWT_SECRET: 'and7c2lnbmluZy1zZWNyZXQtb2YtdGhlLXRlc3Q5ODc2NTQz',
    API_TOKEN: TOKEN,
};
const NOBODY = { LLM_PROVIDER: 'demo', TTS_PROVIDER: 'none', STT_PROVIDER: 'none' };

const browser = await launch({ after }, { args: ['--host-resolver-rules=MAP parley.test 127.0.0.1'] });
const source = (name) => readFile(new URL(`../../web/voice/${name}`, import.meta.url), 'utf8');
const notice = (page, pattern) => page.getByRole('alert').filter({ hasText: pattern }).waitFor();
const talk = (page) => page.getByRole('button', { name: 'Start talking' }).click();

/** Runs in the page: a tone into the test's microphone. */
function tone({ hertz, seconds, rate = 24000 }) {
    const n = rate * seconds;
    const fade = (i) => Math.min(1, i / 1000, (n - i) / 1000);
    const samples = Array.from({ length: n }, (_, i) => 10000 * fade(i) * Math.sin((2 * Math.PI * hertz * i) / rate));
    return window.speak(samples);
}

const isLoud = (sample) => Math.abs(sample) > 3000;
/** How many of them are louder. A busy machine tears what it hears here and there: no single sample proves anything. */
const share = (samples, level) => samples.filter((sample) => Math.abs(sample) > level).length / samples.length;
const loudest = (samples) => samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);

async function begin(t, { played = new Played(), env = NOBODY, ...options } = {}) {
    const server = await startServer(t, { env });
    const page = await openPage(t, browser, server.url, { play: played.play, ...options });
    return { server, page, played };
}

async function conversation(t, options) {
    const all = await begin(t, options);
    await talk(all.page);
    await inState(all.page, 'listening');
    return all;
}

test('the page and its parts are served with validators and a strict policy', async (t) => {
    const server = await startServer(t, { env: NOBODY });
    while (!server.stdout.includes(`talk: ${server.url}/voice\n`)) {
        await once(server.child.stdout, 'data');
    }
    const response = await server.fetch('/voice');
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.equal(await response.text(), await source('index.html'));
    const policy = response.headers.get('content-security-policy');
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.match(response.headers.get('permissions-policy'), /microphone=\(self\)/);
    const again = await server.fetch('/voice', { headers: { 'If-None-Match': response.headers.get('etag') } });
    assert.equal(again.status, 304);
    assert.equal(again.headers.get('content-security-policy'), policy, "a browser keeps a 304's headers");
    for (const [file, type] of [
        ['voice.js', /^text\/javascript/],
        ['voice.css', /^text\/css/],
        ['microphone.worklet.js', /^text\/javascript/],
        ['icon.svg', /^image\/svg\+xml$/],
    ]) {
        const part = await server.fetch(`/voice/${file}`);
        assert.match(part.headers.get('content-type'), type);
        assert.equal(await part.text(), await source(file));
        const same = await server.fetch(`/voice/${file}`, { headers: { 'If-None-Match': part.headers.get('etag') } });
        assert.equal(same.status, 304);
    }
    const slash = await server.fetch('/voice/', { redirect: 'manual' });
    assert.equal(slash.status, 308);
    assert.equal((await server.fetch('/voice/')).url, `${server.url}/voice`);
    for (const missing of ['index.html', 'nothing.js', '..%2fvoice.js', 'voice.js/x', '%00']) {
        assert.ok([400, 404].includes((await server.fetch(`/voice/${missing}`)).status), missing);
    }
});

test('in production the page is open and says which sockets are', async (t) => {
    const server = await startServer(t, { env: { ...PRODUCTION, ...NOBODY } });
    assert.equal((await server.fetch('/voice')).status, 200);
    assert.equal((await server.fetch('/voice/voice.js')).status, 200);
    const access = async (headers) => (await server.json('GET', '/voice/access', undefined, headers)).body;
    assert.deepEqual(await access({}), { realtime: false, audio: false });
    assert.deepEqual(await access({ authorization: 'Bearer wrong' }), { realtime: false, audio: false });
    assert.deepEqual(await access({ authorization: `Bearer ${TOKEN}` }), { realtime: true, audio: true });
    const half = await startServer(t, { env: { ...PRODUCTION, ...NOBODY, OPEN_DIALECTS: 'aimcs' } });
    const { headers, body } = await half.json('GET', '/voice/access');
    assert.deepEqual(body, { realtime: false, audio: true });
    assert.equal(headers.get('cache-control'), 'no-store');
});

test('what the microphone hears arrives as PCM16 at 24 kHz, whatever the rate of the browser', async (t) => {
    const rate = 48000;
    const { page, played } = await conversation(t, { rate });
    const { session } = await played.next('session.update');
    assert.deepEqual(session.audio.input.format, { type: 'audio/pcm', rate: 24000 });
    assert.deepEqual(session.output_modalities, ['audio']);
    await page.evaluate(tone, { hertz: 1000, seconds: 1, rate });
    const enough = (samples) => samples.filter(isLoud).length > 12000 && !samples.slice(-4800).some(isLoud);
    const samples = await played.heard(enough);
    const tops = share(samples.filter(isLoud), 9000);
    assert.ok(tops > 0.25 && tops < 0.45 && share(samples, 11000) < 0.02, `as loud as it was: ${tops}`);
    const rising = samples.flatMap((x, i) => (i > 0 && x >= 0 && samples[i - 1] < -300 ? [i] : []));
    const periods = rising.slice(1).map((at, i) => at - rising[i]);
    assert.equal(periods.sort((a, b) => a - b)[periods.length >> 1], 24, 'as high as it was');
    await page.evaluate(tone, { hertz: 15000, seconds: 0.5, rate }); // more than 24 kHz can carry: no ghost comes out
    const { length } = played.samples();
    const ghost = share((await played.heard((all) => all.length > length + 12000)).slice(samples.length), 100);
    assert.ok(ghost < 0.1, `${ghost} of the samples`);
    assert.deepEqual(page.problems, []);
});

test('a spoken turn: both transcripts, and a reply that is heard', async (t) => {
    const { page, played } = await conversation(t);
    played.send({ type: 'input_audio_buffer.speech_started', item_id: 'u1', audio_start_ms: 0 });
    await inState(page, 'hearing');
    const partial = { type: 'conversation.item.input_audio_transcription.delta', item_id: 'u1', content_index: 0 };
    played.hear('u1', 'What time is it?');
    await inState(page, 'thinking');
    played.reply('a1', 'It is nine.', 2);
    await inState(page, 'speaking');
    await page.waitForFunction(() => window.voice.level > 0.05);
    await inState(page, 'listening');
    assert.deepEqual(await messages(page), [
        { role: 'user', text: 'What time is it?' },
        { role: 'assistant', text: 'It is nine.' },
    ]);
    const { scheduled, audible, dropped } = await page.evaluate(() => window.voice.played);
    assert.deepEqual({ scheduled, dropped }, { scheduled: 48000, dropped: 0 });
    assert.ok(audible > 40000, `${audible} samples`);
    played.send({ ...partial, item_id: 'u2', delta: 'And ' }, { ...partial, item_id: 'u2', delta: 'to' });
    await page.locator('#messages li:nth-child(3).partial').filter({ hasText: 'And to' }).waitFor();
    played.hear('u2', ' ');
    await page.locator('#messages li:nth-child(3)').waitFor({ state: 'detached' });
    await inState(page, 'listening');
    assert.deepEqual(page.problems, []);
});

test('who speaks over a reply silences it, and the server learns what was heard', async (t) => {
    const { page, played } = await conversation(t);
    played.reply('a1', 'A long story begins.', 60, { done: false });
    await page.waitForFunction(() => window.voice.level > 0.05);
    played.send({ type: 'input_audio_buffer.speech_started', item_id: 'u1', audio_start_ms: 0 });
    const { item_id: item, content_index: part, audio_end_ms: ms } = await played.next('conversation.item.truncate');
    assert.deepEqual({ item, part }, { item: 'a1', part: 0 });
    assert.ok(ms > 0 && ms < 60000, `${ms} ms`);
    await inState(page, 'hearing');
    await page.waitForFunction(() => window.voice.level < 0.001);
    const before = await page.evaluate(() => window.voice.played);
    assert.ok(before.dropped > 0);
    const delta = Buffer.alloc(4800, 64).toString('base64');
    played.send({ type: 'response.output_audio.delta', response_id: 'resp_a1', item_id: 'a1', delta }); // on its way
    played.finish('a1', 'cancelled', { reason: 'turn_detected' });
    played.hear('u1', 'Stop it.');
    await inState(page, 'thinking');
    assert.equal((await page.evaluate(() => window.voice.played)).scheduled, before.scheduled);
    await page.locator('#messages li.assistant.interrupted').waitFor();
    played.reply('a2', 'All right.', 1);
    await page.waitForFunction(() => window.voice.level > 0.05);
    await inState(page, 'listening');
    const texts = (await messages(page)).map(({ text }) => text);
    assert.deepEqual(texts, ['A long story begins.', 'Stop it.', 'All right.']);
    assert.deepEqual(page.problems, []);
});

test('a reply goes on after what was no interruption', async (t) => {
    const { page, played } = await conversation(t);
    played.reply('a1', 'A long story begins.', 20, { done: false });
    await page.waitForFunction(() => window.voice.level > 0.05);
    const delta = Buffer.alloc(96000, 64).toString('base64'); // two seconds
    const heard = [];
    for (const item of ['u1', 'u2']) {
        const from = played.received.length;
        played.send({ type: 'input_audio_buffer.speech_started', item_id: item });
        heard.push((await played.next('conversation.item.truncate', from)).audio_end_ms);
        await inState(page, 'hearing');
        await page.waitForFunction(() => window.voice.level < 0.001);
        played.send({ type: 'response.output_audio.delta', response_id: 'resp_a1', item_id: 'a1', delta });
        played.send({ type: 'input_audio_buffer.speech_stopped', item_id: item });
        await inState(page, 'speaking');
        await page.waitForFunction(() => window.voice.level > 0.05);
    }
    assert.ok(heard[1] >= heard[0] && heard[1] < heard[0] + 2000, `${heard} ms`);
    played.finish('a1', 'completed', { transcript: 'A long story begins.' });
    await inState(page, 'listening');
    assert.equal(await page.locator('.interrupted').count(), 0);
    assert.deepEqual(page.problems, []);
});

test('the button and Escape stop a reply', async (t) => {
    const { page, played } = await conversation(t);
    for (const [id, stop] of [
        ['a1', () => page.getByRole('button', { name: 'Stop the reply' }).click()],
        ['a2', () => page.keyboard.press('Escape')],
    ]) {
        const from = played.received.length;
        played.reply(id, 'A long story begins.', 60, { done: false });
        await page.waitForFunction(() => window.voice.level > 0.05);
        await stop();
        await played.next('response.cancel', from);
        assert.equal((await played.next('conversation.item.truncate', from)).item_id, id);
        played.finish(id, 'cancelled', { reason: 'client_cancelled' });
        await inState(page, 'listening');
    }
    assert.deepEqual(page.problems, []);
});

test('a typed message needs no microphone, and waits for the reply under way to end', async (t) => {
    const { page, played } = await begin(t, { microphone: 'refused' });
    const box = page.getByRole('textbox', { name: 'Message' });
    await box.fill('Hello there');
    await box.press('Enter');
    const { item } = await played.next('conversation.item.create');
    assert.equal(item.role, 'user');
    assert.deepEqual(item.content, [{ type: 'input_text', text: 'Hello there' }]);
    await played.next('response.create');
    played.send({ type: 'conversation.item.added', item, previous_item_id: null });
    played.reply('a1', 'Hello. I talk on and on.', 60, { done: false });
    await inState(page, 'speaking');
    const from = played.received.length;
    await box.fill('Wait');
    await box.press('Enter');
    await played.next('response.cancel', from);
    await played.next('conversation.item.create', from);
    assert.ok(!played.received.slice(from).some(({ type }) => type === 'response.create'));
    played.finish('a1', 'cancelled', { reason: 'client_cancelled' });
    await played.next('response.create', from);
    played.reply('a2', 'I wait.', 1);
    await inState(page, 'speaking');
    await inState(page, 'typing');
    const texts = (await messages(page)).map(({ text }) => text);
    assert.deepEqual(texts, ['Hello there', 'Hello. I talk on and on.', 'Wait', 'I wait.']);
    assert.ok(!played.received.some(({ type }) => type === 'input_audio_buffer.append'));
    await page.getByRole('button', { name: 'Start talking' }).waitFor(); // there is no microphone yet
    assert.deepEqual(page.problems, []);
});

test('who is muted is not heard', async (t) => {
    const { page, played } = await conversation(t);
    const mute = page.getByRole('button', { name: 'Mute' });
    await mute.click();
    await inState(page, 'muted');
    assert.equal(await mute.getAttribute('aria-pressed'), 'true');
    const from = played.samples().length;
    await page.evaluate(tone, { hertz: 500, seconds: 0.5 });
    const all = await played.heard(({ length }) => length > from + 24000);
    assert.ok(loudest(all.slice(from)) < 50);
    await mute.click();
    await inState(page, 'listening');
    await page.evaluate(tone, { hertz: 500, seconds: 0.5 });
    await played.heard((samples) => samples.slice(from).some(isLoud));
    assert.deepEqual(page.problems, []);
});

test('what was said before the session began is not lost', async (t) => {
    const played = new Played();
    played.created = false;
    const { page } = await begin(t, { played });
    await talk(page);
    await page.waitForFunction(() => window.stream);
    await page.evaluate(tone, { hertz: 1000, seconds: 0.5 });
    await played.connected(1);
    assert.equal(played.received.length, 0);
    played.begin();
    await inState(page, 'listening');
    await played.heard((samples) => samples.filter(isLoud).length > 0.25 * 24000);
    assert.deepEqual(page.problems, []);
});

test('each reason for having no microphone is told, and typing still works', async (t) => {
    const { page, server } = await begin(t, { microphone: 'refused' });
    await talk(page);
    await notice(page, /microphone is not allowed/);
    await inState(page, 'typing');
    assert.deepEqual(page.problems, []);
    for (const [name, pattern] of [
        ['NotFoundError', /There is no microphone/],
        ['NotReadableError', /in use by another program/],
        ['TypeError', /does not work in this browser/],
    ]) {
        const played = new Played();
        const other = await openPage(t, browser, server.url, { play: played.play, microphone: 'real' });
        await other.evaluate((error) => {
            navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', error));
        }, name);
        await talk(other);
        await notice(other, pattern);
        await other.getByRole('button', { name: 'Try again' }).waitFor();
        assert.deepEqual(other.problems, []);
    }
    const played = new Played();
    const away = `http://parley.test:${server.port}`;
    const insecure = await openPage(t, browser, away, { play: played.play, microphone: 'real' });
    await talk(insecure);
    await notice(insecure, /only to pages that come over https/);
    await insecure.getByRole('textbox', { name: 'Message' }).fill('Hello');
    await insecure.getByRole('button', { name: 'Send' }).click();
    await played.next('response.create');
    assert.deepEqual(insecure.problems, []);
});

test('a microphone that is unplugged is told', async (t) => {
    const { page } = await conversation(t);
    await page.evaluate(() => window.stream.getAudioTracks()[0].dispatchEvent(new Event('ended')));
    await notice(page, /microphone is gone/);
    await inState(page, 'typing');
    await page.getByRole('button', { name: 'Try again' }).click();
    await inState(page, 'listening');
    assert.deepEqual(page.problems, []);
});

test('what the server says of failures is shown, what only came too late is not', async (t) => {
    const { page, played } = await conversation(t);
    played.send({ type: 'error', error: { code: 'response_cancel_not_active', message: 'Late' } });
    played.send({ type: 'response.created', response: { id: 'resp_1' } });
    played.finish('1', 'failed', { error: { message: 'The model is not reachable.' } });
    await notice(page, 'The model is not reachable.');
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('alert').waitFor({ state: 'hidden' });
    played.send({ type: 'error', error: { code: 'overloaded', message: '<b>Too</b> much' } });
    await notice(page, '<b>Too</b> much');
    await inState(page, 'listening');
    assert.deepEqual(page.problems, []);
});

test('a session that is refused is told, and ends', async (t) => {
    const played = new Played();
    played.created = false;
    const { page } = await begin(t, { played });
    await talk(page);
    await played.connected(1);
    played.send({ type: 'error', error: { code: 'model_not_found', message: 'There is no such model.' } });
    await played.ws.close({ code: 1011, reason: 'invalid_request_error.model_not_found' });
    await notice(page, 'There is no such model.');
    await inState(page, 'off');
    played.created = true;
    await page.getByRole('button', { name: 'Try again' }).click();
    await inState(page, 'listening');
    assert.equal(played.connections, 2);
    assert.deepEqual(page.problems, []);
});

test('a server that goes away is told; the page comes back to it and says what was said', async (t) => {
    const server = await startServer(t, { env: NOBODY });
    const proxy = await TcpProxy.to(t, server.port);
    const played = new Played();
    const page = await openPage(t, browser, proxy.url, { play: played.play });
    await talk(page);
    await inState(page, 'listening');
    played.hear('u1', 'Remember me.');
    played.reply('a1', 'I will.', 1);
    await inState(page, 'speaking');
    await inState(page, 'listening');
    await server.kill();
    await played.ws.close({ code: 1001 });
    await notice(page, /The connection to the server is lost|The server does not answer/);
    await inState(page, 'connecting');
    await notice(page, /Next attempt in \d+ s/);
    await page.waitForFunction(() => /does not answer/.test(document.querySelector('#notice').textContent));
    const from = played.received.length;
    await server.start();
    proxy.target = server.port;
    await inState(page, 'listening');
    assert.equal(played.connections, 2);
    await page.getByRole('alert').waitFor({ state: 'hidden' });
    await played.next('input_audio_buffer.append', from);
    const told = played.received.slice(from).filter(({ type }) => type === 'conversation.item.create');
    assert.deepEqual(
        told.map(({ item }) => [item.role, item.content[0].type, item.content[0].text]),
        [['user', 'input_text', 'Remember me.'], ['assistant', 'output_text', 'I will.']],
    );
    assert.deepEqual(page.problems.filter((text) => !/net::ERR_/.test(text)), []);
});

test('a token is asked for, checked, used, and kept by the tab', async (t) => {
    const { page, played } = await begin(t, { env: { ...PRODUCTION, ...NOBODY } });
    await talk(page);
    const dialog = page.getByRole('dialog', { name: 'This server wants a token' });
    const field = dialog.getByLabel('API token');
    await field.fill('wrong');
    await dialog.getByRole('button', { name: 'Use it' }).click();
    await dialog.filter({ hasText: 'does not accept this token' }).waitFor();
    assert.equal(played.connections, 0);
    assert.equal(await page.evaluate(() => window.voice.state), 'off');
    await field.fill(TOKEN);
    await field.press('Enter');
    await inState(page, 'listening');
    assert.equal(new URL(played.url).searchParams.get('token'), TOKEN);
    await page.reload();
    await talk(page);
    await inState(page, 'listening');
    assert.equal(played.connections, 2);
    assert.deepEqual(page.problems, []);
});

test('pressed again, the microphone is let go', async (t) => {
    const { page, played } = await conversation(t);
    played.reply('a1', 'A long story begins.', 60, { done: false });
    await inState(page, 'speaking');
    await page.getByRole('button', { name: 'End the conversation' }).click();
    await inState(page, 'off');
    assert.equal(await page.evaluate(() => window.stream.getAudioTracks()[0].readyState), 'ended');
    await talk(page);
    await inState(page, 'listening');
    assert.equal(played.connections, 2);
    assert.deepEqual(page.problems, []);
});

test('a recording goes in slices of one WebM stream, and its end behind the last of them', async (t) => {
    const { page, played } = await begin(t, { path: '/voice#recorded' });
    await page.getByRole('button', { name: 'Record' }).click();
    await inState(page, 'hearing');
    await page.evaluate(tone, { hertz: 500, seconds: 1 });
    played.send({ type: 'speech_recognizing', message: 'hello' });
    await page.locator('#messages li.user.partial').filter({ hasText: 'hello' }).waitFor();
    await page.getByRole('button', { name: 'Send the recording' }).click();
    await played.next('stop_audio');
    await inState(page, 'thinking');
    assert.equal(played.received.at(-1).type, 'stop_audio');
    const slices = played.received.slice(0, -1);
    assert.ok(slices.length > 5 && slices.every(({ type }) => type === 'audio'));
    const webm = Buffer.concat(slices.map(({ data }) => Buffer.from(data, 'base64')));
    assert.equal(webm.readUInt32BE(), 0x1a45dfa3, 'the head of a WebM file');
    assert.equal(await page.evaluate(() => window.stream.getAudioTracks()[0].readyState), 'ended');
    const mp3 = await readFile(new URL('../fake/audio/tone.mp3', import.meta.url), 'base64');
    played.send({ type: 'speech_recognized', message: 'hello there' });
    played.send({ type: 'chat_response', message: 'Hi.', originalMessage: 'hello there', aiUsed: true });
    played.send({ type: 'speech_response', message: 'Hi.', audioData: mp3 });
    await inState(page, 'speaking');
    await page.waitForFunction(() => window.voice.level > 0.02);
    await inState(page, 'off');
    assert.deepEqual((await messages(page)).map(({ text }) => text), ['hello there', 'Hi.']);
    assert.deepEqual(page.problems, []);
});

test('a recording that fails, and a reply that cannot be played, are told', async (t) => {
    const { page, played } = await begin(t, { path: '/voice#recorded' });
    await page.getByRole('button', { name: 'Record' }).click();
    await inState(page, 'hearing');
    await page.getByRole('button', { name: 'Send the recording' }).click();
    await played.next('stop_audio');
    played.send({ type: 'audio_error', message: 'Audio failed', error: 'The recording cannot be read.' });
    await notice(page, 'The recording cannot be read.');
    await inState(page, 'off');
    assert.deepEqual(await messages(page), []);
    await page.getByRole('textbox', { name: 'Message' }).fill('Hello');
    await page.keyboard.press('Enter');
    assert.equal((await played.next('text_message')).text, 'Hello');
    await inState(page, 'thinking');
    played.send({ type: 'text_response', message: 'Hi.', originalMessage: 'Hello', audioData: 'bm90aGluZw==' });
    await notice(page, 'The audio of the reply cannot be played.');
    await inState(page, 'off');
    assert.deepEqual((await messages(page)).map(({ text }) => text), ['Hello', 'Hi.']);
    await page.getByRole('link', { name: 'Live' }).click();
    await page.getByRole('button', { name: 'Start talking' }).waitFor();
    assert.deepEqual(await messages(page), []);
    assert.deepEqual(page.problems, []);
});
