// HTTP that is malformed or could smuggle a second request past a proxy: refused, and the connection closed.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { RawClient, exchange, get, request } from './support/raw.mjs';
import { startServer } from './support/server.mjs';

const server = await startServer({ after });
const SMUGGLED = 'GET /api/status HTTP/1.1\r\nHost: x\r\n\r\n';
const post = (headers, body = '') => `POST /api/chat HTTP/1.1\r\nHost: x\r\n${headers}\r\n${body}`;

/** Exactly one response with a status of the list comes, then the end: nothing behind it was taken as a request. */
async function refused(bytes, statuses) {
    const client = await RawClient.connect(server.port);
    const response = await client.request(bytes);
    assert.ok(statuses.includes(response.status), `${response.status} for ${JSON.stringify(bytes.slice(0, 200))}`);
    const rest = (await client.rest()).toString('latin1');
    assert.doesNotMatch(rest, /HTTP\/1\.1 200/);
    client.close();
    return response;
}

const SMUGGLING = {
    'Content-Length and Transfer-Encoding': post(
        'Content-Length: 6\r\nTransfer-Encoding: chunked\r\n',
        `0\r\n\r\n${SMUGGLED}`,
    ),
    'Transfer-Encoding first': post('Transfer-Encoding: chunked\r\nContent-Length: 6\r\n', `0\r\n\r\n${SMUGGLED}`),
    'two different Content-Lengths': post('Content-Length: 2\r\nContent-Length: 6\r\n', `{}${SMUGGLED}`),
    'two equal Content-Lengths': post('Content-Length: 2\r\nContent-Length: 2\r\n', `{}${SMUGGLED}`),
    'a list of Content-Lengths': post('Content-Length: 2, 2\r\n', `{}${SMUGGLED}`),
    'negative Content-Length': post('Content-Length: -1\r\n', SMUGGLED),
    'signed Content-Length': post('Content-Length: +2\r\n', `{}${SMUGGLED}`),
    'Content-Length in hexadecimal': post('Content-Length: 0x2\r\n', `{}${SMUGGLED}`),
    'Content-Length with space inside': post('Content-Length: 1 2\r\n', `{}${SMUGGLED}`),
    'empty Content-Length': post('Content-Length: \r\n', SMUGGLED),
    'Content-Length beyond 64 bits': post('Content-Length: 18446744073709551618\r\n', `{}${SMUGGLED}`),
    'two Transfer-Encodings': post(
        'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
        `0\r\n\r\n${SMUGGLED}`,
    ),
    'Transfer-Encoding: identity': post('Transfer-Encoding: identity\r\n', SMUGGLED),
    'Transfer-Encoding: xchunked': post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${SMUGGLED}`),
    'Transfer-Encoding: gzip, chunked': post('Transfer-Encoding: gzip, chunked\r\n', `0\r\n\r\n${SMUGGLED}`),
    'Transfer-Encoding: chunked, identity': post('Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${SMUGGLED}`),
    'Transfer-Encoding with a vertical tab': post('Transfer-Encoding: \x0bchunked\r\n', `0\r\n\r\n${SMUGGLED}`),
    'Transfer-Encoding in HTTP/1.0': `POST /api/chat HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    'space before the colon': post('Transfer-Encoding : chunked\r\n', `0\r\n\r\n${SMUGGLED}`),
    'tab before the colon': post('Content-Length\t: 2\r\n', `{}${SMUGGLED}`),
    'space before the name': post(' Content-Length: 2\r\n', `{}${SMUGGLED}`),
    'folded header': post('X-Fold: a\r\n b\r\nContent-Length: 2\r\n', `{}${SMUGGLED}`),
    'folded Transfer-Encoding': post('Transfer-Encoding:\r\n chunked\r\n', `0\r\n\r\n${SMUGGLED}`),
    'bare LF line ends': `POST /api/chat HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}${SMUGGLED}`,
    'one bare LF in the head': post('X: a\nContent-Length: 2\r\n', `{}${SMUGGLED}`),
    'bare CR in a value': post('X: a\rContent-Length: 2\r\n', SMUGGLED),
    'NUL in a value': post('X: a\0b\r\nContent-Length: 2\r\n', `{}${SMUGGLED}`),
    'NUL in the target': `GET /hea\0lth HTTP/1.1\r\nHost: x\r\n\r\n${SMUGGLED}`,
    'control character in a value': post('X: a\x01b\r\nContent-Length: 2\r\n', `{}${SMUGGLED}`),
    'no header name': post(': x\r\nContent-Length: 2\r\n', `{}${SMUGGLED}`),
    'no colon': post('Content-Length 2\r\n', `{}${SMUGGLED}`),
    'odd character in a name': post('Content(Length: 2\r\n', `{}${SMUGGLED}`),
};

for (const [name, bytes] of Object.entries(SMUGGLING)) {
    test(`refused: ${name}`, async () => {
        await refused(bytes, [400, 501]);
    });
}

const CHUNKS = {
    'bare LF in the chunk size line': '2\n{}\n0\n\n',
    'size with a sign': '+2\r\n{}\r\n0\r\n\r\n',
    'size with 0x': '0x2\r\n{}\r\n0\r\n\r\n',
    'size with space in front': ' 2\r\n{}\r\n0\r\n\r\n',
    'no CRLF behind the data': '2\r\n{}0\r\n\r\n',
    'empty size': '\r\n{}\r\n0\r\n\r\n',
};

for (const [name, body] of Object.entries(CHUNKS)) {
    test(`refused chunked body: ${name}`, async () => {
        await refused(post('Transfer-Encoding: chunked\r\n', body + SMUGGLED), [400]);
    });
}

test('request lines that are wrong', async () => {
    for (const line of [
        'GET',
        'GET /health',
        'GET  /health HTTP/1.1',
        'GET /health HTTP/1.1 x',
        ' GET /health HTTP/1.1',
        'GET health HTTP/1.1',
        'GET /hea lth HTTP/1.1',
        'G@T /health HTTP/1.1',
        'GET /health HTTP/1.x',
        'GET /health http/1.1',
        'GET /health ICAP/1.0',
        '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    ]) {
        await refused(`${line}\r\nHost: x\r\n\r\n`, [400, 505]);
    }
    await refused('GET /health HTTP/2.0\r\nHost: x\r\n\r\n', [505]);
});

test('Host: exactly one in HTTP/1.1', async () => {
    await refused('GET /health HTTP/1.1\r\n\r\n', [400]);
    await refused('GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', [400]);
});

test('a long target is 414, a large head 431, many headers 431', async () => {
    await refused(get(`/${'a'.repeat(9000)}`), [414]);
    await refused(get('/health', { 'X-Big': 'a'.repeat(20000) }), [431]);
    const many = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`X-${i}`, 'v']));
    await refused(get('/health', many), [431]);
});

test('an endless head is refused before it ends', async () => {
    const client = await RawClient.connect(server.port);
    await client.write(`GET /health HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(64 * 1024)}`);
    assert.equal((await client.response()).status, 431);
    await client.closed();
});

test('bodies beyond the limit: 413 from the length alone, and while a chunked one grows', async () => {
    const big = await exchange(server.port, post(`Content-Length: ${51 * 1024 * 1024}\r\n`));
    assert.equal(big.status, 413);
    assert.equal(typeof big.body.error, 'string');
    const small = await exchange(
        server.port,
        request('POST', '/api/conversations', { 'Content-Length': 11 * 1024 * 1024 }),
    );
    assert.equal(small.status, 413);

    const client = await RawClient.connect(server.port);
    const chunk = Buffer.from(`100000\r\n${'a'.repeat(0x100000)}\r\n`);
    await client.write(request('POST', '/api/conversations', { 'Transfer-Encoding': 'chunked' }));
    for (let i = 0; i < 12 && !client.ended; i++) {
        client.socket.write(chunk);
    }
    assert.equal((await client.response()).status, 413);
    client.close();
});

test('encodings and types we do not read are 415', async () => {
    const body = '{"title":"x"}';
    const encoded = await exchange(
        server.port,
        request('POST', '/api/conversations', { 'Content-Length': body.length, 'Content-Encoding': 'gzip' }, body),
    );
    assert.equal(encoded.status, 415);
    const image = await exchange(
        server.port,
        request('POST', '/api/conversations', { 'Content-Length': body.length, 'Content-Type': 'image/png' }, body),
    );
    assert.equal(image.status, 415);
});

test('a POST without any length is refused as such, or as empty', async () => {
    const response = await exchange(server.port, request('POST', '/api/chat'));
    assert.ok([400, 411].includes(response.status));
});

test('an unknown expectation is 417', async () => {
    const response = await exchange(server.port, get('/health', { Expect: 'the-unexpected' }));
    assert.equal(response.status, 417);
});

test('bodies that are no JSON are 400', async () => {
    const deep = '['.repeat(100000) + ']'.repeat(100000);
    for (const body of ['', 'nope', '{"message":', '[1,2]', '"text"', 'null', `{"message":${deep}}`, '{"message":"\xff"}']) {
        const bytes = Buffer.from(body, 'latin1');
        const head = request('POST', '/api/chat', { 'Content-Type': 'application/json', 'Content-Length': bytes.length });
        const response = await exchange(server.port, Buffer.concat([Buffer.from(head), bytes]));
        assert.equal(response.status, 400, JSON.stringify(body.slice(0, 40)));
    }
});

test('errors carry a JSON body and do not echo the request', async () => {
    const response = await exchange(server.port, 'GET /<script> HTTP/1.1\r\nHost: x\r\nBad Header: <script>\r\n\r\n');
    assert.equal(response.status, 400);
    assert.equal(response.headers['content-type'], 'application/json; charset=utf-8');
    assert.doesNotMatch(response.text, /script/);
});
