// (n) Speech over HTTP: what a server in between adds to the first byte of audio, and how soon embedded voices begin.
import net from 'node:net';
import path from 'node:path';
import { BENCH, LOAD_CORE, startNode, startParley } from '../support/process.mjs';
import { interleave, median, medianOf, row } from '../support/rows.mjs';

const SPEECH = path.join(BENCH, '../tests/fake/speech.mjs');
const SENTENCE = 'Your order left today.';
const STORY = 'It is very nice today. I want to buy a new computer. Please call me back in ten minutes. '.repeat(5);

/** One kept connection on which whole requests are asked, one behind the other. */
class Asker {
    constructor(port, headers) {
        this.socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
        this.headers = headers;
    }

    /** Milliseconds to the first byte of the body; the rest of it is read as well. */
    ask(body) {
        const text = JSON.stringify(body);
        const head = `POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\n${this.headers}Content-Type: application/json\r\n`;
        return new Promise((resolve, reject) => {
            let seen = '';
            let first = 0;
            const began = performance.now();
            const take = (chunk) => {
                seen += chunk.toString('latin1');
                const end = seen.indexOf('\r\n\r\n');
                if (!first && end >= 0 && seen.length > end + 4) {
                    first = performance.now() - began;
                }
                if (seen.endsWith('\r\n0\r\n\r\n')) {
                    this.socket.off('data', take).off('close', reject);
                    (seen.startsWith('HTTP/1.1 200 ') ? resolve : reject)(first);
                }
            };
            this.socket.on('data', take).once('close', reject);
            this.socket.write(`${head}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
        });
    }

    close() {
        this.socket.removeAllListeners('close').destroy();
    }
}

const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * q)];

async function measure({ port, headers = '' }, requests, body) {
    const asker = new Asker(port, headers);
    const times = [];
    for (let i = 0; i < requests; i++) {
        times.push(await asker.ask(body));
    }
    asker.close();
    return times;
}

async function passing(rounds, requests) {
    const speech = await startNode(SPEECH, {
        core: LOAD_CORE,
        env: { PORT: '0', KEY: 'sk-bench' },
        ready: (output) => Number(/listening on \S+:(\d+)/.exec(output)?.[1] ?? 0),
    });
    const env = { OPENAI_BASE_URL: `http://127.0.0.1:${speech.port}/v1`, OPENAI_API_KEY: 'sk-bench' };
    const parley = await startParley(env);
    const contestants = {
        direct: { port: speech.port, headers: 'Authorization: Bearer sk-bench\r\n' },
        parley: { port: parley.port },
    };
    const body = { model: 'tts-1', voice: 'alloy', input: SENTENCE, response_format: 'mp3' };
    const results = await interleave(rounds, contestants, (where) => measure(where, requests, body));
    await Promise.all([speech.stop(), parley.stop()]);
    return [0.5, 0.99].map((q) => {
        const us = medianOf(results, (times) => quantile(times, q) * 1000);
        return row('n', `TTS: added to the first byte, p${q * 100}`, us.parley - us.direct, {
            unit: 'us',
            peer: us.direct,
            peerName: 'direct, all of it',
        });
    });
}

async function offline(rounds) {
    const parley = await startParley();
    const first = async (input, format) => {
        const body = { input, response_format: format };
        await measure(parley, 1, body); // the voice is loaded, the media process runs
        return median((await measure(parley, rounds * 2, body)).slice(1));
    };
    const rows = [
        row('n', 'embedded voice: first byte of a short sentence, PCM', await first(SENTENCE, 'pcm'), { unit: 'ms' }),
        row('n', 'embedded voice: first byte of fifteen sentences, PCM', await first(STORY, 'pcm'), { unit: 'ms' }),
        row('n', 'embedded voice: first byte of a short sentence, MP3', await first(SENTENCE, 'mp3'), { unit: 'ms' }),
    ];
    await parley.stop();
    return rows;
}

export async function run({ rounds, quick }) {
    return [...(await passing(rounds, quick ? 50 : 300)), ...(await offline(rounds))];
}
