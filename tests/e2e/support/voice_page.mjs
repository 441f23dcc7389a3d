// The page on /voice in Chromium: with a microphone that a test speaks into, and a server that a test plays.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const PATIENCE = 120000; // ms for what must come
const FLAGS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-audio-output', // to a device: it is computed all the same
    '--autoplay-policy=user-gesture-required',
];

/** With `capture`, a WAV file, Chromium's own microphone is that file, once. */
export async function launch(t, { capture, args = [] } = {}) {
    const captured = ['--use-fake-ui-for-media-stream', `--use-file-for-fake-audio-capture=${capture}%noloop`];
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: [
            ...FLAGS,
            ...args,
            '--use-fake-device-for-media-stream',
            ...(capture ? captured : []),
        ],
    });
    t.after(() => browser.close());
    return browser;
}

/* Replaces the microphone by one that is silent until the test speaks: window.speak(samples), at its rate. */
function installMicrophone(sampleRate) {
    let context;
    let output;
    navigator.mediaDevices.getUserMedia = async () => {
        context ??= new AudioContext({ sampleRate });
        output = context.createMediaStreamDestination();
        const silence = context.createConstantSource();
        silence.offset.value = 0;
        silence.connect(output);
        silence.start();
        await context.resume();
        window.stream = output.stream;
        return output.stream;
    };
    window.speak = (samples) => {
        const buffer = context.createBuffer(1, samples.length, sampleRate);
        buffer.copyToChannel(Float32Array.from(samples, (x) => x / 32768), 0);
        const source = context.createBufferSource();
        source.buffer = buffer;
        source.connect(output);
        return new Promise((resolve) => {
            source.onended = () => resolve();
            source.start();
        });
    };
}

/**
 * A page with `problems`: errors on the console and exceptions. microphone: "test" (window.speak, PCM16 at that rate),
 * "real", "refused".
 * play: a function that gets each WebSocket instead of the server (Playwright's WebSocketRoute).
 */
export async function openPage(t, browser, url, given = {}) {
    const { microphone = 'test', rate = 24000, play, path = '/voice', script, ...options } = given;
    const context = await browser.newContext({
        permissions: microphone === 'refused' ? [] : ['microphone'],
        ...options,
    });
    t.after(() => context.close());
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    page.problems = [];
    page.on('pageerror', (error) => page.problems.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
    if (microphone === 'test') {
        await page.addInitScript(installMicrophone, rate);
    }
    if (script) {
        await page.addInitScript(script);
    }
    if (play) {
        await page.routeWebSocket(/\/v1\/realtime|\/ws\/audio/, play);
    }
    await page.goto(url + path);
    if (path.startsWith('/voice')) {
        await page.waitForFunction(() => window.voice);
    }
    return page;
}

export const inState = (page, state) => page.waitForFunction((name) => window.voice.state === name, state);

export const messages = (page) =>
    page.locator('#messages li').evaluateAll((entries) =>
        entries.map((entry) => ({ role: entry.className.split(' ')[0], text: entry.lastChild.textContent })),
    );

/** The other side of a WebSocket as a test plays it: remembers what the page sent, and waits for it. */
export class Played {
    constructor() {
        this.connections = 0;
        this.received = [];
        this.waiting = [];
        this.sought = [];
        this.created = true; // whether a session begins by itself
        this.play = (ws) => {
            this.ws = ws;
            this.connections++;
            this.sought.forEach((resolve) => resolve());
            this.url = ws.url();
            ws.onMessage((data) => this.#take(JSON.parse(data)));
            if (this.created) {
                this.begin();
            }
        };
    }

    async connected(n) {
        while (this.connections < n) {
            await new Promise((resolve) => this.sought.push(resolve));
        }
    }

    /** Waits until what the microphone sent is as wanted. */
    async heard(wanted) {
        while (!wanted(this.samples())) {
            await this.next('input_audio_buffer.append', this.received.length);
        }
        return this.samples();
    }

    samples() {
        const pieces = this.received.filter(({ type }) => type === 'input_audio_buffer.append');
        return pieces.flatMap(({ audio }) => {
            const bytes = Buffer.from(audio, 'base64');
            assert.equal(bytes.length, 1920, 'pieces of 40 ms');
            return Array.from({ length: 960 }, (_, i) => bytes.readInt16LE(2 * i));
        });
    }

    #take(event) {
        this.received.push(event);
        this.waiting = this.waiting.filter(({ type, from, resolve }) => {
            const is = event.type === type && this.received.length > from;
            if (is) {
                resolve(event);
            }
            return !is;
        });
    }

    /** The first event of the type behind the first `from` events: one that came already, or is to come. */
    next(type, from = 0) {
        const found = this.received.slice(from).find((event) => event.type === type);
        if (found) {
            return Promise.resolve(found);
        }
        return new Promise((resolve, reject) => {
            const giveUp = setTimeout(() => reject(new Error(`the page sends no ${type}`)), PATIENCE);
            this.waiting.push({ type, from, resolve: (event) => resolve(event, clearTimeout(giveUp)) });
        });
    }

    send(...events) {
        events.forEach((event) => this.ws.send(JSON.stringify(event)));
    }

    begin() {
        const realtime = this.url.includes('/v1/realtime');
        this.send(realtime ? { type: 'session.created', session: { type: 'realtime' } } : { type: 'connection' });
    }

    /** What the user said. */
    hear(id, transcript) {
        const item = { id, type: 'message', role: 'user', content: [{ type: 'input_audio', transcript: null }] };
        this.send(
            { type: 'input_audio_buffer.speech_stopped', item_id: id, audio_end_ms: 900 },
            { type: 'input_audio_buffer.committed', item_id: id, previous_item_id: null },
            { type: 'conversation.item.added', item, previous_item_id: null },
            { type: 'conversation.item.input_audio_transcription.completed', item_id: id, transcript },
        );
    }

    /** The beginning of a spoken reply: all its text, and so many seconds of a tone. */
    reply(id, text, seconds, { done = true } = {}) {
        const ids = { response_id: `resp_${id}`, item_id: id, output_index: 0, content_index: 0 };
        const item = { id, type: 'message', role: 'assistant', content: [] };
        const tone = Int16Array.from({ length: 2400 }, (_, i) => 8000 * Math.sin((2 * Math.PI * 440 * i) / 24000));
        const delta = Buffer.from(tone.buffer).toString('base64');
        this.send(
            { type: 'response.created', response: { id: ids.response_id, status: 'in_progress' } },
            { type: 'response.output_item.added', ...ids, item },
            { type: 'conversation.item.added', item },
            { type: 'response.output_audio_transcript.delta', ...ids, delta: text.slice(0, 5) },
            { type: 'response.output_audio_transcript.delta', ...ids, delta: text.slice(5) },
        );
        for (let i = 0; i < seconds * 10; i++) {
            this.send({ type: 'response.output_audio.delta', ...ids, delta });
        }
        if (done) {
            this.finish(id, 'completed', { transcript: text });
        }
    }

    finish(id, status, { transcript, ...details } = {}) {
        const ids = { response_id: `resp_${id}`, item_id: id, output_index: 0, content_index: 0 };
        if (transcript) {
            this.send({ type: 'response.output_audio_transcript.done', ...ids, transcript });
        }
        const response = { id: ids.response_id, status, status_details: details, output: [{ id, type: 'message' }] };
        this.send({ type: 'response.done', response });
    }
}

/** Words in any case, without signs. */
const words = (text) => text.toLowerCase().match(/[a-z']+/g) ?? [];

/** The share of the expected words that were heard, in order. */
export function wordsRight(expected, heard) {
    const a = words(expected);
    const b = words(heard);
    let row = new Array(b.length + 1).fill(0);
    for (const word of a) {
        const next = [0];
        b.forEach((other, i) => next.push(word === other ? row[i] + 1 : Math.max(next[i], row[i + 1])));
        row = next;
    }
    assert.ok(a.length > 0);
    return row.at(-1) / a.length;
}
