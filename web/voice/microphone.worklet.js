// Takes what the microphone gives, at the rate of the audio context, and posts PCM16 at 24 kHz in pieces of 40 ms.
const RATE = 24000;
const PIECE = 960;
const CROSSINGS = 16; // of the windowed sinc, on either side

const greatestDivisor = (a, b) => {
    while (b) {
        [a, b] = [b, a % b];
    }
    return a;
};

/** One filter for each place that an output sample can have between two input samples. */
function makeFilters(from, to) {
    const phases = to / greatestDivisor(from, to);
    const cutoff = Math.min(1, to / from) * 0.95;
    const half = Math.ceil(CROSSINGS / cutoff);
    const filters = [];
    for (let phase = 0; phase < phases; phase++) {
        const filter = new Float32Array(2 * half);
        let sum = 0;
        for (let i = 0; i < filter.length; i++) {
            const x = i - half + 1 - phase / phases;
            const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
            filter[i] = sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / (half + 1)));
            sum += filter[i];
        }
        filters.push(filter.map((tap) => tap / sum));
    }
    return filters;
}

class Microphone extends AudioWorkletProcessor {
    constructor() {
        super();
        const divisor = greatestDivisor(sampleRate, RATE);
        this.filters = makeFilters(sampleRate, RATE);
        this.step = sampleRate / divisor; // in phases, from one output sample to the next
        this.phase = 0;
        this.input = new Float32Array(this.filters[0].length + 4096);
        this.filled = this.filters[0].length / 2 - 1; // silence before the first sample
        this.at = 0;
        this.piece = new Int16Array(PIECE);
        this.count = 0;
        this.squares = 0;
        this.port.onmessage = () => (this.closed = true);
    }

    put(sample) {
        const clipped = Math.max(-1, Math.min(1, sample));
        this.piece[this.count++] = Math.round(clipped * 32767);
        this.squares += clipped * clipped;
        if (this.count === PIECE) {
            const pcm = this.piece.buffer;
            this.port.postMessage({ pcm, level: Math.sqrt(this.squares / PIECE) }, [pcm]);
            this.piece = new Int16Array(PIECE);
            this.count = 0;
            this.squares = 0;
        }
    }

    resample() {
        const taps = this.filters[0].length;
        while (this.at + taps <= this.filled) {
            const filter = this.filters[this.phase];
            let sum = 0;
            for (let i = 0; i < taps; i++) {
                sum += filter[i] * this.input[this.at + i];
            }
            this.put(sum);
            this.phase += this.step;
            this.at += Math.floor(this.phase / this.filters.length);
            this.phase %= this.filters.length;
        }
        const used = Math.min(this.at, this.filled);
        this.input.copyWithin(0, used, this.filled);
        this.filled -= used;
        this.at -= used;
    }

    process([channels]) {
        const count = channels[0]?.length ?? 0;
        for (let i = 0; i < count; i++) {
            let sum = 0;
            for (const channel of channels) {
                sum += channel[i];
            }
            this.input[this.filled++] = sum / channels.length;
        }
        this.resample();
        return !this.closed;
    }
}

registerProcessor('microphone', Microphone);
