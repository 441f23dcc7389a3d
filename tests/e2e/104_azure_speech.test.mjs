// Azure Speech over WebSocket: the stand-in, proven by Microsoft's SDK before anything is tested against it.
import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, test } from 'node:test';
import sdk from 'microsoft-cognitiveservices-speech-sdk';
import { readMessage, startAzureSpeech } from '../fake/azure_speech_socket.mjs';
import { pcm } from '../fake/tone.mjs';
import { gate } from '../fake/upstream.mjs';

const speech = await startAzureSpeech();
after(() => speech.close());
beforeEach(() => speech.forget());
afterEach(() => assert.deepEqual(speech.violations, []));

const utterance = pcm(1.5, 16000);

// ---- the SDK ----

function recognizer({ key = speech.key, detailed = false } = {}) {
    const config = sdk.SpeechConfig.fromHost(new URL(speech.url.replace('http', 'ws')), key);
    const stream = sdk.AudioInputStream.createPushStream(sdk.AudioStreamFormat.getWaveFormatPCM(16000, 16, 1));
    config.speechRecognitionLanguage = 'en-US';
    config.outputFormat = detailed ? sdk.OutputFormat.Detailed : sdk.OutputFormat.Simple;
    stream.write(utterance);
    stream.close();
    return new sdk.SpeechRecognizer(config, sdk.AudioConfig.fromStreamInput(stream));
}

const once = (one) => new Promise((resolve, reject) => one.recognizeOnceAsync(resolve, reject)).finally(() => one.close());

/** Until the audio is over: what was recognized, and why it ended. */
async function continuous(one) {
    const seen = { phrases: [], hypotheses: [] };
    one.recognizing = (_, event) => seen.hypotheses.push(event.result.text);
    one.recognized = (_, event) => seen.phrases.push(event.result.text);
    const ended = new Promise((resolve) => {
        one.canceled = (_, event) => (seen.canceled = event);
        one.sessionStopped = resolve;
    });
    await new Promise((resolve, reject) => one.startContinuousRecognitionAsync(resolve, reject));
    await ended;
    await new Promise((resolve, reject) => one.stopContinuousRecognitionAsync(resolve, reject));
    one.close();
    return seen;
}

test('the SDK hears an utterance, with what was understood so far', async () => {
    const one = recognizer();
    const partial = [];
    one.recognizing = (_, event) => partial.push(event.result.text);
    const result = await once(one);
    assert.equal(result.reason, sdk.ResultReason.RecognizedSpeech);
    assert.equal(result.text, 'Is the oven on?');
    assert.deepEqual(partial, ['is the', 'is the oven']);
    const turn = await speech.turn(1);
    assert.deepEqual(Buffer.concat(turn.audio), utterance);
    assert.equal(turn.context.phraseDetection.language, 'en-US');
    assert.equal(turn.line.mode, 'interactive');
});

test('the SDK reads detailed results, strings for numbers, tight headers and fragments', async () => {
    const forms = [{}, { strings: true }, { tight: true }, { fragment: 7 }, { strings: true, tight: true, fragment: 50 }];
    for (const form of forms) {
        speech.nextTurn({ phrases: [{ text: 'Où est ma commande ?', confidence: 0.5 }], ...form });
        const result = await once(recognizer({ detailed: true }));
        assert.equal(result.text, 'Où est ma commande ?');
        const details = JSON.parse(result.properties.getProperty(sdk.PropertyId.SpeechServiceResponse_JsonResult));
        assert.equal(Number(details.NBest[0].Confidence), 0.5);
    }
});

test('the SDK hears several phrases in one turn', async () => {
    speech.nextTurn({ phrases: ['One.', 'Two.', 'Three.'], early: 2 });
    const seen = await continuous(recognizer());
    assert.deepEqual(seen.phrases.filter(Boolean), ['One.', 'Two.', 'Three.']);
    assert.deepEqual(seen.hypotheses, ['is the', 'is the oven']);
    assert.equal(seen.canceled.reason, sdk.CancellationReason.EndOfStream);
    assert.equal((await speech.turn(1)).line.mode, 'conversation');
});

test('the SDK understands what is no speech, and what is refused', async () => {
    const of = async (status) => {
        speech.nextTurn({ hypotheses: [], phrases: [{ status }] });
        const result = await once(recognizer());
        const details = result.reason === sdk.ResultReason.Canceled && sdk.CancellationDetails.fromResult(result);
        return details ? details.ErrorCode : result.reason;
    };
    assert.equal(await of('NoMatch'), sdk.ResultReason.NoMatch);
    assert.equal(await of('InitialSilenceTimeout'), sdk.ResultReason.NoMatch);
    assert.equal(await of('BabbleTimeout'), sdk.ResultReason.NoMatch);
    assert.equal(await of('BadRequest'), sdk.CancellationErrorCode.BadRequestParameters);
    assert.equal(await of('Forbidden'), sdk.CancellationErrorCode.Forbidden);
    assert.equal(await of('TooManyRequests'), sdk.CancellationErrorCode.TooManyRequests);
    assert.equal(await of('Error'), sdk.CancellationErrorCode.ServiceError);
});

test('the SDK gives up on a wrong key', async () => {
    const result = await once(recognizer({ key: 'wrong' }));
    assert.equal(result.reason, sdk.ResultReason.Canceled);
    assert.equal((await speech.handshake(1)).refusal.status, 401);
    assert.equal(speech.turns.length, 0);
});

function synthesizer(format = sdk.SpeechSynthesisOutputFormat.Audio24Khz48KBitRateMonoMp3) {
    const config = sdk.SpeechConfig.fromHost(new URL(speech.url.replace('http', 'ws')), speech.key);
    config.speechSynthesisVoiceName = 'en-US-JennyNeural';
    config.speechSynthesisOutputFormat = format;
    return new sdk.SpeechSynthesizer(config, null);
}
const say = (one, text) =>
    new Promise((resolve, reject) => one.speakTextAsync(text, resolve, reject)).finally(() => one.close());

test('the SDK speaks', async () => {
    const result = await say(synthesizer(), 'Fish & <chips>');
    assert.equal(result.reason, sdk.ResultReason.SynthesizingAudioCompleted);
    assert.ok(result.audioData.byteLength > 1000);
    assert.deepEqual([...new Uint8Array(result.audioData, 0, 2)], [0xff, 0xf3]);
    const turn = await speech.turn(1);
    assert.equal(turn.ssml.text, 'Fish & <chips>');
    assert.equal(turn.ssml.voice, 'en-US-JennyNeural');
});

test('the SDK speaks PCM, as long as the text', async () => {
    const text = 'Your order left today.';
    const result = await say(synthesizer(sdk.SpeechSynthesisOutputFormat.Raw16Khz16BitMonoPcm), text);
    assert.deepEqual(Buffer.from(result.audioData), pcm(text.length * 0.06, 16000));
});
