// Pictures: what is taken for one and what is not, where they lie, how they are served, and when they go.
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { assertRefused, careEnv, CareUser } from './support/care.mjs';
import { chunk, dataUrl, form, gif, jpeg, png } from './support/pictures.mjs';
import { exchange } from './support/raw.mjs';
import { startServer, temporaryFolder } from './support/server.mjs';

const server = await startServer({ after }, { env: { ...careEnv, MAX_FILE_SIZE: '100KB' } });
const user = await CareUser.make(server);
const agent = await user.agent();
const folder = path.join(server.folder, 'public', 'avatars');
const uploads = path.join(server.folder, 'uploads');
const MADE = /^\/public\/avatars\/[0-9a-f]{32}\.(png|jpg|gif)$/;
const DEFAULT = '/public/avatars/ai-avatar.png';
const WRONG_TYPE = 'The picture must be one of: png, jpg, jpeg, gif';

async function upload(body, headers = {}, id = agent._id) {
    const request = { method: 'POST', headers: { ...user.headers, ...headers }, body };
    const response = await server.fetch(`/api/agents/${id}/avatar`, request);
    return { status: response.status, body: await response.json() };
}
const kept = async () => (await readdir(folder)).filter((name) => /^[0-9a-f]{32}/.test(name));
const bytesOf = async (response) => Buffer.from(await response.arrayBuffer());

test('the default pictures are ours', async () => {
    for (const name of ['ai-avatar', 'amazon', 'netflix', 'pizza-hut', 'apple', 'general']) {
        const image = await server.fetch(`/public/avatars/${name}.png`);
        assert.equal(image.status, 200, name);
        assert.equal(image.headers.get('content-type'), 'image/png');
        assert.equal((await bytesOf(image)).subarray(1, 4).toString(), 'PNG');
        const drawing = await server.fetch(`/public/avatars/${name}.svg`);
        assert.equal(drawing.headers.get('content-type'), 'image/svg+xml');
        assert.match(drawing.headers.get('content-security-policy'), /default-src 'none'; sandbox/);
        assert.match(await drawing.text(), /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
    }
});

test('headers, validators and ranges, of ours and of a file', async () => {
    const { body } = await upload(form(png({ width: 20, height: 20 })));
    for (const at of [DEFAULT, '/public/avatars/ai-avatar.svg', body.avatar]) {
        const whole = await server.fetch(at);
        const all = await bytesOf(whole);
        const etag = whole.headers.get('etag');
        assert.equal(whole.headers.get('x-content-type-options'), 'nosniff');
        assert.equal(whole.headers.get('cross-origin-resource-policy'), 'cross-origin');
        assert.equal(whole.headers.get('accept-ranges'), 'bytes');
        assert.equal(whole.headers.get('content-length'), String(all.length));
        assert.match(etag, /^"[^"]+"$/);
        for (const list of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
            const same = await server.fetch(at, { headers: { 'if-none-match': list } });
            assert.equal(same.status, 304, list);
            assert.equal(same.headers.get('etag'), etag);
        }
        assert.equal((await server.fetch(at, { headers: { 'if-none-match': '"x"' } })).status, 200);
        const head = await server.fetch(at, { method: 'HEAD' });
        assert.equal(head.status, 200);
        assert.equal(head.headers.get('content-length'), String(all.length));
        assert.equal((await bytesOf(head)).length, 0);
        const part = await server.fetch(at, { headers: { range: 'bytes=5-9' } });
        assert.equal(part.status, 206);
        assert.equal(part.headers.get('content-range'), `bytes 5-9/${all.length}`);
        assert.deepEqual(await bytesOf(part), all.subarray(5, 10));
        const tail = await server.fetch(at, { headers: { range: 'bytes=-3', 'if-range': etag } });
        assert.deepEqual(await bytesOf(tail), all.subarray(-3));
        const other = await server.fetch(at, { headers: { range: 'bytes=-3', 'if-range': '"x"' } });
        assert.deepEqual([other.status, await bytesOf(other)], [200, all]);
        const behind = await server.fetch(at, { headers: { range: `bytes=${all.length}-` } });
        assert.equal(behind.status, 416);
        assert.equal(behind.headers.get('content-range'), `bytes */${all.length}`);
    }
});

const KINDS = { png: [png(), 'image/png'], jpg: [jpeg(), 'image/jpeg'], gif: [gif({ frames: 3 }), 'image/gif'] };
for (const [ending, [bytes, type]] of Object.entries(KINDS)) {
    test(`a ${ending} is what it is, whatever it is called`, async () => {
        const names = { 'me.png': 'image/png', 'me.jpg': 'image/jpeg', '../../x.html': 'text/html', '': 'image/svg+xml' };
        for (const [name, said] of Object.entries(names)) {
            const { status, body } = await upload(form(bytes, { name, type: said }));
            assert.equal(status, 200, JSON.stringify(body));
            assert.match(body.avatar, MADE);
            assert.ok(body.avatar.endsWith(`.${ending}`));
            const response = await server.fetch(body.avatar);
            assert.equal(response.headers.get('content-type'), type);
            assert.deepEqual(await bytesOf(response), bytes);
            assert.equal((await stat(path.join(server.folder, body.avatar))).mode & 0o777, 0o644);
        }
    });
}

test('one picture per agent: the old one goes, the last one with the agent', async () => {
    const other = await user.agent();
    const before = await kept();
    const first = (await upload(form(png()), {}, other._id)).body.avatar;
    const second = (await upload(form(gif()), {}, other._id)).body.avatar;
    assert.equal((await server.fetch(first)).status, 404);
    assert.equal((await kept()).length, before.length + 1);
    const again = await user.ask(200, 'PUT', `/api/agents/${other._id}`, { ...other, avatar: second });
    assert.equal(again.avatar, second);
    const third = (await user.ask(200, 'PUT', `/api/agents/${other._id}`, { avatar: dataUrl(jpeg()) })).avatar;
    assert.match(third, MADE);
    assert.equal((await server.fetch(second)).status, 404);
    /* What a client saw before that is no reason to refuse its change. */
    const late = await user.ask(200, 'PUT', `/api/agents/${other._id}`, { ...again, name: 'Late' });
    assert.deepEqual([late.name, late.avatar], ['Late', third]);
    assert.equal((await user.ask(200, 'PUT', `/api/agents/${other._id}`, { avatar: null })).avatar, DEFAULT);
    assert.deepEqual(await kept(), before);
    const last = (await upload(form(png()), {}, other._id)).body.avatar;
    await user.ask(200, 'DELETE', `/api/agents/${other._id}`);
    assert.equal((await server.fetch(last)).status, 404);
    assert.deepEqual(await kept(), before);
});

test('an avatar by its path or as data', async () => {
    const drawing = '/public/avatars/ai-avatar.svg';
    assert.equal((await user.agent({ avatar: drawing })).avatar, drawing);
    assert.equal((await user.agent({ avatar: '' })).avatar, DEFAULT);
    assert.match((await user.agent({ avatar: dataUrl(png(), 'text/html') })).avatar, /\.png$/);
    const before = await kept();
    const make = (avatar) => user.json('POST', '/api/agents', { ...agent, avatar });
    const none = ['none.png', '', '.hidden', '../../data/parley.db', `${'0'.repeat(32)}.png`].map((n) => `/public/avatars/${n}`);
    for (const avatar of [...none, '/etc/passwd', 'javascript:alert(1)', 'https://example.com/x.png']) {
        assertRefused(await make(avatar), 400, 'There is no such picture');
    }
    assertRefused(await make(7), 400, 'The avatar must be a string');
    for (const avatar of ['data:image/png,xx', 'data:image/png;base64,***', 'data:']) {
        assertRefused(await make(avatar), 400, "The picture's data must be base64");
    }
    assertRefused(await make(dataUrl(Buffer.from('<html>'))), 400, WRONG_TYPE);
    assertRefused(await make(dataUrl(Buffer.alloc(102401))), 413, 'The picture is larger than 102400 bytes');
    assertRefused(await make(dataUrl(Buffer.alloc(1 << 20))), 413, 'The picture is larger than 102400 bytes');
    /* A body that is refused for something else keeps nothing. */
    assert.equal((await user.json('POST', '/api/agents', { avatar: dataUrl(png()) })).status, 400);
    assert.equal((await user.json('PUT', `/api/agents/${agent._id}`, { name: '', avatar: dataUrl(png()) })).status, 400);
    assert.deepEqual(await kept(), before);
});

const SCRIPT = '<script>alert(1)</script>';
const BROKEN = 'The picture is broken';
const TOO_LARGE = 'The picture is too large: at most 4096 x 4096 pixels';
const whole = png();
const REFUSED = {
    'a page called a picture': [Buffer.from(`<!doctype html>${SCRIPT}`), WRONG_TYPE],
    'a drawing with a script': [Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg">${SCRIPT}</svg>`), WRONG_TYPE],
    'a program': [Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), WRONG_TYPE],
    'another kind of picture': [Buffer.from('RIFF\x1a\0\0\0WEBPVP8L', 'latin1'), WRONG_TYPE],
    'a PNG that breaks off': [whole.subarray(0, -13), BROKEN],
    'a signature alone': [whole.subarray(0, 8), BROKEN],
    'a PNG with a wrong checksum': [Buffer.from(whole).fill(9, 20, 21), BROKEN],
    'a PNG and a page': [Buffer.concat([whole, Buffer.from(SCRIPT)]), BROKEN],
    'a PNG and an archive': [Buffer.concat([whole, Buffer.from('PK\x03\x04', 'latin1')]), BROKEN],
    'a GIF that begins a script': [Buffer.concat([Buffer.from('GIF89a/*'), gif().subarray(8)]), TOO_LARGE],
    'a GIF that ends a script': [Buffer.concat([gif(), Buffer.from('*/=1')]), BROKEN],
    'a GIF that breaks off': [gif().subarray(0, -2), BROKEN],
    'a JPEG that breaks off': [jpeg().subarray(0, -2), BROKEN],
    'a PNG of a giant': [png({ size: [100000, 100000] }), TOO_LARGE],
    'a PNG as wide as can be said': [png({ size: [0xffffffff, 1] }), TOO_LARGE],
    'a JPEG of a giant': [jpeg({ width: 65535, height: 65535 }), TOO_LARGE],
    'a GIF of a giant': [gif({ width: 65535, height: 65535 }), TOO_LARGE],
    'a GIF of a thousand frames': [gif({ frames: 1000 }), 'The animation is too long'],
    'nothing': [Buffer.alloc(0), 'A file named avatar is required'],
};
for (const [what, [bytes, text]] of Object.entries(REFUSED)) {
    test(`${what} is refused`, async () => {
        const before = await kept();
        assertRefused(await upload(form(bytes)), 400, text, 'INVALID_REQUEST');
        assert.deepEqual(await kept(), before);
    });
}

test('what a picture does not need is not kept: bombs, texts, places', async () => {
    const bomb = deflateSync(Buffer.alloc(8 << 20)); // 8 KB that would unpack to 8 MB
    const more = [
        chunk('zTXt', Buffer.concat([Buffer.from('Comment\0\0'), bomb])),
        chunk('iCCP', Buffer.concat([Buffer.from('profile\0\0'), bomb])),
        chunk('tEXt', `Comment\0${SCRIPT}`),
        chunk('eXIf', 'secret place'),
    ];
    const { body } = await upload(form(png({ more })));
    assert.deepEqual(await bytesOf(await server.fetch(body.avatar)), png());
});

test('sizes', async () => {
    const padded = (n) => Buffer.concat([whole.subarray(0, 33), chunk('tEXt', Buffer.alloc(n)), whole.subarray(33)]);
    const fits = padded(102400 - whole.length - 12);
    assert.equal(fits.length, 102400);
    assert.equal((await upload(form(fits))).status, 200);
    const refused = await upload(form(padded(fits.length)));
    assertRefused(refused, 413, 'The picture is larger than 102400 bytes', 'BODY_TOO_LARGE');
});

test('forms that bring no picture', async () => {
    assertRefused(await upload(form(whole, { field: 'file' })), 400, 'A file named avatar is required');
    assert.equal((await upload('{}', { 'content-type': 'application/json' })).status, 400);
    assert.equal((await upload(whole, { 'content-type': 'image/png' })).status, 400);
    assert.equal((await upload('--x\r\n', { 'content-type': 'multipart/form-data; boundary=x' })).status, 400);
    assert.equal((await user.get(`/api/agents/${agent._id}`)).avatar.startsWith('/public/avatars/'), true);
});

test('names that lead elsewhere', async () => {
    await mkdir(path.join(folder, 'inner.png'), { recursive: true });
    await writeFile(path.join(folder, '.hidden.png'), 'secret');
    await writeFile(path.join(folder, 'notes.txt'), 'secret');
    await writeFile(path.join(server.folder, 'secret.png'), 'secret');
    await symlink('../../secret.png', path.join(folder, 'link.png'));
    await symlink('/etc/passwd', path.join(folder, 'passwd.png'));
    const names = `../../secret.png ..%2f..%2fsecret.png %2e%2e/%2e%2e/secret.png ..%5c..%5csecret.png ....//secret.png
        /etc/passwd %2fetc%2fpasswd ai-avatar.png%00.svg %00 .hidden.png %2ehidden.png . .. %2e%2e link.png passwd.png
        inner.png notes.txt none.png AI-AVATAR.PNG con%0d%0aX:1.png ${'x'.repeat(300)}.png`;
    for (const at of ['/public/avatars/', '/uploads/']) {
        for (const name of names.split(/\s+/)) {
            const response = await exchange(server.port, `GET ${at}${name} HTTP/1.1\r\nHost: x\r\n\r\n`);
            assert.ok([400, 404].includes(response.status), `${at}${name}: ${response.status}`);
            assert.doesNotMatch(String(response.body), /secret|root:/);
        }
    }
});

test('a file of the operator’s goes before ours, and changes when it does', async () => {
    const own = path.join(folder, 'general.png');
    await writeFile(own, png());
    const first = await server.fetch('/public/avatars/general.png');
    assert.deepEqual(await bytesOf(first), png());
    const headers = { 'if-none-match': first.headers.get('etag') };
    assert.equal((await server.fetch('/public/avatars/general.png', { headers })).status, 304);
    await writeFile(own, png({ width: 3 }));
    const second = await server.fetch('/public/avatars/general.png', { headers });
    assert.equal(second.status, 200);
    assert.deepEqual(await bytesOf(second), png({ width: 3 }));
});

test('a file of the operator’s may be an avatar, and stays', async () => {
    const own = path.join(folder, 'team.png');
    await writeFile(own, png());
    const made = await user.agent({ avatar: '/public/avatars/team.png' });
    assert.equal(made.avatar, '/public/avatars/team.png');
    await user.ask(200, 'DELETE', `/api/agents/${made._id}`);
    assert.deepEqual(await readFile(own), png());
});

test('many pictures at once: what an agent shows is there, and goes with it', async () => {
    const made = await user.agent();
    const kinds = [png(), jpeg(), gif()];
    const replies = await Promise.all(Array.from({ length: 12 }, (_, i) => upload(form(kinds[i % 3]), {}, made._id)));
    assert.ok(replies.every(({ status }) => status === 200));
    const { avatar } = await user.get(`/api/agents/${made._id}`);
    assert.ok(replies.some(({ body }) => body.avatar === avatar));
    assert.equal((await server.fetch(avatar)).status, 200);
    await user.ask(200, 'DELETE', `/api/agents/${made._id}`);
    assert.equal((await server.fetch(avatar)).status, 404);
});

test('/uploads serves what lies there, and opens nothing that runs', async () => {
    assert.equal((await server.fetch('/uploads/a.png')).status, 404);
    await mkdir(uploads, { recursive: true });
    const types = { 'a.png': 'image/png', 'a.MP3': 'audio/mpeg', 'a.txt': 'text/plain; charset=utf-8' };
    for (const name of [...Object.keys(types), 'a.html', 'a.svg', 'a', 'a b.js']) {
        const type = types[name];
        await writeFile(path.join(uploads, name), 'content');
        const response = await server.fetch(`/uploads/${encodeURIComponent(name)}`);
        assert.equal(response.status, 200, name);
        assert.equal(response.headers.get('content-type'), type ?? 'application/octet-stream');
        assert.equal(response.headers.get('content-disposition'), type ? null : 'attachment');
        assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
        assert.match(response.headers.get('content-security-policy'), /sandbox/);
        assert.equal(await response.text(), 'content');
    }
    assert.equal(await readFile(path.join(uploads, 'a.png'), 'utf8'), 'content');
});

test('kinds are the operator’s choice', async (t) => {
    const strict = await startServer(t, { env: { ...careEnv, ALLOWED_FILE_TYPES: 'PNG' } });
    const someone = await CareUser.make(strict);
    assert.match((await someone.agent({ avatar: dataUrl(png()) })).avatar, /\.png$/);
    for (const bytes of [jpeg(), gif()]) {
        const reply = await someone.json('POST', '/api/agents', { ...agent, avatar: dataUrl(bytes) });
        assertRefused(reply, 400, 'The picture must be one of: PNG');
    }
});

test('a folder that takes nothing', async (t) => {
    const at = await temporaryFolder();
    t.after(() => rm(at, { recursive: true }));
    await writeFile(path.join(at, 'file'), '');
    const full = await startServer(t, { env: { ...careEnv, AVATAR_PATH: path.join(at, 'file', 'avatars') } });
    const someone = await CareUser.make(full);
    const reply = await someone.json('POST', '/api/agents', { ...agent, avatar: dataUrl(png()) });
    assertRefused(reply, 500, 'The picture cannot be kept', 'INTERNAL_ERROR');
    assert.deepEqual(await someone.get('/api/agents'), []);
    assert.equal((await full.fetch(DEFAULT)).status, 200);
});
