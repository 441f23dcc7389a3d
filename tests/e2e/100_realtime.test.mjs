// Realtime sessions served by the server itself: the protocol in text, its session object, its items and its errors.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { gate, startUpstream } from '../fake/upstream.mjs';
import { startServer } from './support/server.mjs';
import { VoiceSession, deltas, message, silence, types } from './support/voice_session.mjs';

const upstream = await startUpstream();
after(() => upstream.close());
const local = await startServer({ after });
const SPEECH = { REALTIME_PROVIDER: 'local', TTS_PROVIDER: 'local', STT_PROVIDER: 'local', UPSTREAM_RETRIES: '0' };
const scripted = await startServer({ after }, { env: { ...upstream.openaiEnv, ...SPEECH } });

const open = (t, options, server = local) => VoiceSession.open(t, server, options);
const TEXT = { output_modalities: ['text'] };
const openText = async (t, server = scripted) => {
    const s = await open(t, {}, server);
    await s.update(TEXT);
    return s;
};

// ---- the session ----

test('a session as the documentation has it, at once', async (t) => {
    const s = await open(t, { path: '/v1/realtime?model=gpt-realtime' });
    assert.equal(s.created.type, 'session.created');
    assert.match(s.created.event_id, /^event_\w+$/);
    const { id, expires_at, instructions, ...session } = s.created.session;
    assert.match(id, /^sess_\w+$/);
    assert.ok(Math.abs(expires_at - Date.now() / 1000 - 3600) < 600, `${expires_at}`);
    assert.ok(instructions.length > 0);
    assert.deepEqual(session, {
        type: 'realtime',
        object: 'realtime.session',
        model: 'gpt-realtime',
        output_modalities: ['audio'],
        tools: [],
        tool_choice: 'auto',
        max_output_tokens: 'inf',
        tracing: null,
        truncation: 'auto',
        prompt: null,
        audio: {
            input: {
                format: { type: 'audio/pcm', rate: 24000 },
                transcription: null,
                noise_reduction: { type: 'near_field' }, // VOICE_NOISE_REDUCTION
                turn_detection: {
                    type: 'server_vad',
                    threshold: 0.5,
                    prefix_padding_ms: 300,
                    silence_duration_ms: 500,
                    idle_timeout_ms: null,
                    create_response: true,
                    interrupt_response: true,
                },
            },
            output: { format: { type: 'audio/pcm', rate: 24000 }, voice: 'alloy', speed: 1 },
        },
        include: null,
    });
});

test('everything of a session can be set, and stays until it is set again', async (t) => {
    const s = await open(t);
    const first = await s.update({
        instructions: 'Be brief.',
        output_modalities: ['text'],
        max_output_tokens: 100,
        tool_choice: 'none',
        tools: [],
        tracing: 'auto',
        audio: {
            input: {
                format: { type: 'audio/pcmu' },
                transcription: { model: 'whisper-1', language: 'en', prompt: 'zoo' },
                noise_reduction: { type: 'near_field' },
                turn_detection: { type: 'semantic_vad', eagerness: 'low', create_response: false },
            },
            output: { format: { type: 'audio/pcma' }, voice: 'marin', speed: 1.25 },
        },
    });
    assert.equal(first.instructions, 'Be brief.');
    assert.deepEqual(first.output_modalities, ['text']);
    assert.equal(first.max_output_tokens, 100);
    assert.equal(first.tracing, null);
    assert.deepEqual(first.audio, {
        input: {
            format: { type: 'audio/pcmu' },
            transcription: { model: 'whisper-1', language: 'en', prompt: 'zoo' },
            noise_reduction: { type: 'near_field' },
            turn_detection: { type: 'semantic_vad', eagerness: 'low', create_response: false, interrupt_response: true },
        },
        output: { format: { type: 'audio/pcma' }, voice: 'marin', speed: 1.25 },
    });
    const second = await s.update({ max_output_tokens: 'inf', audio: { input: { turn_detection: null } } });
    assert.equal(second.max_output_tokens, 'inf');
    assert.equal(second.audio.input.turn_detection, null);
    assert.equal(second.audio.output.voice, 'marin');
    assert.equal(second.instructions, 'Be brief.');
    const third = await s.update({
        audio: {
            input: {
                transcription: null,
                turn_detection: { type: 'server_vad', threshold: 0.7, silence_duration_ms: 300, idle_timeout_ms: 6000 },
            },
        },
    });
    assert.equal(third.audio.input.transcription, null);
    assert.deepEqual(third.audio.input.turn_detection, {
        type: 'server_vad',
        threshold: 0.7,
        prefix_padding_ms: 300,
        silence_duration_ms: 300,
        idle_timeout_ms: 6000,
        create_response: true,
        interrupt_response: true,
    });
});

const WRONG_SESSIONS = [
    ['no type', { type: undefined }, 'missing_required_parameter', 'session.type'],
    ['another type', { type: 'transcription' }, 'invalid_value', 'session.type'],
    ['a type of nothing', { type: 'x' }, 'invalid_value', 'session.type'],
    ['a member nobody knows', { colour: 'red' }, 'unknown_parameter', 'session.colour'],
    ['a member of the preview', { voice: 'alloy' }, 'unknown_parameter', 'session.voice'],
    ['both modalities', { output_modalities: ['audio', 'text'] }, 'invalid_value', 'session.output_modalities'],
    ['no modality', { output_modalities: [] }, 'invalid_value', 'session.output_modalities'],
    ['a modality as a string', { output_modalities: 'text' }, 'invalid_type', 'session.output_modalities'],
    ['instructions as a number', { instructions: 7 }, 'invalid_type', 'session.instructions'],
    ['another model', { model: 'gpt-4o' }, 'invalid_value', 'session.model'],
    ['tools', { tools: [{ type: 'function', name: 'f' }] }, 'unsupported_parameter', 'session.tools'],
    ['a tool that is required', { tool_choice: 'required' }, 'invalid_value', 'session.tool_choice'],
    ['a stored prompt', { prompt: { id: 'pmpt_1' } }, 'unsupported_parameter', 'session.prompt'],
    ['log probabilities', { include: ['item.input_audio_transcription.logprobs'] }, 'unsupported_parameter', 'session.include'],
    ['no truncation', { truncation: 'disabled' }, 'invalid_value', 'session.truncation'],
    ['tokens without number', { max_output_tokens: 'many' }, 'invalid_type', 'session.max_output_tokens'],
    ['no token', { max_output_tokens: 0 }, 'integer_below_min_value', 'session.max_output_tokens'],
    ['half a token', { max_output_tokens: 1.5 }, 'invalid_type', 'session.max_output_tokens'],
    ['audio as a string', { audio: 'loud' }, 'invalid_type', 'session.audio'],
    ['a format as a string', { audio: { input: { format: 'pcm16' } } }, 'invalid_type', 'session.audio.input.format'],
    ['a format without type', { audio: { input: { format: {} } } }, 'missing_required_parameter', 'session.audio.input.format.type'],
    ['an unknown format', { audio: { input: { format: { type: 'audio/opus' } } } }, 'invalid_value', 'session.audio.input.format.type'],
    ['another rate', { audio: { output: { format: { type: 'audio/pcm', rate: 16000 } } } }, 'invalid_value', 'session.audio.output.format.rate'],
    ['too fast', { audio: { output: { speed: 1.6 } } }, 'decimal_above_max_value', 'session.audio.output.speed'],
    ['a threshold below nothing', { audio: { input: { turn_detection: { type: 'server_vad', threshold: -1 } } } }, 'decimal_below_min_value', 'session.audio.input.turn_detection.threshold'],
    ['another detection', { audio: { input: { turn_detection: { type: 'vad' } } } }, 'invalid_value', 'session.audio.input.turn_detection.type'],
    ['eagerness of energy', { audio: { input: { turn_detection: { type: 'server_vad', eagerness: 'low' } } } }, 'unknown_parameter', 'session.audio.input.turn_detection.eagerness'],
    ['an idle time too short', { audio: { input: { turn_detection: { type: 'server_vad', idle_timeout_ms: 100 } } } }, 'integer_below_min_value', 'session.audio.input.turn_detection.idle_timeout_ms'],
];

test('a session that cannot be is refused as a whole', async (t) => {
    const s = await open(t);
    for (const [what, session, code, param] of WRONG_SESSIONS) {
        const error = await s.refused('session.update', { session: { type: 'realtime', instructions: 'changed', ...session } });
        assert.deepEqual([error.type, error.code, error.param], ['invalid_request_error', code, param], what);
    }
    assert.equal((await s.refused('session.update')).param, 'session');
    assert.equal((await s.refused('session.update', { session: [] })).code, 'invalid_type');
    assert.notEqual((await s.update({})).instructions, 'changed');
});

// ---- turns in text ----

const TEXT_TURN = [
    'response.created',
    'response.output_item.added',
    'conversation.item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'conversation.item.done',
    'response.output_item.done',
    'response.done',
];
const onceEach = (list) => list.filter((type, i) => type !== list[i - 1]);

test('a turn in text, in the documented order, and what the model was asked', async (t) => {
    upstream.forget();
    const s = await openText(t);
    await s.update({ ...TEXT, instructions: 'You know trams.', max_output_tokens: 50 });
    const item = await s.add(message('Which tram goes to the zoo?'));
    assert.deepEqual(item, {
        id: item.id,
        object: 'realtime.item',
        type: 'message',
        status: 'completed',
        role: 'user',
        content: [{ type: 'input_text', text: 'Which tram goes to the zoo?' }],
    });
    s.send('response.create');
    const events = await s.until('response.done');
    assert.deepEqual(onceEach(types(events)), TEXT_TURN);
    const text = 'You said: Which tram goes to the zoo?';
    assert.equal(deltas(events, 'response.output_text.delta'), text);
    const of = (type) => events.find((event) => event.type === type);
    const created = of('response.created').response;
    assert.match(created.id, /^resp_\w+$/);
    assert.deepEqual(
        [created.object, created.status, created.status_details, created.output, created.usage],
        ['realtime.response', 'in_progress', null, [], null],
    );
    assert.match(created.conversation_id, /^conv_\w+$/);
    assert.deepEqual(of('conversation.item.added').item.content, []);
    assert.equal(of('conversation.item.added').previous_item_id, item.id);
    assert.equal(of('response.output_text.done').text, text);
    assert.deepEqual(of('response.content_part.done').part, { type: 'text', text });
    const { response } = events.at(-1);
    assert.equal(response.id, created.id);
    assert.equal(response.status, 'completed');
    assert.deepEqual(response.output_modalities, ['text']);
    assert.deepEqual(response.output, [of('response.output_item.done').item]);
    assert.deepEqual(response.output[0].content, [{ type: 'output_text', text }]);
    assert.ok(response.usage.total_tokens > 0 && response.usage.input_tokens > 0);
    for (const event of events.slice(1, -1)) {
        assert.equal(event.response_id ?? created.id, created.id);
    }
    const sent = (await upstream.request(1)).body;
    assert.equal(sent.max_tokens ?? sent.max_completion_tokens, 50);
    assert.match(sent.messages[0].content, /You know trams\./);
    assert.deepEqual(sent.messages.at(-1), { role: 'user', content: 'Which tram goes to the zoo?' });
});

test('event ids are unique', async (t) => {
    const s = await openText(t);
    await s.add(message('one'));
    s.send('response.create');
    const ids = (await s.until('response.done')).map((event) => event.event_id);
    assert.equal(new Set(ids).size, ids.length);
});

test('a response of its own, beside the conversation', async (t) => {
    const s = await openText(t);
    await s.add(message('in the conversation'));
    s.send('response.create', {
        response: {
            conversation: 'none',
            input: [message('aside')],
            instructions: 'Classify.',
            metadata: { topic: 'trams' },
        },
    });
    const events = await s.until('response.done');
    assert.ok(!types(events).some((type) => type.startsWith('conversation.')), types(events).join(' '));
    const { response } = events.at(-1);
    assert.deepEqual([response.conversation_id, response.metadata], [null, { topic: 'trams' }]);
    assert.equal(response.output[0].content[0].text, 'You said: aside');
    upstream.forget();
    s.send('response.create');
    assert.equal((await s.event('response.done')).response.output[0].content[0].text, 'You said: in the conversation');
    const { messages } = (await upstream.request(1)).body;
    assert.ok(!JSON.stringify(messages).includes('aside'));
});

test('an item of the conversation can be the input of a response', async (t) => {
    const s = await openText(t);
    const { id } = await s.add(message('the first'));
    await s.add(message('the second'));
    s.send('response.create', { response: { conversation: 'none', input: [{ type: 'item_reference', id }] } });
    assert.equal((await s.event('response.done')).response.output[0].content[0].text, 'You said: the first');
    const error = await s.refused('response.create', { response: { input: [{ type: 'item_reference', id: 'item_x' }] } });
    assert.equal(error.code, 'item_not_found');
});

test('one response at a time, and one that is cancelled', async (t) => {
    const s = await openText(t);
    const hold = gate();
    upstream.next({ text: 'never said to the end', holdAfter: 1, gate: hold.promise });
    await s.add(message('x'));
    s.send('response.create');
    const { response } = await s.event('response.created');
    await s.until('response.output_text.delta');
    const second = await s.refused('response.create');
    assert.equal(second.code, 'conversation_already_has_active_response');
    assert.ok(second.message.includes(response.id), second.message);
    assert.equal((await s.refused('response.cancel', { response_id: 'resp_other' })).code, 'response_cancel_not_active');
    s.send('response.cancel', { response_id: response.id });
    const events = await s.until('response.done');
    const done = events.at(-1).response;
    assert.deepEqual([done.id, done.status], [response.id, 'cancelled']);
    assert.deepEqual(done.status_details, { type: 'cancelled', reason: 'client_cancelled' });
    assert.ok(!types(events).includes('response.cancelled'), 'OpenAI has no such event');
    hold.open();
    assert.equal((await s.refused('response.cancel')).code, 'response_cancel_not_active');
    await s.add(message('again'));
    s.send('response.create');
    assert.equal((await s.event('response.done')).response.status, 'completed');
});

test('a reply that is cut off by its limit is incomplete', async (t) => {
    const s = await openText(t);
    upstream.next({ text: 'cut off here', finish: 'length' });
    await s.add(message('x'));
    s.send('response.create', { response: { max_output_tokens: 3 } });
    const { response } = await s.event('response.done');
    assert.deepEqual([response.status, response.status_details], ['incomplete', { type: 'incomplete', reason: 'max_output_tokens' }]);
    assert.equal(response.output[0].status, 'incomplete');
});

test('a model that fails: the response says so, in no words of the service', async (t) => {
    const s = await openText(t);
    upstream.next({ status: 500, body: JSON.stringify({ error: { message: `secret ${upstream.key}` } }) });
    await s.add(message('x'));
    s.send('response.create');
    const events = await s.until('response.done');
    const { response } = events.at(-1);
    assert.equal(response.status, 'failed');
    assert.equal(response.status_details.type, 'failed');
    assert.equal(response.status_details.error.type, 'server_error');
    assert.ok(!JSON.stringify(events).includes('secret'));
    await s.works();
});

// ---- items ----

test('items are placed, shown, deleted', async (t) => {
    const s = await open(t);
    const b = await s.add({ id: 'item_b', ...message('b') });
    assert.equal(b.id, 'item_b');
    s.send('conversation.item.create', { previous_item_id: 'root', item: { id: 'item_a', ...message('a', 'system') } });
    assert.equal((await s.expect('conversation.item.added')).previous_item_id, null);
    await s.expect('conversation.item.done');
    s.send('conversation.item.create', { previous_item_id: 'item_a', item: message('between', 'assistant') });
    const between = await s.expect('conversation.item.added');
    assert.equal(between.previous_item_id, 'item_a');
    assert.deepEqual(between.item.content, [{ type: 'output_text', text: 'between' }]);
    await s.expect('conversation.item.done');
    s.send('conversation.item.retrieve', { item_id: 'item_a' });
    const { item } = await s.expect('conversation.item.retrieved');
    assert.deepEqual([item.role, item.content], ['system', [{ type: 'input_text', text: 'a' }]]);
    s.send('conversation.item.delete', { item_id: 'item_a' });
    assert.equal((await s.expect('conversation.item.deleted')).item_id, 'item_a');
    const gone = await s.refused('conversation.item.retrieve', { item_id: 'item_a' });
    assert.deepEqual([gone.code, gone.param], ['item_retrieve_invalid_item_id', 'item_id']);
});

test('what the model sees is what is left of the conversation, in its order', async (t) => {
    const s = await openText(t);
    await s.add({ id: 'item_2', ...message('second') });
    await s.add({ id: 'item_1', ...message('first') }, { previous_item_id: 'root' });
    await s.add({ id: 'item_x', ...message('deleted') });
    await s.add({ ...message('x', 'user'), content: [{ type: 'input_text', text: 'third' }, { type: 'input_text', text: 'and more' }] });
    s.send('conversation.item.delete', { item_id: 'item_x' });
    await s.expect('conversation.item.deleted');
    upstream.forget();
    s.send('response.create');
    await s.until('response.done');
    const said = (await upstream.request(1)).body.messages.filter(({ role }) => role === 'user').map(({ content }) => content);
    assert.deepEqual(said, ['first', 'second', 'third\nand more']);
});

const WRONG_ITEMS = [
    ['no item', {}, 'missing_required_parameter', 'item'],
    ['no type', { item: { role: 'user' } }, 'missing_required_parameter', 'item.type'],
    ['a function call', { item: { type: 'function_call', name: 'f', arguments: '{}' } }, 'invalid_value', 'item.type'],
    ['its output', { item: { type: 'function_call_output', call_id: 'c', output: 'x' } }, 'invalid_value', 'item.type'],
    ['no role', { item: { type: 'message', content: [] } }, 'missing_required_parameter', 'item.role'],
    ['another role', { item: { ...message('x'), role: 'tool' } }, 'invalid_value', 'item.role'],
    ['no content', { item: { type: 'message', role: 'user' } }, 'missing_required_parameter', 'item.content'],
    ['empty content', { item: { type: 'message', role: 'user', content: [] } }, 'invalid_type', 'item.content'],
    ['content as a string', { item: { type: 'message', role: 'user', content: 'x' } }, 'invalid_type', 'item.content'],
    ['a part that is a string', { item: { type: 'message', role: 'user', content: ['x'] } }, 'invalid_type', 'item.content'],
    ['an image', { item: { type: 'message', role: 'user', content: [{ type: 'input_image', image_url: 'data:' }] } }, 'invalid_value', 'item.content.type'],
    ['a part of another role', { item: { type: 'message', role: 'user', content: [{ type: 'output_text', text: 'x' }] } }, 'invalid_value', 'item.content.type'],
    ['no text', { item: { type: 'message', role: 'user', content: [{ type: 'input_text' }] } }, 'missing_required_parameter', 'item.content.text'],
    ['text as a number', { item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 1 }] } }, 'invalid_type', 'item.content.text'],
    ['a long id', { item: { ...message('x'), id: 'i'.repeat(100) } }, 'string_above_max_length', 'item.id'],
    ['an unknown member', { item: { ...message('x'), mood: 'good' } }, 'unknown_parameter', 'item.mood'],
    ['nowhere', { item: message('x'), previous_item_id: 'item_nowhere' }, 'item_create_invalid_previous_item_id', 'previous_item_id'],
    ['audio that is none', { item: { type: 'message', role: 'user', content: [{ type: 'input_audio', audio: '!!' }] } }, 'invalid_value', 'audio'],
    ['audio and text', { item: { type: 'message', role: 'user', content: [{ type: 'input_audio', audio: 'AAAA' }, { type: 'input_text', text: 'x' }] } }, 'unsupported_parameter', 'item.content'],
];

test('items that cannot be are refused', async (t) => {
    const s = await open(t);
    for (const [what, members, code, param] of WRONG_ITEMS) {
        const error = await s.refused('conversation.item.create', members);
        assert.deepEqual([error.code, error.param], [code, param], what);
    }
    await s.add({ id: 'item_1', ...message('x') });
    assert.equal((await s.refused('conversation.item.create', { item: { id: 'item_1', ...message('y') } })).param, 'item');
    for (const [verb, code] of [
        ['retrieve', 'item_retrieve_invalid_item_id'],
        ['delete', 'item_delete_invalid_item_id'],
        ['truncate', 'item_truncate_invalid_item_id'],
    ]) {
        const members = { content_index: 0, audio_end_ms: 0 };
        assert.equal((await s.refused(`conversation.item.${verb}`, members)).code, 'missing_required_parameter');
        assert.equal((await s.refused(`conversation.item.${verb}`, { ...members, item_id: 'item_9' })).code, code);
    }
    const truncate = (members) => s.refused('conversation.item.truncate', { item_id: 'item_1', ...members });
    assert.equal((await truncate({ audio_end_ms: 0 })).param, 'content_index');
    assert.equal((await truncate({ content_index: 0 })).param, 'audio_end_ms');
    assert.equal((await truncate({ content_index: 1, audio_end_ms: 0 })).code, 'integer_above_max_value');
    assert.equal((await truncate({ content_index: 0, audio_end_ms: -1 })).code, 'integer_below_min_value');
    assert.equal((await truncate({ content_index: 0, audio_end_ms: 0 })).code, 'invalid_value', 'it is the user\'s');
});

// ---- events that are none ----

const WRONG_RESPONSES = [
    [{ response: 'now' }, 'invalid_type', 'response'],
    [{ response: { speed: 2 } }, 'unknown_parameter', 'response.speed'],
    [{ response: { tools: [{ type: 'function', name: 'f' }] } }, 'unsupported_parameter', 'response.tools'],
    [{ response: { prompt: { id: 'p' } } }, 'unsupported_parameter', 'response.prompt'],
    [{ response: { reasoning: { effort: 'low' } } }, 'unsupported_parameter', 'response.reasoning'],
    [{ response: { conversation: 'other' } }, 'invalid_value', 'response.conversation'],
    [{ response: { input: 'x' } }, 'invalid_type', 'response.input'],
    [{ response: { input: ['x'] } }, 'invalid_type', 'response.input'],
    [{ response: { input: [{ type: 'function_call' }] } }, 'invalid_value', 'response.input.type'],
    [{ response: { metadata: { a: 1 } } }, 'invalid_value', 'response.metadata'],
    [{ response: { output_modalities: ['video'] } }, 'invalid_value', 'response.output_modalities'],
    [{ response: { audio: { output: { format: { type: 'audio/pcma' } } } } }, 'unsupported_parameter', 'response'],
    [{ response: { max_output_tokens: 5000 } }, 'integer_above_max_value', 'response.max_output_tokens'],
];

test('responses that cannot be are refused', async (t) => {
    const s = await open(t);
    for (const [members, code, param] of WRONG_RESPONSES) {
        const error = await s.refused('response.create', members);
        assert.deepEqual([error.code, error.param], [code, param], JSON.stringify(members));
    }
    await s.works();
});

test('what is no event is answered with an error, and the session goes on', async (t) => {
    const s = await open(t);
    for (const [text, code] of [
        ['', 'invalid_json'],
        ['no json', 'invalid_json'],
        ['{"type":"response.create"', 'invalid_json'],
        ['{"type":"session.update","session":{"type":"realtime","instructions":"\\u0000"}}', 'invalid_json'],
        ['[]', 'invalid_json'],
        ['7', 'invalid_json'],
        ['"session.update"', 'invalid_json'],
        [`${'['.repeat(100)}${']'.repeat(100)}`, 'invalid_json'],
        ['{}', 'missing_required_parameter'],
        ['{"type":null}', 'missing_required_parameter'],
        ['{"type":5}', 'invalid_type'],
        ['{"type":"response.start"}', 'invalid_value'],
        [`{"type":"${'é'.repeat(500)}"}`, 'invalid_value'],
        ['{"type":"output_audio_buffer.clear"}', 'invalid_value'],
        ['{"type":"transcription_session.update","session":{"type":"realtime"}}', 'invalid_value'],
    ]) {
        s.raw(text);
        const { error } = await s.expect('error');
        assert.deepEqual([error.type, error.code], ['invalid_request_error', code], text.slice(0, 60));
        assert.equal(error.event_id, null);
    }
    await s.works();
});

test('the event that an error is about is named', async (t) => {
    const s = await open(t);
    assert.equal((await s.refused('x', { event_id: 'mine' })).event_id, 'mine');
    s.raw('{"event_id":"quote \\" and \\u00e9","type":"x"}');
    assert.equal((await s.expect('error')).error.event_id, 'quote " and é');
    s.raw(`{"event_id":"${'x'.repeat(600)}","type":"x"}`);
    assert.equal((await s.expect('error')).error.event_id, null);
    s.raw('{"event_id":7,"type":"x"}');
    assert.equal((await s.expect('error')).error.event_id, null);
});

test('audio that is none', async (t) => {
    const s = await open(t);
    const append = (audio) => s.refused('input_audio_buffer.append', { audio });
    assert.equal((await append(undefined)).code, 'missing_required_parameter');
    assert.equal((await append(7)).code, 'invalid_type');
    for (const audio of ['!!!!', 'A', 'AAAA AAAA', Buffer.from('odd').toString('base64')]) {
        const error = await append(audio);
        assert.deepEqual([error.code, error.param], ['invalid_value', 'audio'], audio);
    }
    assert.equal((await append(Buffer.alloc(15 * 1024 * 1024 + 2).toString('base64'))).code, 'string_above_max_length');
    s.raw(Buffer.alloc(960));
    assert.equal((await s.expect('error')).error.code, 'invalid_event');
    s.send('input_audio_buffer.append', { audio: '' });
    await s.works();
});

test('slashes may be escaped', async (t) => {
    const s = await open(t);
    await s.update({ audio: { input: { turn_detection: null } } });
    const audio = Buffer.alloc(9600, 0xff).toString('base64');
    s.raw(`{"type":"input_audio_buffer.append","audio":"${audio.replaceAll('/', '\\/')}"}`);
    s.send('input_audio_buffer.commit');
    await s.expect('input_audio_buffer.committed');
});

test('a commit of nothing, or of too little', async (t) => {
    const s = await open(t);
    assert.equal((await s.refused('input_audio_buffer.commit')).code, 'input_audio_buffer_commit_empty');
    await s.update({ audio: { input: { turn_detection: null } } });
    s.speak(silence(80));
    const error = await s.refused('input_audio_buffer.commit');
    assert.equal(error.code, 'input_audio_buffer_commit_empty');
    assert.match(error.message, /at least 100ms.*80\.00ms/);
    s.send('input_audio_buffer.clear');
    await s.expect('input_audio_buffer.cleared');
    s.speak(silence(60));
    assert.match((await s.refused('input_audio_buffer.commit')).message, /60\.00ms/);
});

// ---- connections ----

test('a plain request is told to come with a WebSocket', async () => {
    for (const path of ['/api/realtime', '/api/v1/realtime']) {
        const response = await local.fetch(path);
        assert.deepEqual([response.status, await response.text()], [400, 'WebSocket connection required'], path);
    }
    const { status, body } = await local.json('GET', '/v1/realtime');
    assert.deepEqual([status, body.error.message], [400, 'WebSocket connection required']);
});

test('there are no calls to join', async (t) => {
    const s = await open(t, { path: '/v1/realtime?call_id=rtc_1', greeting: 0 });
    assert.equal((await s.expect('error')).error.param, 'call_id');
    assert.equal((await s.closed).code, 4000);
});

test('a session has an end', async (t) => {
    const server = await startServer(t, { env: { REALTIME_MAX_SESSION: '1s' } });
    const s = await open(t, {}, server);
    const { error } = await s.expect('error');
    assert.deepEqual([error.code, error.message], ['session_expired', 'Your session hit the maximum duration of 1 second.']);
    assert.deepEqual(await s.closed, { code: 1001, reason: error.message });
});

test('a server that shuts down says so', async (t) => {
    const server = await startServer(t, { env: { ...upstream.openaiEnv, ...SPEECH } });
    const idle = await open(t, {}, server);
    const busy = await openText(t, server);
    const hold = gate();
    t.after(() => hold.open());
    upstream.next({ text: 'never said', holdAfter: 1, gate: hold.promise });
    await busy.add(message('x'));
    busy.send('response.create');
    await busy.event('response.created');
    server.child.kill('SIGTERM');
    assert.equal((await idle.closed).code, 1001);
    assert.equal((await busy.closed).code, 1001);
    assert.equal((await server.exited).code, 0);
});

test('clients that vanish in the middle leave nothing', async (t) => {
    const hold = gate();
    t.after(() => hold.open());
    for (let i = 0; i < 5; i++) {
        const s = await openText(t);
        upstream.next({ text: 'never said', holdAfter: 1, gate: hold.promise });
        await s.add(message('x'));
        s.send('response.create');
        await s.event('response.created');
        s.speak(silence(500));
        s.socket.ws.terminate();
        await once(s.socket.ws, 'close').catch(() => {});
    }
    const s = await openText(t);
    await s.works();
});
