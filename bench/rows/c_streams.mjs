// (c) Streamed replies: what a server in between adds to the first and to each token, and how many streams it carries.
import path from 'node:path';
import { BENCH, LOAD_CORE, freePort, program, runJson, start, startNode, startParley } from '../support/process.mjs';
import { interleave, medianOf, row } from '../support/rows.mjs';

// package.json holds @hono/node-server at 1.13: with later ones this gateway answers every stream with 500.
const GATEWAY = path.join(BENCH, 'node_modules/@portkey-ai/gateway/build/start-server.js');

async function startGateway(upstream) {
    const port = await freePort();
    const gateway = await startNode(GATEWAY, {
        args: [`--port=${port}`, '--headless'],
        ready: (output) => (output.includes('Ready for connections') ? port : 0),
    });
    gateway.args = ['--path', '/v1/chat/completions', '--header', 'x-portkey-provider: openai', '--header'];
    gateway.args.push(`x-portkey-custom-host: http://127.0.0.1:${upstream.port}/v1`, '--header', 'Authorization: Bearer x');
    return gateway;
}

export async function run({ rounds, seconds }) {
    const upstream = await start([program('stream_bench'), 'upstream'], { core: LOAD_CORE });
    const env = { OPENAI_BASE_URL: `http://127.0.0.1:${upstream.port}/v1`, OPENAI_API_KEY: 'sk-bench' };
    const parley = await startParley(env);
    const express = await startNode('express.mjs', { env });
    const gateway = await startGateway(upstream);
    const proxy = ['--path', '/api/chat'];
    const contestants = {
        direct: { port: upstream.port, args: [] },
        parley: { port: parley.port, args: proxy },
        express: { port: express.port, args: proxy },
        parleyV1: { port: parley.port, args: [] },
        gateway: { port: gateway.port, args: gateway.args },
    };
    const stream = (more) => async ({ port, args }, name) => {
        const result = await runJson('stream_bench', ['client', '--port', port, ...args, '--seconds', seconds, ...more]);
        if (result.errors > 0 || result.streams === 0) {
            throw new Error(`${name}: ${result.errors} of ${result.streams} streams were not whole`);
        }
        return result;
    };
    const paced = await interleave(rounds, contestants, stream(['--streams', 16, '--tokens', 20, '--pace', 10000]));
    const burst = await interleave(rounds, contestants, stream(['--streams', 32, '--tokens', 20, '--pace', 0]));
    await Promise.all([upstream, parley, express, gateway].map((process) => process.stop()));

    const rows = [];
    const addLatency = (what, kind, quantile, goal) => {
        const us = medianOf(paced, (r) => r[kind][quantile]);
        const add = (mine, name, peerName, limit) => {
            const options = { unit: 'us', peer: us[name] - us.direct, peerName, goal: limit };
            rows.push(row('c', what, us[mine] - us.direct, options));
        };
        add('parley', 'express', 'Express + openai', goal);
        add('parleyV1', 'gateway', '/v1: portkey gateway', goal);
    };
    addLatency('added to the first token, p50', 'first', 'p50_us', { atMost: 150 });
    addLatency('added to each token, p50', 'token', 'p50_us', { atMost: 150 });
    addLatency('added to the first token, p99', 'first', 'p99_us', {});
    addLatency('added to each token, p99', 'token', 'p99_us', {});
    const rate = medianOf(burst, (r) => r.per_second);
    const addRate = (mine, name, peerName, goal = {}) =>
        rows.push(row('c', 'streams of 20 tokens', rate[mine], { unit: 'streams/s', peer: rate[name], peerName, goal }));
    addRate('parley', 'express', 'Express + openai', { ratio: 5 });
    addRate('parleyV1', 'gateway', '/v1: portkey gateway');
    addRate('parley', 'direct', 'direct');
    return rows;
}
