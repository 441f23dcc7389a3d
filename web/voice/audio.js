// The microphone and the loudspeaker, without any protocol.
export const RATE = 24000;

const MICROPHONE_WORKLET = new URL('microphone.worklet.js', import.meta.url);
const LEAD = 0.06; // s of silence before the first piece, so that the next ones come in time
const FADE = 0.01; // s
const AUDIBLE = 0.01; // of full scale

export class MicrophoneError extends Error {
    constructor(kind) {
        super(kind);
        this.kind = kind;
    }
}

const kinds = {
    NotAllowedError: 'refused',
    SecurityError: 'refused',
    NotFoundError: 'missing',
    OverconstrainedError: 'missing',
    NotReadableError: 'busy',
    AbortError: 'busy',
};

function checkOrigin() {
    if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
        throw new MicrophoneError('insecure');
    }
}

/** The stream of the microphone; a MicrophoneError says why there is none. */
export async function openStream() {
    checkOrigin();
    try {
        return await navigator.mediaDevices.getUserMedia({
            audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
        });
    } catch (error) {
        throw new MicrophoneError(kinds[error.name] ?? 'broken');
    }
}

/** Calls onpiece(Int16Array, level) for every 40 ms, and onended() when the device goes away. */
export class Microphone {
    static async open({ onpiece, onended }) {
        checkOrigin(); // without it there are no worklets either
        const microphone = new Microphone();
        const context = new AudioContext();
        microphone.context = context;
        try {
            const worklet = context.audioWorklet.addModule(MICROPHONE_WORKLET);
            worklet.catch(() => {}); // of no interest where there is no microphone
            microphone.stream = await openStream();
            await worklet;
            await context.resume();
        } catch (error) {
            microphone.close();
            throw error instanceof MicrophoneError ? error : new MicrophoneError('broken');
        }
        microphone.node = new AudioWorkletNode(context, 'microphone');
        microphone.node.port.onmessage = ({ data }) => onpiece(new Int16Array(data.pcm), data.level);
        context.createMediaStreamSource(microphone.stream).connect(microphone.node);
        microphone.node.connect(context.destination); // silent: only what leads there is sure to be computed
        microphone.stream.getAudioTracks()[0].onended = onended;
        return microphone;
    }

    set muted(muted) {
        for (const track of this.stream.getAudioTracks()) {
            track.enabled = !muted;
        }
    }

    close() {
        if (this.node) {
            this.node.port.onmessage = null;
            this.node.port.postMessage('close');
        }
        for (const track of this.stream?.getTracks() ?? []) {
            track.onended = null;
            track.stop();
        }
        this.context.close();
    }
}

const rootMeanSquare = (samples) => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);

/** Plays pieces of audio one directly behind the other, and knows how much of each item was really heard. */
export class Player {
    constructor({ onidle }) {
        this.context = new AudioContext({ sampleRate: RATE });
        this.onidle = onidle;
        this.analyser = this.context.createAnalyser();
        this.analyser.fftSize = 1024;
        this.samples = new Float32Array(this.analyser.fftSize);
        this.analyser.connect(this.context.destination);
        this.stats = { scheduled: 0, audible: 0, dropped: 0, gaps: 0 };
        this.sources = new Set();
        this.heard = new Map(); // ms of items that were cut off before: they may go on
        this.#begin();
    }

    #begin() {
        this.gain = this.context.createGain();
        this.gain.connect(this.analyser);
        this.end = 0; // of all that is scheduled, in the context's time, as below
        this.pieces = []; // { item, start, end } of what plays or waits, and of what their items played before
    }

    resume() {
        return this.context.resume();
    }

    get playing() {
        return this.sources.size > 0;
    }

    /** What is heard at this moment: root mean square of the last 40 ms. */
    get level() {
        this.analyser.getFloatTimeDomainData(this.samples);
        return rootMeanSquare(this.samples);
    }

    /** Calls onlevel(level) about 25 times a second with what the stream has. Returns how to end that. */
    meter(stream, onlevel) {
        const source = this.context.createMediaStreamSource(stream);
        const analyser = this.context.createAnalyser();
        const samples = new Float32Array((analyser.fftSize = 1024));
        source.connect(analyser);
        const timer = setInterval(() => {
            analyser.getFloatTimeDomainData(samples);
            onlevel(rootMeanSquare(samples));
        }, 40);
        return () => {
            clearInterval(timer);
            source.disconnect();
        };
    }

    play(item, pcm) {
        const buffer = this.context.createBuffer(1, Math.max(1, pcm.length), RATE);
        buffer.copyToChannel(Float32Array.from(pcm, (x) => x / 32768), 0);
        this.schedule(item, buffer);
    }

    /** A whole file, such as MP3. */
    async playFile(item, bytes) {
        this.schedule(item, await this.context.decodeAudioData(bytes));
    }

    schedule(item, buffer) {
        const source = this.context.createBufferSource();
        const now = this.context.currentTime;
        const late = this.end < now;
        if (late) {
            this.pieces = this.pieces.filter((piece) => piece.item === item);
            this.stats.gaps += this.pieces.length ? 1 : 0;
        }
        const start = late ? now + LEAD : this.end;
        this.end = start + buffer.length / buffer.sampleRate;
        this.pieces.push({ item, start, end: this.end });
        source.buffer = buffer;
        source.connect(this.gain);
        source.onended = () => this.#ended(source);
        this.sources.add(source);
        source.start(start);
        this.#count(buffer);
    }

    #count(buffer) {
        this.stats.scheduled += buffer.length;
        for (const sample of buffer.getChannelData(0)) {
            this.stats.audible += Math.abs(sample) > AUDIBLE ? 1 : 0;
        }
    }

    #ended(source) {
        this.sources.delete(source);
        if (!this.playing) {
            this.onidle();
        }
    }

    /** Stops at once. What was cut off, item by item: [{ item, ms of it that were heard so far }]. */
    flush() {
        if (!this.playing) {
            return [];
        }
        const now = this.context.currentTime;
        const playhead = now - (this.context.outputLatency || 0);
        const cut = new Map();
        for (const { item, start, end } of this.pieces) {
            const seconds = Math.max(0, Math.min(playhead, end) - start);
            const { ms = 0 } = cut.get(item) ?? {};
            cut.set(item, { item, ms: ms + seconds * 1000, whole: playhead >= end });
        }
        this.gain.gain.setTargetAtTime(0, now, FADE / 3);
        for (const source of this.sources) {
            source.onended = null;
            source.stop(now + FADE);
        }
        this.stats.dropped += Math.max(0, Math.round((this.end - now) * RATE));
        this.sources.clear();
        this.#begin();
        this.onidle();
        return [...cut.values()].filter(({ whole }) => !whole).map(({ item, ms }) => {
            const total = (this.heard.get(item) ?? 0) + Math.floor(ms);
            this.heard.set(item, total);
            return { item, ms: total };
        });
    }

    close() {
        this.onidle = () => {};
        return this.context.close();
    }
}

export function toBase64(bytes) {
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) {
        text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    }
    return btoa(text);
}

export function fromBase64(text) {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
