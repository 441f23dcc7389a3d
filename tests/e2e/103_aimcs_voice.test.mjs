// The speech turn of dialect 000: what Chromium records goes in by slices, text and speech come out.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { gate } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { ISO } from './support/shapes.mjs';
import { JsonSocket } from './support/socket.mjs';
import {
    CANCEL,
    NOT_HEARD,
    NOT_PROCESSED,
    SENTENCES,
    Studio,
    assertHeard,
    assertOwnWords,
    cloudEnv,
    failing,
    garbage,
    joined,
} from './support/studio.mjs';

const studio = await Studio.start({ after });
const { upstream, speech, recorder, voiced, echo, mute, cloud } = studio;
let spoken, recorded, silence;
let dialogue; // slices of one stream with three sentences
let cut; // of one that ends with its last word
let noise;
let seconds; // slices of a second each
before(async () => {
    await studio.record();
    ({ spoken, recorded, silence } = studio);
    [dialogue, cut, noise, seconds] = await Promise.all([
        recorder.record([spoken[0], spoken[CANCEL], spoken[4]]),
        recorder.record([spoken[CANCEL]], { trail: 0.05 }),
        recorder.record([], { trail: 4, noise: 0.02 }),
        recorder.record([spoken[CANCEL]], { slice: 1000 }),
    ]);
});

async function open(t, server = voiced, path = '/ws/audio') {
    const socket = await JsonSocket.open(server.wsUrl + path);
    t.after(() => socket.close());
    await socket.expect('connection');
    return socket;
}

const send = (socket, slices) => slices.forEach((data) => socket.send({ type: 'audio', data, timestamp: '' }));

/** Everything up to the first frame of this type, without the acknowledgements. */
async function until(socket, type) {
    const all = await socket.collect((frame) => frame.type === type);
    all.forEach((frame) => assert.match(frame.timestamp, ISO));
    return all.filter((frame) => frame.type !== 'audio_received');
}

const last = async (socket, type) => (await until(socket, type)).at(-1);

async function metric(server, name) {
    const text = await (await server.fetch('/metrics')).text();
    return Number(text.match(new RegExp(`^${name} (\\S+)$`, 'm'))?.[1] ?? 0);
}

describe('the speech turn on /ws/audio', () => {
    test('is told in order', async (t) => {
        const socket = await open(t);
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'speech_response');
        const types = frames.map((frame) => frame.type);
        const spare = types.filter((type) => type !== 'speech_recognizing');
        assert.deepEqual(spare, ['audio_processing', 'speech_recognized', 'chat_response', 'speech_response']);
        assert.ok(types.includes('speech_recognizing') && types.lastIndexOf('speech_recognizing') < types.length - 3);
        const [recognized, chat, reply] = frames.slice(-3);
        assertHeard(SENTENCES[CANCEL], recognized.message);
        assert.equal(chat.originalMessage, recognized.message);
        assert.equal(chat.message, `You said: ${recognized.message}`);
        assert.equal(chat.aiUsed, true);
        assert.equal(reply.message, chat.message);
        await studio.assertAudible(reply.audioData, reply.message);
        assert.equal(frames[0].dataSize <= joined(recorded[CANCEL]).length && frames[0].dataSize > 0, true);
    });

    test('with a page that sends while it records', async () => {
        const frames = await recorder.converse(`${voiced.wsUrl}/ws/audio`, spoken[CANCEL], 'speech_response');
        assertHeard(SENTENCES[CANCEL], frames.find((frame) => frame.type === 'speech_recognized').message);
        await studio.assertAudible(frames.at(-1).audioData, frames.at(-1).message);
    });

    test('most words are understood', async (t) => {
        const socket = await open(t);
        let heard = '';
        for (const slices of recorded) {
            send(socket, slices); // each with a head of its own
            heard += ` ${(await last(socket, 'speech_recognized')).message}`;
            await last(socket, 'speech_response');
        }
        assertHeard(SENTENCES.join(' '), heard);
    });

    test('several sentences in one stream', async (t) => {
        const socket = await open(t);
        const heard = [];
        send(socket, dialogue);
        while (heard.length < 3) {
            heard.push((await last(socket, 'chat_response')).originalMessage);
        }
        assertHeard([0, CANCEL, 4].map((i) => SENTENCES[i]).join(' '), heard.join(' '));
    });

    test('without a model, the transcript is echoed and spoken', async (t) => {
        const socket = await open(t, echo);
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'speech_response');
        const chat = frames.at(-2);
        assert.equal(chat.message, `Echo: ${chat.originalMessage}`);
        assert.equal(chat.aiUsed, false);
        assertHeard(SENTENCES[CANCEL], chat.originalMessage);
        await studio.assertAudible(frames.at(-1).audioData, chat.message);
    });

    test('stop_audio ends what is said, and takes one more slice', async (t) => {
        const socket = await open(t);
        send(socket, cut.slice(0, -1));
        socket.send({ type: 'stop_audio' });
        send(socket, cut.slice(-1));
        const frames = await until(socket, 'chat_response');
        assert.ok(frames.some((frame) => frame.type === 'audio_stopped'));
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
        await last(socket, 'speech_response');
        send(socket, cut.slice(-1)); // belongs to nothing
        send(socket, recorded[0]);
        assertHeard(SENTENCES[0], (await last(socket, 'chat_response')).originalMessage);
    });

    test('stop_audio at once, and without any audio', async (t) => {
        const socket = await open(t);
        await socket.ask({ type: 'stop_audio' }, 'audio_stopped');
        send(socket, recorded[0].slice(0, 3));
        socket.send({ type: 'stop_audio' });
        await last(socket, 'audio_stopped');
        await socket.ask({ type: 'stop_audio' }, 'audio_stopped');
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'chat_response');
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
    });

    for (const [name, slices] of [
        ['half a head', () => [recorded[0][0].slice(0, 40)]],
        ['no audio', () => [garbage(20000).toString('base64')]],
        ['no base64', () => ['no base64!']],
    ]) {
        test(`a broken recording is told, and the next head starts over: ${name}`, async (t) => {
            const socket = await open(t);
            send(socket, slices());
            socket.send({ type: 'stop_audio' });
            const { message, error } = await last(socket, 'audio_error');
            assert.equal(message, 'Failed to process audio');
            assert.ok(error.length > 0);
            if (name !== 'no base64') {
                send(socket, [recorded[0][5]]); // of the recording that is over
            }
            send(socket, recorded[CANCEL]);
            const frames = await until(socket, 'chat_response');
            assert.ok(frames.every((frame) => frame.type !== 'audio_error'));
            assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
        });
    }

    test('what comes behind a head may be anything', async (t) => {
        const socket = await open(t);
        send(socket, [recorded[0][0], ...Array.from({ length: 4 }, () => garbage(20000).toString('base64'))]);
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'chat_response');
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
    });

    test('silence and noise are no words', async (t) => {
        const socket = await open(t);
        send(socket, silence);
        send(socket, noise);
        send(socket, recorded[CANCEL]);
        const frames = await until(socket, 'chat_response');
        frames
            .filter((frame) => frame.type === 'speech_recognized')
            .slice(0, -1)
            .forEach((frame) => assert.equal(frame.message, ''));
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
    });

    test('ten minutes of PCM, faster than anybody could hear them', async (t) => {
        const socket = await open(t);
        const { pcm } = await recorder.listen(spoken[CANCEL]);
        const second = Buffer.alloc(32000).toString('base64');
        const slice = (data) => socket.send({ type: 'audio', data, audioFormat: 'audio/pcm;rate=16000' });
        for (let i = 0; i < 600; i++) {
            slice(second);
        }
        slice(pcm);
        slice(second);
        slice(second);
        const frames = await until(socket, 'chat_response');
        assertHeard(SENTENCES[CANCEL], frames.at(-1).originalMessage);
    });

    test('the text of a turn is kept, and known to the next one', async (t) => {
        const socket = await open(t);
        upstream.forget();
        send(socket, recorded[0]);
        const { conversationId, originalMessage } = await last(socket, 'chat_response');
        await last(socket, 'speech_response');
        await socket.ask({ type: 'chat', message: 'And now?' }, 'chat_response');
        const { messages } = (await upstream.request(2)).body;
        assert.ok(messages.some((message) => message.content === originalMessage));
        assert.equal(typeof conversationId, 'string');
    });
});

describe('failures of the services', () => {
    test('recognition: an apology, and the next utterance is heard', async (t) => {
        speech.forget();
        const socket = await open(t, cloud);
        speech.next(failing());
        send(socket, recorded[0]);
        const failed = await last(socket, 'chat_response');
        assert.equal(failed.message, NOT_PROCESSED);
        assert.equal(failed.aiUsed, false);
        assert.equal(typeof failed.error, 'string');
        assertOwnWords(failed);
        speech.next({ text: 'Hello there' });
        send(socket, recorded[0]);
        const frames = await until(socket, 'speech_response');
        assert.equal(frames.at(-2).originalMessage, 'Hello there');
        assert.ok(frames.at(-1).audioData.length > 0);
    });

    test('synthesis: the text is there, without speech', async (t) => {
        speech.forget();
        const socket = await open(t, cloud);
        speech.next({ text: 'First' }).next(failing()).next({ text: 'Second' });
        send(socket, recorded[0]);
        assert.equal((await last(socket, 'chat_response')).originalMessage, 'First');
        send(socket, recorded[0]);
        const frames = await until(socket, 'speech_response');
        assertOwnWords(frames);
        assert.equal(frames.filter((frame) => frame.type === 'speech_response').length, 1);
        assert.equal(frames.find((frame) => frame.type === 'chat_response').originalMessage, 'Second');
    });

    test('a recognizer that hangs', async (t) => {
        speech.forget();
        const server = await startServer(t, { env: { ...cloudEnv(speech), UPSTREAM_FIRST_BYTE_TIMEOUT: '300ms' } });
        const socket = await open(t, server);
        speech.next({ hang: 'connection' });
        send(socket, recorded[0]);
        const failed = await last(socket, 'chat_response');
        assert.equal(failed.message, NOT_PROCESSED);
        assert.equal(failed.aiUsed, false);
    });

    test('new speech: the older reply is not spoken any more, its text stays', async (t) => {
        speech.forget();
        const hold = gate();
        const socket = await open(t, cloud);
        speech.next({ text: 'First' }).next({ holdAfter: 1, gate: hold.promise }).next({ text: 'Second' });
        send(socket, recorded[0]);
        assert.equal((await last(socket, 'chat_response')).originalMessage, 'First');
        const held = await speech.request(2);
        send(socket, recorded[0]);
        const frames = await until(socket, 'speech_response');
        assert.deepEqual(await held.ended, { closedEarly: true });
        hold.open();
        const chat = frames.find((frame) => frame.type === 'chat_response');
        assert.equal(chat.originalMessage, 'Second');
        assert.equal(frames.at(-1).message, chat.message);
    });

    test('a socket that closes stops recognition and synthesis', async (t) => {
        speech.forget();
        for (const plan of [{ hang: 'connection' }, { hang: 'headers' }]) {
            const socket = await open(t, cloud);
            const nth = plan.hang === 'headers' ? 2 : 1;
            speech.forget();
            if (nth === 2) {
                speech.next({ text: 'Hello' });
            }
            speech.next(plan);
            send(socket, recorded[0]);
            const request = await speech.request(nth);
            socket.ws.terminate();
            assert.deepEqual(await request.ended, { closedEarly: true });
        }
    });
});

describe('audio_chunk on /', () => {
    const chunk = (socket, audioData, isFinal = false) =>
        socket.send({ type: 'audio_chunk', audioData, audioFormat: 'audio/webm;codecs=opus', isFinal });

    test('is answered with text and speech', async (t) => {
        const socket = await open(t, voiced, '/');
        seconds.forEach((slice, i) => chunk(socket, slice, i === seconds.length - 1));
        const frames = await until(socket, 'audio_response');
        assert.deepEqual(
            frames.map((frame) => frame.type),
            ['audio_response'],
        );
        const [answer] = frames;
        assert.match(answer.id, /^\d{13}$/);
        assert.equal(answer.aiUsed, true);
        assert.equal(answer.originalMessage, 'Audio input');
        assert.match(answer.message, /^You said: /);
        assertHeard(SENTENCES[CANCEL], answer.message);
        assert.equal(answer.audioFormat, 'mp3');
        await studio.assertAudible(answer.audioData, answer.message);
    });

    test('without words there is an answer too, and only one', async (t) => {
        const socket = await open(t, voiced, '/');
        silence.forEach((slice, i) => chunk(socket, slice, i === silence.length - 1));
        const silent = await last(socket, 'audio_response');
        assert.equal(silent.message, NOT_HEARD);
        assert.equal(silent.aiUsed, false);
        chunk(socket, garbage(9000).toString('base64'), true);
        assert.equal((await until(socket, 'audio_response')).length, 1, 'bytes without a head belong to nothing');
        chunk(socket, recorded[0][0].slice(0, 40), true);
        const broken = await until(socket, 'audio_response');
        assert.deepEqual(
            broken.map((frame) => frame.type),
            ['audio_error', 'audio_response'],
        );
    });

    test('empty ones', async (t) => {
        const socket = await open(t, voiced, '/');
        for (const audioData of ['', undefined, null, 7]) {
            socket.send({ type: 'audio_chunk', audioData });
            assert.equal((await socket.expect('error')).message, 'Audio data is required');
        }
        seconds.forEach((slice) => chunk(socket, slice));
        chunk(socket, '', true); // the end of what came before
        const answer = await last(socket, 'audio_response');
        assertHeard(SENTENCES[CANCEL], answer.message);
    });

    test('recognition that fails, or is not there', async (t) => {
        speech.forget();
        speech.next(failing());
        const socket = await open(t, cloud, '/');
        seconds.forEach((slice, i) => chunk(socket, slice, i === seconds.length - 1));
        const failed = await last(socket, 'audio_response');
        assert.equal(failed.message, NOT_PROCESSED);
        assert.equal(typeof failed.error, 'string');
        assertOwnWords(failed);
        const deaf = await open(t, mute, '/');
        chunk(deaf, seconds[0], true);
        assert.equal((await last(deaf, 'audio_response')).message, 'AI not configured for audio processing');
        deaf.send({ type: 'audio', data: seconds[0] });
        await deaf.expect('audio_received');
    });

    test('text_message is answered with speech', async (t) => {
        const socket = await open(t, voiced, '/');
        const answer = await socket.ask({ type: 'text_message', text: 'Good morning' }, 'text_response');
        assert.equal(answer.audioFormat, 'mp3');
        await studio.assertAudible(answer.audioData, answer.message);
        const quiet = await socket.ask({ type: 'text_message', text: 'Good morning', audio: false }, 'text_response');
        assert.ok(!('audioData' in quiet));
    });
});

describe('many sockets', () => {
    test('200 at once, a few of which speak', async (t) => {
        const sockets = await Promise.all(Array.from({ length: 200 }, () => open(t)));
        const speakers = sockets.slice(0, 4);
        speakers.forEach((socket, i) => send(socket, recorded[i]));
        const answers = await Promise.all(speakers.map((socket) => last(socket, 'chat_response')));
        assertHeard(SENTENCES.slice(0, 4).join(' '), answers.map((answer) => answer.originalMessage).join(' '));
        await Promise.all(sockets.slice(4).map((socket) => socket.ask({ type: 'ping' }, 'pong')));
    });

    test('closed in mid-sentence, nothing is left', async (t) => {
        const sockets = await Promise.all(Array.from({ length: 8 }, () => open(t)));
        for (const socket of sockets) {
            send(socket, recorded[CANCEL].slice(0, 12));
            await socket.expect('audio_received');
        }
        sockets.forEach((socket, i) => (i % 2 ? socket.ws.terminate() : socket.ws.close()));
        while ((await metric(voiced, 'parley_media_streams')) > 0) {
            await sleep(20);
        }
    });

    test('as many decoders as are allowed', async (t) => {
        const server = await startServer(t, { env: { MEDIA_WORKERS: '1', LLM_PROVIDER: 'demo' } });
        const [first, second] = [await open(t, server), await open(t, server)];
        send(first, recorded[0].slice(0, 5));
        await first.expect('audio_received');
        while ((await metric(server, 'parley_media_streams')) < 1) {
            await sleep(10);
        }
        send(second, recorded[CANCEL]);
        const refused = await last(second, 'audio_error');
        assert.equal(refused.code, 'OVERLOADED');
        await first.close();
        send(second, recorded[CANCEL]);
        assertHeard(SENTENCES[CANCEL], (await last(second, 'chat_response')).originalMessage);
    });
});

test('SIGTERM in mid-sentence', async (t) => {
    const server = await startServer(t, { env: { LLM_PROVIDER: 'demo' } });
    const socket = await open(t, server);
    send(socket, recorded[CANCEL].slice(0, 15));
    while ((await metric(server, 'parley_media_streams')) < 1) {
        await sleep(10);
    }
    server.child.kill('SIGTERM');
    assert.deepEqual(await socket.closed, { code: 1000, reason: 'Server shutting down' });
    assert.equal((await server.exited).code, 0);
});
