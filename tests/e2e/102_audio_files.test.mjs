// Audio that is kept: names, ranges, validators, and its end.
import assert from 'node:assert/strict';
import { mkdir, readFile, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { RawClient } from './support/raw.mjs';
import { startServer, temporaryFolder } from './support/server.mjs';

const server = await startServer({ after });
const folder = path.join(server.folder, 'public', 'audio');

async function keep(where, text = 'hello') {
    const { status, body } = await where.json('POST', '/api/tts', { text, store: true });
    assert.equal(status, 200);
    assert.match(body.audioUrl, /^\/audio\/[0-9a-f]{32}\.mp3$/);
    return { url: body.audioUrl, name: body.audioUrl.slice(7), audio: Buffer.from(body.audioData, 'base64') };
}

const { url, name, audio } = await keep(server);
const get = (headers = {}, at = url, method = 'GET') => server.fetch(at, { headers, method });
const bytes = async (response) => Buffer.from(await response.arrayBuffer());

test('what is kept is served at both paths', async () => {
    for (const at of [url, `/public${url}`]) {
        const response = await get({}, at);
        assert.equal(response.status, 200);
        assert.equal(response.headers.get('content-type'), 'audio/mpeg');
        assert.equal(response.headers.get('content-length'), String(audio.length));
        assert.equal(response.headers.get('accept-ranges'), 'bytes');
        assert.match(response.headers.get('cache-control'), /^private/);
        assert.equal(response.headers.get('cross-origin-resource-policy'), 'cross-origin');
        assert.deepEqual(await bytes(response), audio);
    }
    assert.deepEqual(await readFile(path.join(folder, name)), audio);
    assert.deepEqual((await readdir(folder)).filter((file) => !/^[0-9a-f]{32}\.mp3$/.test(file)), []);
});

test('HEAD says the same without the bytes', async () => {
    const response = await get({ range: 'bytes=0-1' }, url, 'HEAD');
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-length'), String(audio.length));
    assert.equal((await bytes(response)).length, 0);
});

const size = audio.length;
const ranges = {
    'bytes=0-0': [206, 0, 1],
    'bytes=10-19': [206, 10, 20],
    'bytes=10-': [206, 10, size],
    'bytes=-10': [206, size - 10, size],
    [`bytes=-${size + 5}`]: [206, 0, size],
    [`bytes=${size - 1}-99999999999`]: [206, size - 1, size],
    'BYTES=1-2': [206, 1, 3],
    [`bytes=${size}-`]: [416],
    'bytes=-0': [416],
    'bytes=5-2': [200],
    'bytes=0-1,4-5': [200],
    'bytes=a-b': [200],
    'bytes=-': [200],
    'bytes=99999999999999999999-': [200],
    'items=0-1': [200],
};
for (const [range, [status, from, to]] of Object.entries(ranges)) {
    test(`Range: ${range} is ${status}`, async () => {
        const response = await get({ range });
        const got = await bytes(response);
        assert.equal(response.status, status);
        if (status === 206) {
            assert.equal(response.headers.get('content-range'), `bytes ${from}-${to - 1}/${size}`);
            assert.deepEqual(got, audio.subarray(from, to));
        } else if (status === 416) {
            assert.equal(response.headers.get('content-range'), `bytes */${size}`);
        } else {
            assert.deepEqual(got, audio);
        }
    });
}

test('validators', async () => {
    const etag = (await get()).headers.get('etag');
    assert.match(etag, /^"[^"]+"$/);
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
        const response = await get({ 'if-none-match': known, range: 'bytes=0-1' });
        assert.equal(response.status, 304);
        assert.equal(response.headers.get('etag'), etag);
        assert.equal((await bytes(response)).length, 0);
    }
    assert.equal((await get({ 'if-none-match': '"x"' })).status, 200);
    assert.equal((await get({ range: 'bytes=0-1', 'if-range': etag })).status, 206);
    for (const other of ['"x"', `W/${etag}`, new Date().toUTCString()]) {
        assert.equal((await get({ range: 'bytes=0-1', 'if-range': other })).status, 200);
    }
});

test('nothing else is served, whatever lies there', async () => {
    const foreign = `${'a'.repeat(32)}.mp3`;
    await writeFile(path.join(server.folder, 'secret'), 'secret');
    await symlink(path.join(server.folder, 'secret'), path.join(folder, foreign));
    await mkdir(path.join(folder, `${'b'.repeat(32)}.mp3`));
    await writeFile(path.join(folder, 'notes.mp3'), 'secret');
    await writeFile(path.join(folder, `${'c'.repeat(32)}.txt`), 'secret');
    await writeFile(path.join(folder, `${'d'.repeat(32)}.mp3.part`), 'secret');
    const names = [
        foreign,
        `${'b'.repeat(32)}.mp3`,
        'notes.mp3',
        `${'c'.repeat(32)}.txt`,
        `${'d'.repeat(32)}.mp3.part`,
        `${'e'.repeat(32)}.mp3`,
        name.toUpperCase(),
        `${name}%00`,
        `${name}.`,
        '..%2fsecret',
        '%2e%2e',
        '..',
        '.',
        '',
        `./${name}x`,
    ];
    for (const at of names) {
        const client = await RawClient.connect(server.port);
        await client.write(`GET /audio/${at} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
        const reply = (await client.rest()).toString('latin1');
        assert.match(reply, /^HTTP\/1\.1 (400|404) /, at);
        assert.doesNotMatch(reply, /secret"?$/, at);
    }
});

test('old audio goes: at the start, and from time to time', async (t) => {
    const place = await temporaryFolder();
    const kept = path.join(place, 'deep', 'kept');
    await mkdir(kept, { recursive: true });
    const [old, unfinished, fresh, foreign] = [
        `${'1'.repeat(32)}.mp3`,
        `${'2'.repeat(32)}.wav.part`,
        `${'3'.repeat(32)}.opus`,
        'foreign.mp3',
    ].map((file) => path.join(kept, file));
    for (const file of [old, unfinished, fresh, foreign]) {
        await writeFile(file, 'x');
    }
    const yesterday = new Date(Date.now() - 25 * 3600 * 1000);
    for (const file of [old, unfinished, foreign]) {
        await utimes(file, yesterday, yesterday);
    }
    const gone = async (file) => {
        while (await stat(file).catch(() => null)) {
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    };
    const day = await startServer(t, { folder: place, env: { AUDIO_PATH: 'deep/kept' } });
    await gone(old);
    await gone(unfinished);
    assert.ok(await stat(fresh));
    assert.ok(await stat(foreign));
    assert.equal((await day.fetch(`/audio/${path.basename(fresh)}`)).status, 200);

    const brief = await startServer(t, { env: { AUDIO_RETENTION: '1s' } });
    const spoken = await keep(brief);
    await gone(path.join(brief.folder, 'public', 'audio', spoken.name));
    assert.equal((await brief.fetch(spoken.url)).status, 404);
});

test('a folder that cannot be written is an error for those who want audio kept, and for nobody else', async (t) => {
    const place = await temporaryFolder();
    await writeFile(path.join(place, 'file'), '');
    const stuck = await startServer(t, { folder: place, env: { AUDIO_PATH: 'file/below' } });
    const refused = await stuck.json('POST', '/api/tts', { text: 'hello', store: true });
    assert.equal(refused.status, 500);
    assert.equal(refused.body.error, 'The audio cannot be kept');
    assert.equal((await stuck.json('POST', '/api/tts', { text: 'hello', speed: 1 })).status, 200);
    assert.equal((await stuck.fetch(url)).status, 404);
});
