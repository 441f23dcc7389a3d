// Audio that the stand-in of speech services speaks: a tone, as long as the text. PCM and WAV are computed; what needs an
// encoder is a recorded half second, repeated where a format allows that.
import { readFileSync } from 'node:fs';

const recorded = Object.fromEntries(
    ['mp3', 'opus', 'aac', 'flac'].map((format) => [
        format,
        readFileSync(new URL(`./audio/tone.${format}`, import.meta.url)),
    ]),
);

/** Signed 16 bit, little endian, mono. */
export function pcm(seconds, rate = 24000, hertz = 440) {
    const samples = Buffer.alloc(Math.round(seconds * rate) * 2);
    for (let i = 0; i < samples.length / 2; i++) {
        samples.writeInt16LE(Math.round(16000 * Math.sin((2 * Math.PI * hertz * i) / rate)), 2 * i);
    }
    return samples;
}

/** sizes: false for a stream, which does not know them. */
export function wav(samples, rate, { sizes = true } = {}) {
    const head = Buffer.alloc(44);
    head.write('RIFF', 0);
    head.writeUInt32LE(sizes ? samples.length + 36 : 0xffffffff, 4);
    head.write('WAVEfmt ', 8);
    head.writeUInt32LE(16, 16);
    head.writeUInt16LE(1, 20);
    head.writeUInt16LE(1, 22);
    head.writeUInt32LE(rate, 24);
    head.writeUInt32LE(rate * 2, 28);
    head.writeUInt16LE(2, 32);
    head.writeUInt16LE(16, 34);
    head.write('data', 36);
    head.writeUInt32LE(sizes ? samples.length : 0xffffffff, 40);
    return Buffer.concat([head, samples]);
}

/** The audio of `seconds`, in one of OpenAI's formats. */
export function audio(format, seconds, rate = 24000) {
    if (format === 'pcm') {
        return pcm(seconds, rate);
    }
    if (format === 'wav') {
        return wav(pcm(seconds, rate), rate, { sizes: false });
    }
    const piece = recorded[format];
    const times = format === 'mp3' || format === 'aac' ? Math.max(1, Math.round(seconds / 0.5)) : 1;
    return Buffer.concat(Array(times).fill(piece));
}

/** What a RIFF WAVE file of 16-bit PCM says and holds; throws when it is none, or says more than it holds. */
export function readWav(file) {
    const fail = (why) => {
        throw new Error(`no WAV: ${why}`);
    };
    if (file.length < 44 || file.toString('latin1', 0, 4) !== 'RIFF' || file.toString('latin1', 8, 16) !== 'WAVEfmt ') {
        fail('head');
    }
    if (file.readUInt32LE(4) !== file.length - 8) {
        fail(`RIFF size ${file.readUInt32LE(4)} of ${file.length}`);
    }
    const [format, channels, bits] = [file.readUInt16LE(20), file.readUInt16LE(22), file.readUInt16LE(34)];
    const rate = file.readUInt32LE(24);
    if (format !== 1 || bits !== 16 || file.readUInt32LE(28) !== rate * channels * 2) {
        fail('format');
    }
    if (file.toString('latin1', 36, 40) !== 'data' || file.readUInt32LE(40) !== file.length - 44) {
        fail('data');
    }
    const samples = file.subarray(44);
    return { rate, channels, samples, seconds: samples.length / 2 / channels / rate };
}
