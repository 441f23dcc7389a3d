// Writes one reply as a plan says: a whole JSON answer, or an event stream with every unkindness a network knows.
import { setTimeout as sleep } from 'node:timers/promises';

let serial = 0;
const nextId = () => `chatcmpl-fake${++serial}`;

function usageOf(plan, request) {
    const prompt = JSON.stringify(request.body?.messages ?? []).length >> 2;
    const completion = plan.tokens.length;
    return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

export function completion(plan, request) {
    const message = { role: 'assistant', content: plan.tokens.join(''), refusal: null };
    if (plan.toolCalls) {
        message.content = null;
        message.tool_calls = plan.toolCalls.map((call) => ({
            id: call.id,
            type: 'function',
            function: { name: call.name, arguments: call.arguments },
        }));
    }
    return {
        id: nextId(),
        object: 'chat.completion',
        created: 1790000000,
        model: request.body.model ?? request.deployment ?? 'fake',
        choices: [{ index: 0, message, logprobs: null, finish_reason: plan.finish }],
        usage: usageOf(plan, request),
        system_fingerprint: 'fp_fake',
    };
}

/** Deltas of the tool calls: every call is opened, then their arguments come in turns of a few characters. */
function toolDeltas(calls) {
    const deltas = calls.map((call, index) => ({
        tool_calls: [{ index, id: call.id, type: 'function', function: { name: call.name, arguments: '' } }],
    }));
    const longest = Math.max(...calls.map((call) => call.arguments.length));
    for (let at = 0; at < longest; at += 5) {
        calls.forEach((call, index) => {
            const piece = call.arguments.slice(at, at + 5);
            if (piece) {
                deltas.push({ tool_calls: [{ index, function: { arguments: piece } }] });
            }
        });
    }
    return deltas;
}

export function streamBody(plan, request) {
    const base = {
        id: nextId(),
        object: 'chat.completion.chunk',
        created: 1790000000,
        model: request.body.model ?? request.deployment ?? 'fake',
    };
    const withUsage = request.body.stream_options?.include_usage === true;
    const wrap = (choices, usage = null) => ({ ...base, choices, ...(withUsage ? { usage } : {}) });
    const choice = (delta, finish = null) =>
        wrap([
            {
                index: 0,
                delta,
                finish_reason: finish,
                ...(plan.azure ? { content_filter_results: { hate: { filtered: false, severity: 'safe' } } } : {}),
            },
        ]);
    const head = [];
    if (plan.azure) {
        head.push({ ...wrap([]), prompt_filter_results: [{ prompt_index: 0, content_filter_results: {} }] });
    }
    head.push(choice({ role: 'assistant', content: plan.toolCalls ? null : '' }));
    const deltas = plan.toolCalls ? toolDeltas(plan.toolCalls) : plan.tokens.map((content) => ({ content }));
    const tail = [choice({}, plan.finish)];
    if (withUsage) {
        tail.push(wrap([], usageOf(plan, request)));
    }
    return { head, deltas: deltas.map((delta) => choice(delta)), tail };
}

async function writeSplit(res, bytes, split) {
    if (!split) {
        res.write(bytes);
        return;
    }
    for (let at = 0; at < bytes.length && !res.destroyed; at += split) {
        res.write(bytes.subarray(at, at + split));
        await new Promise(setImmediate);
    }
}

/** Resolves when the answer is out, or the client went away. */
export async function writeStream(res, plan, request) {
    const { head, deltas, tail } = streamBody(plan, request);
    const event = (json) => Buffer.from(`data: ${JSON.stringify(json)}${plan.eol}${plan.eol}`);
    const put = (bytes) => writeSplit(res, bytes, plan.split);
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', ...plan.headers });
    res.flushHeaders();
    if (plan.hang === 'headers') {
        return;
    }
    for (const json of head) {
        await put(event(json));
    }
    for (let i = 0; i <= deltas.length; i++) {
        if (i === plan.cutAfter) {
            await new Promise((sent) => res.write('', sent));
            res.destroy();
            return;
        }
        if (i === plan.errorAfter) {
            await put(event({ error: { message: 'The upstream stumbled', type: 'server_error', param: null, code: null } }));
            res.end();
            return;
        }
        if (i === plan.holdAfter) {
            await plan.gate;
        }
        if (i === deltas.length || res.destroyed) {
            break;
        }
        if (plan.comments) {
            await put(Buffer.from(`: keep-alive${plan.eol}${plan.eol}`));
        }
        await put(event(deltas[i]));
        request.sent = i + 1;
        if (plan.delay) {
            await sleep(plan.delay);
        } else if (res.writableNeedDrain) {
            await new Promise((resolve) => res.once('drain', resolve).once('close', resolve));
        }
    }
    for (const json of tail) {
        await put(event(json));
    }
    if (plan.done) {
        await put(Buffer.from(`data: [DONE]${plan.eol}${plan.eol}`));
    }
    res.end();
}
