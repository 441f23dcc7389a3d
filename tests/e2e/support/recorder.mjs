// Spoken sentences as a browser records them: Chromium's MediaRecorder, 100 ms slices of one WebM/Opus (or MP4) stream.
import http from 'node:http';
import { once } from 'node:events';
import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--autoplay-policy=no-user-gesture-required'];

/* In the page: plays files one after the other into a stream that nobody hears, with silence behind each, and records
 * that. */
async function record({ files, type, slice, lead, trail, noise }) {
    const context = new AudioContext({ sampleRate: 48000 });
    await context.resume();
    const sink = context.createMediaStreamDestination();
    const decode = (file) => context.decodeAudioData(Uint8Array.from(atob(file), (c) => c.charCodeAt(0)).buffer);
    const sounds = await Promise.all(files.map(decode));
    const level = context.createConstantSource(); // a stream without any source is not recorded
    const quiet = context.createGain();
    quiet.gain.value = 0;
    level.connect(quiet).connect(sink);
    level.start();
    if (noise) {
        const hiss = context.createBuffer(1, 48000 * 4, 48000);
        const samples = hiss.getChannelData(0);
        for (let i = 0; i < samples.length; i++) {
            samples[i] = (Math.random() * 2 - 1) * noise;
        }
        const source = context.createBufferSource();
        source.buffer = hiss;
        source.loop = true;
        source.connect(sink);
        source.start();
    }
    const recorder = new MediaRecorder(sink.stream, { mimeType: type, audioBitsPerSecond: 24000 });
    const slices = [];
    recorder.ondataavailable = (event) => event.data.size && slices.push(event.data);
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.start(slice);
    let seconds = lead;
    for (const sound of sounds) {
        const source = context.createBufferSource();
        source.buffer = sound;
        source.connect(sink);
        source.start(context.currentTime + seconds);
        seconds += sound.duration + trail;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000 * (sounds.length ? seconds : lead + trail)));
    recorder.stop();
    await stopped;
    await context.close();
    const asBase64 = async (blob) => {
        let text = '';
        for (const byte of new Uint8Array(await blob.arrayBuffer())) {
            text += String.fromCharCode(byte);
        }
        return btoa(text);
    };
    return Promise.all(slices.map(asBase64));
}

/* In the page: what a front end does with a microphone. Frames of the server up to the first of type `last`. */
async function converse({ url, file, last }) {
    const context = new AudioContext({ sampleRate: 48000 });
    await context.resume();
    const microphone = context.createMediaStreamDestination();
    const sound = await context.decodeAudioData(Uint8Array.from(atob(file), (c) => c.charCodeAt(0)).buffer);
    const frames = [];
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
        socket.onopen = resolve;
        socket.onerror = () => reject(new Error('the socket failed'));
    });
    const over = new Promise((resolve, reject) => {
        socket.onmessage = ({ data }) => frames.push(JSON.parse(data)) && frames.at(-1).type === last && resolve();
        socket.onclose = () => reject(new Error('the socket closed'));
    });
    const recorder = new MediaRecorder(microphone.stream, { mimeType: 'audio/webm;codecs=opus' });
    recorder.ondataavailable = (event) => {
        const reader = new FileReader();
        reader.onload = () => {
            const data = reader.result.split(',')[1];
            socket.send(JSON.stringify({ type: 'audio', data, timestamp: new Date().toISOString() }));
        };
        reader.readAsDataURL(event.data);
    };
    const source = context.createBufferSource();
    source.buffer = sound;
    source.connect(microphone);
    recorder.start(100);
    source.start(context.currentTime + 0.5);
    await over;
    recorder.stop();
    await context.close();
    return frames;
}

/* In the page: what a person would hear of a file. */
async function listen(file) {
    const context = new OfflineAudioContext(1, 1, 16000);
    const sound = await context.decodeAudioData(Uint8Array.from(atob(file), (c) => c.charCodeAt(0)).buffer);
    const samples = sound.getChannelData(0);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    const pcm = Int16Array.from(samples, (sample) => 32767 * Math.max(-1, Math.min(1, sample)));
    let text = '';
    for (const byte of new Uint8Array(pcm.buffer)) {
        text += String.fromCharCode(byte);
    }
    return { seconds: sound.duration, rms: Math.sqrt(power), pcm: btoa(text) };
}

export class Recorder {
    static async start() {
        const recorder = new Recorder();
        recorder.browser = await chromium.launch({
            executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
            args: FLAGS,
        });
        recorder.server = http.createServer((_, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>'));
        recorder.server.listen(0, '127.0.0.1');
        await once(recorder.server, 'listening');
        recorder.page = await recorder.browser.newPage();
        await recorder.page.goto(`http://127.0.0.1:${recorder.server.address().port}/`);
        return recorder;
    }

    /** Slices (base64) of one stream. files: what is played, of any kind, in base64; trail: s of silence behind each. */
    record(files, { type = 'audio/webm;codecs=opus', slice = 100, lead = 0.3, trail = 2, noise = 0 } = {}) {
        return this.page.evaluate(record, { files, type, slice, lead, trail, noise });
    }

    /** Says the file (base64) to a socket while it is recorded; what the server answers until a frame of type `last`. */
    converse(url, file, last) {
        return this.page.evaluate(converse, { url, file, last });
    }

    /** Length in seconds, loudness (1: full scale) and samples (16 kHz, base64) of a file. */
    listen(file) {
        return this.page.evaluate(listen, file);
    }

    async close() {
        await this.browser.close();
        this.server.close();
    }
}
