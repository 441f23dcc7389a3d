// Small pictures of every kind, made byte by byte, and files that only look like pictures.
import { deflateSync } from 'node:zlib';

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) {
        n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    }
    return n >>> 0;
});

const crc32 = (bytes) =>
    (bytes.reduce((crc, byte) => TABLE[(crc ^ byte) & 255] ^ (crc >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0;

function u32(value) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value >>> 0);
    return bytes;
}

export function chunk(type, data = '') {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), Buffer.from(data)]);
    return Buffer.concat([u32(body.length - 4), body, u32(crc32(body))]);
}

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** A grey PNG; `more` are chunks in front of the data, `size` is what its header says. */
export function png({ width = 2, height = 2, more = [], size = [width, height] } = {}) {
    const header = Buffer.concat([u32(size[0]), u32(size[1]), Buffer.from([8, 0, 0, 0, 0])]);
    const rows = Buffer.alloc((width + 1) * height);
    return Buffer.concat([SIGNATURE, chunk('IHDR', header), ...more, chunk('IDAT', deflateSync(rows)), chunk('IEND')]);
}

/** A baseline JPEG of one component; `data` is no real scan, which only a decoder would find out. */
export const jpeg = ({ width = 3, height = 5 } = {}) =>
    Buffer.concat([
        Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]),
        Buffer.from('JFIF\0\x01\x02\0\0\x01\0\x01\0\0', 'latin1'),
        Buffer.from([0xff, 0xc0, 0, 11, 8, height >> 8, height & 255, width >> 8, width & 255, 1, 1, 0x11, 0]),
        Buffer.from([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 1, 2, 3, 0xff, 0, 4, 0xff, 0xd9]),
    ]);

const FRAME = [0x2c, 0, 0, 0, 0, 2, 0, 2, 0, 0, 2, 2, 0x4c, 0x01, 0];

export const gif = ({ frames = 1, width = 2, height = 2 } = {}) =>
    Buffer.concat([
        Buffer.from('GIF89a', 'latin1'),
        Buffer.from([width & 255, width >> 8, height & 255, height >> 8, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]),
        ...Array.from({ length: frames }, () => Buffer.from(FRAME)),
        Buffer.from([0x3b]),
    ]);

export const dataUrl = (bytes, type = 'image/png') => `data:${type};base64,${bytes.toString('base64')}`;

/** A form with a file, as browsers send it. */
export function form(bytes, { field = 'avatar', name = 'me.png', type = 'image/png' } = {}) {
    const body = new FormData();
    body.append(field, new Blob([bytes], { type }), name);
    return body;
}
