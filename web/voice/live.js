// A live conversation on /v1/realtime, in the names of OpenAI's realtime sessions.
import { Microphone, Player, RATE, fromBase64, toBase64 } from './audio.js';
import { Link } from './server.js';
import { Messages } from './messages.js';

const PENDING = 250; // pieces of 40 ms that are kept while the connection is made: what was said meanwhile is not lost
const ANSWER_WITHIN = 20000; // ms after an utterance

/* Errors that only say that something was over already. */
const HARMLESS = new Set([
    'input_audio_buffer_commit_empty',
    'conversation_already_has_active_response',
    'response_cancel_not_active',
]);

const PCM = { type: 'audio/pcm', rate: RATE };
const SESSION = {
    type: 'realtime',
    output_modalities: ['audio'],
    audio: { input: { format: PCM, transcription: { model: 'gpt-4o-mini-transcribe' } }, output: { format: PCM } },
};

/** The page's live side. view: see voice.js. */
export class Live {
    constructor(view) {
        this.view = view;
        this.messages = new Messages(view);
        this.stats = { sent: 0, truncated: [] };
        this.muted = false;
        this.forget();
    }

    forget() {
        this.hearing = false;
        this.awaiting = false;
        this.response = null; // id of the one under way
        this.held = []; // its audio that came while the user spoke: { item, pcm }
        this.asked = false; // for a response, as soon as the one under way ended
        this.interruptible = true; // by speech
        clearTimeout(this.patience);
    }

    /** "off", "connecting", "listening", "hearing", "thinking" or "speaking". */
    get state() {
        if (!this.link) {
            return 'off';
        }
        if (!this.link.up) {
            return 'connecting';
        }
        if (this.player.playing) {
            return 'speaking';
        }
        if (this.hearing) {
            return 'hearing';
        }
        return this.response || this.awaiting || this.asked ? 'thinking' : 'listening';
    }

    /** Called by a press of a button: browsers let nothing sound before. Without a microphone it can be typed to. */
    async start({ microphone = true } = {}) {
        this.player ??= new Player({ onidle: () => this.view.onstate() });
        this.player.resume();
        if (!this.link) {
            this.pending = [];
            this.connect();
        }
        if (microphone && !this.microphone && !this.opening) {
            await this.openMicrophone();
        }
        this.view.onstate();
    }

    connect() {
        this.link = new Link({
            door: 'realtime',
            path: 'v1/realtime',
            isReady: ({ type }) => type === 'session.created',
            onmessage: (event) => this.handle(event),
            onup: () => this.greet(),
            ondown: () => this.lost(),
            ontrouble: (trouble) => this.trouble(trouble),
        });
        this.view.onstate();
    }

    async openMicrophone() {
        const { link } = this;
        this.opening = true;
        try {
            const microphone = await Microphone.open({
                onpiece: (pcm, level) => this.piece(pcm, level),
                onended: () => this.unplugged(),
            });
            if (this.link !== link) {
                microphone.close(); // stopped meanwhile
                return;
            }
            this.microphone = microphone;
            microphone.muted = this.muted;
        } catch (error) {
            this.view.onnotice({ kind: 'microphone', reason: error.kind ?? 'broken' });
        } finally {
            this.opening = false;
        }
    }

    unplugged() {
        this.closeMicrophone();
        this.view.onnotice({ kind: 'microphone', reason: 'unplugged' });
        this.view.onstate();
    }

    closeMicrophone() {
        this.microphone?.close();
        this.microphone = null;
        this.view.onlevel(0);
    }

    stop() {
        this.link?.close();
        this.link = null;
        this.closeMicrophone();
        this.forget();
        this.player?.flush();
        this.player?.close();
        this.player = null;
        this.messages.seal();
        this.view.onstate();
    }

    mute(muted) {
        this.muted = muted;
        if (this.microphone) {
            this.microphone.muted = muted;
        }
        this.view.onstate();
    }

    piece(pcm, level) {
        this.view.onlevel(this.muted ? 0 : level);
        const audio = toBase64(new Uint8Array(pcm.buffer));
        if (this.link?.up) {
            this.append(audio);
        } else {
            this.pending.push(audio);
            this.pending.splice(0, this.pending.length - PENDING);
        }
    }

    append(audio) {
        this.stats.sent++;
        this.link.send({ type: 'input_audio_buffer.append', audio });
    }

    /** The session began: also anew, after a connection was lost, when the server knows nothing of what was said. */
    greet() {
        this.view.onnotice({ kind: 'up' });
        this.link.send({ type: 'session.update', session: SESSION });
        for (const message of this.messages.known()) {
            this.sendItem(message);
        }
        for (const audio of this.pending.splice(0)) {
            this.append(audio);
        }
        for (const message of this.messages.unsent()) {
            this.ask(message);
        }
    }

    lost() {
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

    /** A message that was typed. */
    say(text) {
        const message = this.messages.type(text);
        if (this.link?.up) {
            this.interrupt();
            this.ask(message);
        }
        this.view.onstate();
    }

    sendItem({ id, role, text }) {
        const content = [{ type: role === 'user' ? 'input_text' : 'output_text', text }];
        this.link.send({ type: 'conversation.item.create', item: { id, type: 'message', role, content } });
    }

    ask(message) {
        this.messages.put(message.id, { unsent: false, final: true });
        this.sendItem(message);
        this.asked = true;
        this.respond();
    }

    respond() {
        if (this.asked && !this.response) {
            this.asked = false;
            this.await();
            this.link.send({ type: 'response.create', event_id: 'ask' });
        }
    }

    await() {
        clearTimeout(this.patience);
        this.awaiting = true;
        this.patience = setTimeout(() => this.awaitNoMore(), ANSWER_WITHIN);
    }

    awaitNoMore() {
        clearTimeout(this.patience);
        this.awaiting = false;
        this.view.onstate();
    }

    /** The user wants to hear no more. */
    interrupt() {
        if (this.response) {
            this.link?.send({ type: 'response.cancel' });
        }
        this.hush();
    }

    /** Silence at once; the server is told what was heard, so that both remember the same. */
    hush() {
        this.held = [];
        for (const { item, ms } of this.player?.flush() ?? []) {
            this.messages.put(item, { interrupted: true });
            this.stats.truncated.push({ item, ms });
            this.link?.send({
                type: 'conversation.item.truncate',
                event_id: 'truncate',
                item_id: item,
                content_index: 0,
                audio_end_ms: ms,
            });
        }
    }

    handle(event) {
        handlers[event.type]?.(this, event);
        this.view.onstate();
    }

    hear({ item_id: item, delta }) {
        const bytes = fromBase64(delta);
        const pcm = new Int16Array(bytes.buffer, 0, bytes.length >> 1);
        if (this.hearing && this.interruptible) {
            this.held.push({ item, pcm }); // played when the interruption was none
        } else {
            this.play({ item, pcm });
        }
    }

    play({ item, pcm }) {
        if (this.messages.all.get(item)?.interrupted) {
            this.messages.put(item, { interrupted: false }); // it goes on
        }
        this.player.play(item, pcm);
    }

    speechStopped() {
        this.hearing = false;
        this.held.splice(0).forEach((piece) => this.play(piece));
        this.await();
    }

    addItem({ id, type, role, content = [] }) {
        if (type === 'message' && role !== 'system' && !this.messages.has(id)) {
            this.messages.put(id, { role, text: content[0]?.text ?? content[0]?.transcript ?? '' });
        }
    }

    understood({ item_id: id, transcript }) {
        if (transcript.trim()) {
            this.messages.put(id, { role: 'user', text: transcript, final: true });
            return;
        }
        this.messages.remove(id);
        this.awaitNoMore();
    }

    responseDone({ status, status_details: details, output = [] }) {
        this.response = null;
        const interrupted = status === 'cancelled';
        if (interrupted) {
            this.hush();
        } else {
            this.awaitNoMore();
        }
        for (const { id } of output.filter((item) => this.messages.has(item.id))) {
            this.messages.put(id, { final: true, ...(interrupted ? { interrupted } : {}) });
        }
        this.messages.dropEmptyReplies();
        if (status === 'failed') {
            this.view.onnotice({ kind: 'server', text: details?.error?.message ?? 'The reply failed.' });
        }
        this.respond();
    }

    refused({ code, message, event_id: id }) {
        if (code === 'conversation_already_has_active_response' && id === 'ask') {
            this.asked = true;
        } else if (!HARMLESS.has(code) && id !== 'truncate') {
            this.view.onnotice({ kind: 'server', text: message });
        }
    }
}

const session = (live, { session: { audio } = {} }) => {
    live.interruptible = audio?.input?.turn_detection?.interrupt_response !== false;
};
const more = (live, { item_id: id, delta }) => live.messages.put(id, { append: delta });

const handlers = {
    'session.created': session,
    'session.updated': session,
    'input_audio_buffer.speech_started': (live) => {
        live.hearing = true;
        live.awaitNoMore();
        if (live.interruptible) {
            live.hush();
        }
    },
    'input_audio_buffer.speech_stopped': (live) => live.speechStopped(),
    'conversation.item.added': (live, { item }) => live.addItem(item),
    'conversation.item.deleted': (live, { item_id: id }) => live.messages.remove(id),
    'conversation.item.truncated': (live, { item_id: id }) => live.messages.put(id, { interrupted: true }),
    'conversation.item.input_audio_transcription.delta': more,
    'conversation.item.input_audio_transcription.completed': (live, event) => live.understood(event),
    'conversation.item.input_audio_transcription.failed': (live, { item_id: id, error }) => {
        live.messages.remove(id);
        live.awaitNoMore();
        live.view.onnotice({ kind: 'server', text: error?.message ?? 'That could not be understood.' });
    },
    'response.created': (live, { response }) => {
        live.awaitNoMore();
        live.response = response.id;
    },
    'response.output_text.delta': more,
    'response.output_text.done': (live, { item_id: id, text }) => live.messages.put(id, { text }),
    'response.output_audio_transcript.delta': more,
    'response.output_audio_transcript.done': (live, { item_id: id, transcript }) => {
        live.messages.put(id, { text: transcript });
    },
    'response.output_audio.delta': (live, event) => live.hear(event),
    'response.done': (live, { response }) => live.responseDone(response),
    error: (live, { error }) => live.refused(error),
};
