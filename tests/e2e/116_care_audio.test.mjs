// Recordings of users: heard, kept with their conversation, served as what they are, and gone with it.
import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { pcm, wav } from '../fake/tone.mjs';
import { assertConversation, assertMessage, careEnv, CareUser } from './support/care.mjs';
import { RawClient } from './support/raw.mjs';
import { Recorder } from './support/recorder.mjs';
import { startServer, temporaryFolder } from './support/server.mjs';
import { assertUnderstood, bytes } from './support/speech.mjs';

const FAILURE = 'Failed to upload audio';
const SENTENCE = 'i would like to cancel my order';
const server = await startServer({ after }, { env: { ...careEnv, MAX_FILE_SIZE: '300KB' } });
const folder = path.join(server.folder, 'public', 'audio');
const ada = await CareUser.make(server, 'Ada Moss');
const ben = await CareUser.make(server, 'Ben Tull');

const recorded = new URL('../unit/speech/recorded/', import.meta.url);
const webm = await readFile(new URL('chromium.webm', recorded));
const mp4 = await readFile(new URL('chromium.mp4', recorded));
const beep = wav(pcm(0.5, 16000), 16000);
const flac = await readFile(new URL('../fake/audio/tone.flac', import.meta.url));
const opus = await readFile(new URL('../fake/audio/tone.opus', import.meta.url));
const mp3 = await readFile(new URL('../fake/audio/tone.mp3', import.meta.url));

const speech = async (format) => {
    const body = JSON.stringify({ model: 'tts-1', voice: 'alloy', input: SENTENCE, response_format: format });
    const headers = { 'content-type': 'application/json' };
    return bytes(await server.fetch('/v1/audio/speech', { method: 'POST', headers, body }));
};

async function uploaded(id, what) {
    const { status, body, text } = await ada.upload(id, what);
    assert.equal(status, 200, text);
    return body;
}

test('a recording with its transcript: the turn, the documented reply, both kept', async () => {
    const { _id } = await ada.simulator();
    const said = await uploaded(_id, { bytes: webm, transcript: '  Where is my parcel? ' });
    assert.match(said.audioUrl, /^\/audio\/response-\d+-[0-9a-f]{32}\.mp3$/);
    assert.equal(said.transcript, 'Where is my parcel?');
    assertMessage(said.message);
    assert.equal(said.message.audioUrl, said.audioUrl);
    assert.match(said.userMessage.audioUrl, /^\/audio\/\d+-[0-9a-f]{32}-blob$/);
    const c = await ada.get(`/api/conversations/${_id}`);
    assertConversation(c, ada);
    const [, user, reply] = c.messages;
    assert.equal(user.content, 'Where is my parcel?');
    assert.equal(user.audioUrl, said.userMessage.audioUrl);
    assert.equal(reply.audioUrl, said.audioUrl);
    const own = await server.fetch(user.audioUrl);
    assert.equal(own.headers.get('content-type'), 'audio/webm');
    assert.deepEqual(await bytes(own), webm);
    assert.equal((await server.fetch(reply.audioUrl)).headers.get('content-type'), 'audio/mpeg');
});

/* What a client declares and calls its file counts for nothing. */
for (const [what, content, type] of [
    ['WebM', webm, 'audio/webm'],
    ['WAV', beep, 'audio/wav'],
    ['Ogg', opus, 'audio/ogg'],
    ['FLAC', flac, 'audio/flac'],
    ['MP3', mp3, 'audio/mpeg'],
    ['MP4', mp4, 'audio/mp4'],
]) {
    test(`${what} is ${type}, whatever it is called`, async () => {
        const { _id } = await ada.simulator();
        const lie = { bytes: content, name: 'page.html', type: 'text/html', transcript: 'Hi' };
        const { userMessage } = await uploaded(_id, lie);
        assert.match(userMessage.audioUrl, /-page\.html$/);
        for (const prefix of ['', '/public']) {
            const kept = await server.fetch(prefix + userMessage.audioUrl);
            assert.equal(kept.status, 200);
            assert.equal(kept.headers.get('content-type'), type);
            assert.equal(kept.headers.get('x-content-type-options'), 'nosniff');
            assert.match(kept.headers.get('content-security-policy'), /sandbox/);
            assert.equal(kept.headers.get('cross-origin-resource-policy'), 'cross-origin');
            assert.deepEqual(await bytes(kept), content);
        }
    });
}

const lies = {
    'a page': '<!doctype html><script>alert(1)</script>',
    'a picture': Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
    'a video': Buffer.from('RIFF\x24\0\0\0AVI LIST', 'latin1'),
    'a program': Buffer.from('\x7fELF\x02\x01\x01', 'latin1'),
    'an archive': Buffer.from('PK\x03\x04', 'latin1'),
    'half a magic number': Buffer.from('1a45df', 'hex'),
};
for (const [what, content] of Object.entries(lies)) {
    test(`${what} that says it is audio is refused, and not kept`, async () => {
        const { _id } = await ada.simulator();
        const before = await readdir(folder);
        const { status, body } = await ada.upload(_id, { bytes: content, name: 'a.wav', transcript: 'Hi' });
        assert.equal(status, 400);
        assert.equal(body.error, FAILURE);
        assert.match(body.message, /no audio/);
        assert.equal(body.code, 'INVALID_REQUEST');
        assert.deepEqual(await readdir(folder), before);
        assert.equal((await ada.get(`/api/conversations/${_id}`)).messages.length, 1);
    });
}

test('what is missing, too large, or no form', async () => {
    const { _id } = await ada.simulator();
    for (const what of [{ transcript: 'Hi' }, { bytes: '', transcript: 'Hi' }, { bytes: beep, field: 'file', transcript: 'Hi' }]) {
        const { status, body } = await ada.upload(_id, what);
        assert.deepEqual([status, body.error, body.message], [400, FAILURE, 'An audio file is required']);
    }
    const large = await ada.upload(_id, { bytes: Buffer.concat([beep, Buffer.alloc(310_000)]), transcript: 'Hi' });
    assert.deepEqual([large.status, large.body.error, large.body.code], [413, FAILURE, 'BODY_TOO_LARGE']);
    const path_ = `/api/conversations/${_id}/audio`;
    for (const [headers, body] of [
        [{ 'content-type': 'application/json' }, '{"audio":"x"}'],
        [{ 'content-type': 'multipart/form-data' }, 'x'],
        [{ 'content-type': 'multipart/form-data; boundary=x' }, '--x\r\nbroken'],
        [{}, undefined],
    ]) {
        const reply = await server.fetch(path_, { method: 'POST', headers: { ...ada.headers, ...headers }, body });
        assert.equal(reply.status, 400);
        assert.equal((await reply.json()).error, FAILURE);
    }
    const text = await ada.upload(_id, { bytes: beep, transcript: Buffer.from([0xff]).toString('latin1') });
    assert.equal(text.status, 200); // a browser sends it as UTF-8
    assert.equal((await ada.get(`/api/conversations/${_id}`)).messages.length, 3);
});

test('names that point elsewhere, or mean something, become harmless', async () => {
    const { _id } = await ada.simulator();
    for (const [name, end] of [
        ['../../../etc/passwd', '-passwd'],
        ['..\\..\\x.wav', '-x.wav'],
        ['.htaccess', '-htaccess'],
        ['a b;c"d<e>.webm', '.webm'],
        ['..', '-audio'],
        [`${'long'.repeat(100)}.webm`, '.webm'],
        ['сюда.webm', '.webm'],
        ['x.mp3.part', '-x.mp3_part'],
    ]) {
        const { userMessage } = await uploaded(_id, { bytes: webm, name, transcript: 'Hi' });
        assert.match(userMessage.audioUrl, /^\/audio\/\d+-[0-9a-f]{32}-(?!\.)[A-Za-z0-9._-]{1,40}$/, name);
        assert.ok(!userMessage.audioUrl.includes('..') && userMessage.audioUrl.endsWith(end), userMessage.audioUrl);
        assert.equal((await server.fetch(userMessage.audioUrl)).status, 200);
    }
});

test('parts of a recording', async () => {
    const { _id } = await ada.simulator();
    const { userMessage } = await uploaded(_id, { bytes: webm, transcript: 'Hi' });
    const part = await server.fetch(userMessage.audioUrl, { headers: { range: 'bytes=100-199' } });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get('content-type'), 'audio/webm');
    assert.equal(part.headers.get('content-range'), `bytes 100-199/${webm.length}`);
    assert.deepEqual(await bytes(part), webm.subarray(100, 200));
    const etag = part.headers.get('etag');
    const known = await server.fetch(userMessage.audioUrl, { headers: { 'if-none-match': etag } });
    assert.equal(known.status, 304);
    const head = await server.fetch(userMessage.audioUrl, { method: 'HEAD' });
    assert.equal(head.headers.get('content-length'), String(webm.length));
    assert.equal(head.headers.get('content-type'), 'audio/webm');
});

test('a recording that is read piece by piece', async () => {
    const { _id } = await ada.simulator();
    const large = wav(pcm(9, 16000), 16000).map((byte, at) => (at < 44 ? byte : (at * 7 + (at >> 9)) & 255));
    const { userMessage } = await uploaded(_id, { bytes: large, transcript: 'hello' });
    const same = async (from, to) => {
        const headers = { range: `bytes=${from}-${to - 1}` };
        const part = await server.fetch(userMessage.audioUrl, { headers });
        assert.equal(part.status, 206);
        assert.equal(part.headers.get('content-length'), String(to - from));
        assert.ok((await bytes(part)).equals(large.subarray(from, to)), `${from} to ${to}`);
    };
    const whole = await server.fetch(userMessage.audioUrl);
    assert.equal(whole.headers.get('content-length'), String(large.length));
    assert.ok((await bytes(whole)).equals(large));
    await Promise.all([same(0, 131072), same(1, 131074), same(100_000, 270_000), same(large.length - 200_000, large.length)]);
});

test('audio goes with its conversation, and only then', async () => {
    const gone = await ada.simulator();
    const stays = await ada.simulator();
    const lost = await uploaded(gone._id, { bytes: webm, transcript: 'Hi' });
    const kept = await uploaded(stays._id, { bytes: webm, transcript: 'Hi' });
    const urls = [gone.messages[0].audioUrl, lost.audioUrl, lost.userMessage.audioUrl];
    for (const url of urls) {
        assert.equal((await server.fetch(url)).status, 200);
    }
    await ada.ask(200, 'DELETE', `/api/conversations/${gone._id}`);
    for (const url of urls) {
        while (!((await server.fetch(url)).status === 404)) {
            await new Promise((resolve) => setTimeout(resolve, 10));
        }
    }
    const names = await readdir(folder);
    assert.ok(urls.every((url) => !names.includes(path.basename(url))));
    for (const url of [stays.messages[0].audioUrl, kept.audioUrl, kept.userMessage.audioUrl]) {
        assert.equal((await server.fetch(url)).status, 200);
    }
});

test('a message that is sent twice keeps one recording', async () => {
    const { _id } = await ada.simulator();
    const what = { bytes: webm, transcript: 'Once', clientMessageId: 'r-1' };
    const first = await uploaded(_id, what);
    const second = await uploaded(_id, what);
    assert.equal(second.message._id, first.message._id);
    assert.equal(second.audioUrl, first.audioUrl);
    assert.equal(second.userMessage.audioUrl, first.userMessage.audioUrl);
    const blobs = async () => (await readdir(folder)).filter((name) => name.endsWith('-blob'));
    const others = new Set((await ada.get('/api/conversations')).flatMap((c) => c.messages.map((m) => m.audioUrl)));
    while ((await blobs()).some((name) => !others.has(`/audio/${name}`))) {
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
});

test('nothing else is served from there', async () => {
    await mkdir(folder, { recursive: true });
    const random = 'a'.repeat(32);
    const names = [`1-${random}-secret.txt`, `1-${random}-.wav`, `response-1-${random}.txt`, `response-1-${random}.mp3.part`];
    for (const name of names) {
        await writeFile(path.join(folder, name), 'secret, and no audio');
    }
    for (const name of [...names, '..%2f..%2fparley.db', '%2e%2e%2fx', `1-${random}-..%2f..%2fx`, `1-${random}-%2e%2e`]) {
        const client = await RawClient.connect(server.port);
        await client.write(`GET /audio/${name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
        const reply = (await client.rest()).toString('latin1');
        assert.match(reply, /^HTTP\/1\.1 (400|404) /, name);
        assert.doesNotMatch(reply, /secret, and/);
    }
});

test('another user cannot add to it', async () => {
    const { _id } = await ada.simulator();
    const before = await readdir(folder);
    const { status, body } = await ben.upload(_id, { bytes: webm, transcript: 'Hi' });
    assert.deepEqual([status, body.error], [404, 'Conversation not found']);
    assert.deepEqual(await readdir(folder), before);
});

// ---- without a transcript ----

test('a recording without a transcript is heard by the server itself', async () => {
    const { _id } = await ada.simulator();
    for (const what of [{ bytes: await speech('wav') }, { bytes: await speech('opus'), transcript: ' \n' }]) {
        const said = await uploaded(_id, what);
        assertUnderstood(said.transcript, SENTENCE);
        assert.equal(said.userMessage.content, said.transcript);
    }
});

test('so is what a browser records', async () => {
    const recorder = await Recorder.start();
    try {
        const slices = await recorder.record([(await speech('mp3')).toString('base64')], { trail: 1 });
        const recording = Buffer.concat(slices.map((slice) => Buffer.from(slice, 'base64')));
        const { _id } = await ada.simulator();
        const said = await uploaded(_id, { bytes: recording, name: 'blob', type: 'audio/wav' });
        assertUnderstood(said.transcript, SENTENCE);
        assert.equal(said.userMessage.metadata.intent, 'cancellation');
        assert.equal((await server.fetch(said.userMessage.audioUrl)).headers.get('content-type'), 'audio/webm');
    } finally {
        await recorder.close();
    }
});

test('nothing said, or broken audio, is told and not kept', async () => {
    const { _id } = await ada.simulator();
    const before = await readdir(folder);
    const silence = wav(Buffer.alloc(32000), 16000);
    const broken = Buffer.concat([webm.subarray(0, 64), Buffer.alloc(2000, 0x55)]);
    for (const content of [silence, broken]) {
        const { status, body } = await ada.upload(_id, { bytes: content });
        assert.deepEqual([status, body.error], [400, FAILURE]);
        assert.notEqual(body.message, FAILURE);
    }
    assert.deepEqual(await readdir(folder), before);
    assert.equal((await ada.get(`/api/conversations/${_id}`)).messages.length, 1);
});

test('without a recognizer a transcript is needed', async (t) => {
    const deaf = await startServer(t, { env: { ...careEnv, STT_PROVIDER: 'none' } });
    const cleo = await CareUser.make(deaf, 'Cleo Ray');
    const { _id } = await cleo.simulator();
    const { status, body } = await cleo.upload(_id, { bytes: webm });
    assert.deepEqual([status, body.error], [400, FAILURE]);
    assert.match(body.message, /transcript is required/);
    assert.equal((await cleo.upload(_id, { bytes: webm, transcript: 'Hi' })).status, 200);
});

test('a folder that cannot be written: no recording is lost in silence, and replies have no link', async (t) => {
    const place = await temporaryFolder();
    await writeFile(path.join(place, 'file'), '');
    const stuck = await startServer(t, { folder: place, env: { ...careEnv, AUDIO_PATH: 'file/below' } });
    const cleo = await CareUser.make(stuck, 'Cleo Ray');
    const made = await cleo.simulator();
    assert.equal(made.messages[0].audioUrl, undefined);
    const { status, body } = await cleo.upload(made._id, { bytes: webm, transcript: 'Hi' });
    assert.deepEqual([status, body.error, body.message, body.code], [500, FAILURE, FAILURE, 'INTERNAL_ERROR']);
    const said = await cleo.say(made._id, 'Hello?');
    assert.equal(said.audioUrl, undefined);
    assert.equal((await cleo.get(`/api/conversations/${made._id}`)).messages.length, 3);
});
