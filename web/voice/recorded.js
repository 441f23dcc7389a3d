// The other way to talk: what MediaRecorder records goes slice by slice over /ws/audio, and MP3 comes back. For
// browsers and networks where the live way does not work, and to see that dialect at work.
import { MicrophoneError, Player, openStream, toBase64, fromBase64 } from './audio.js';
import { Link } from './server.js';
import { Messages } from './messages.js';

const SLICE = 100; // ms
const ANSWER_WITHIN = 20000; // ms after a recording: what has no words is not answered
const MORE_WITHIN = 4000; // ms, when words were understood before it ended
const FORMATS = ['audio/webm;codecs=opus', 'audio/ogg;codecs=opus', 'audio/mp4'];

/** The page's recorded side. view: see voice.js. */
export class Recorded {
    constructor(view) {
        this.view = view;
        this.messages = new Messages(view);
        this.stats = { sent: 0 };
        this.count = 0;
        this.forget();
    }

    forget() {
        this.recorder = null;
        this.waitNoMore();
        this.heard = null; // id of the message that is being understood
        this.understoodSome = false; // of this recording
        this.later = null; // the reply to a part of it, played when it is complete
        this.frames = []; // not sent yet
    }

    /** For the answer. */
    wait() {
        clearTimeout(this.patience);
        this.waiting = true;
        const within = this.understoodSome ? MORE_WITHIN : ANSWER_WITHIN;
        this.patience = setTimeout(() => this.giveUp(), within);
        this.view.onstate();
    }

    giveUp() {
        if (this.understoodSome) {
            this.waitNoMore();
            this.dropUnheard();
            this.view.onstate();
        } else {
            this.refused({ message: 'No words were heard. Try again.' });
        }
    }

    waitNoMore() {
        clearTimeout(this.patience);
        this.waiting = false;
    }

    /** "off" (press to record), "connecting", "hearing", "thinking" or "speaking". */
    get state() {
        if (this.recorder) {
            return 'hearing';
        }
        if (!this.link) {
            return 'off';
        }
        if (!this.link.up) {
            return 'connecting';
        }
        if (this.player.playing) {
            return 'speaking';
        }
        return this.waiting ? 'thinking' : 'off';
    }

    async start({ microphone = true } = {}) {
        this.player ??= new Player({ onidle: () => this.view.onstate() });
        this.player.resume();
        this.link ??= this.connect();
        this.player.flush();
        if (microphone && !this.recorder && !this.opening) {
            await this.record();
        }
        this.view.onstate();
    }

    connect() {
        return new Link({
            door: 'audio',
            path: 'ws/audio',
            isReady: ({ type }) => type === 'connection',
            onmessage: (event) => this.handle(event),
            onup: () => this.flush(),
            ondown: () => this.lost(),
            ontrouble: (trouble) => this.trouble(trouble),
        });
    }

    async record() {
        const { link } = this;
        this.opening = true;
        try {
            const stream = await openStream();
            if (this.link !== link) {
                stream.getTracks().forEach((track) => track.stop());
                return;
            }
            this.begin(stream);
        } catch (error) {
            this.view.onnotice({ kind: 'microphone', reason: error.kind ?? 'broken' });
        } finally {
            this.opening = false;
        }
    }

    begin(stream) {
        const mimeType = FORMATS.find((format) => window.MediaRecorder?.isTypeSupported(format));
        if (!mimeType) {
            stream.getTracks().forEach((track) => track.stop());
            throw new MicrophoneError('broken');
        }
        const recorder = new MediaRecorder(stream, { mimeType });
        this.recorder = recorder;
        this.meter = this.player.meter(stream, (level) => this.view.onlevel(level));
        let order = Promise.resolve();
        recorder.ondataavailable = ({ data }) => {
            order = order.then(async () => this.slice(new Uint8Array(await data.arrayBuffer())));
        };
        recorder.onstop = () => {
            stream.getTracks().forEach((track) => track.stop());
            order = order.then(() => this.send({ type: 'stop_audio' }));
        };
        recorder.start(SLICE);
        this.understoodSome = false;
        this.later = null;
        this.heard = this.newMessage('user');
    }

    newMessage(role) {
        const id = `${role}_${++this.count}`;
        this.messages.put(id, { role, text: '' });
        return id;
    }

    slice(bytes) {
        if (bytes.length) {
            this.stats.sent++;
            this.send({ type: 'audio', data: toBase64(bytes), timestamp: new Date().toISOString() });
        }
    }

    send(frame) {
        if (this.link?.up) {
            this.link.send(frame);
        } else {
            this.frames.push(frame);
        }
    }

    flush() {
        this.view.onnotice({ kind: 'up' });
        for (const frame of this.frames.splice(0)) {
            this.link.send(frame);
        }
    }

    /** The recording is complete: it is answered. */
    finish() {
        const { later } = this;
        this.endRecording();
        this.wait();
        if (later) {
            this.play(later);
        }
    }

    endRecording() {
        this.meter?.();
        this.meter = null;
        if (this.recorder?.state === 'recording') {
            this.recorder.stop();
        }
        this.recorder = null;
        this.view.onlevel(0);
    }

    stop() {
        this.link?.close();
        this.link = null;
        this.endRecording();
        this.forget();
        this.player?.flush();
        this.player?.close();
        this.player = null;
        this.messages.seal();
        this.view.onstate();
    }

    lost() {
        this.endRecording();
        this.forget();
        this.player.flush();
        this.messages.seal();
        this.view.onstate();
    }

    trouble(trouble) {
        if (trouble.kind !== 'gone') {
            this.stop();
        }
        this.view.onnotice(trouble);
        this.view.onstate();
    }

    say(text) {
        this.player?.flush();
        this.messages.put(this.newMessage('user'), { text, final: true });
        this.understoodSome = false;
        this.send({ type: 'text_message', text });
        this.wait();
    }

    interrupt() {
        this.player?.flush();
    }

    mute() {}

    handle(event) {
        handlers[event.type]?.(this, event);
        this.view.onstate();
    }

    understood(text, final) {
        this.heard ??= this.newMessage('user');
        this.messages.put(this.heard, { text, final });
        if (final) {
            this.heard = null; // a recording may have several
            this.understoodSome = true;
        }
    }

    reply({ message, error }) {
        this.waitNoMore();
        this.dropUnheard();
        this.messages.put(this.newMessage('assistant'), { text: message, final: true });
        if (error) {
            this.view.onnotice({ kind: 'server', text: error });
        }
    }

    /** What was begun to be heard, and came to nothing. */
    dropUnheard() {
        if (this.heard && !this.recorder) {
            this.messages.remove(this.heard);
            this.heard = null;
        }
    }

    async play(audioData) {
        if (this.recorder) {
            this.later = audioData;
            return;
        }
        this.waitNoMore();
        try {
            await this.player?.playFile(`reply_${++this.count}`, fromBase64(audioData).buffer);
        } catch {
            this.view.onnotice({ kind: 'server', text: 'The audio of the reply cannot be played.' });
        }
        this.view.onstate();
    }

    refused({ message, error }) {
        this.waitNoMore();
        this.dropUnheard();
        this.view.onnotice({ kind: 'server', text: error ?? message });
        this.view.onstate();
    }
}

const handlers = {
    speech_recognizing: (recorded, { message }) => recorded.understood(message, false),
    speech_recognized: (recorded, { message }) => recorded.understood(message, true),
    chat_response: (recorded, event) => recorded.reply(event),
    speech_response: (recorded, { audioData }) => recorded.play(audioData),
    text_response: (recorded, event) => {
        recorded.reply(event);
        return event.audioData && recorded.play(event.audioData);
    },
    audio_error: (recorded, event) => recorded.refused(event),
    error: (recorded, event) => recorded.refused(event),
};
