// Measures parley beside its peers and prints one table.
//   node bench/run.mjs [--quick] [a b c …]
// PARLEY_BIN: the server (default build/parley); BENCH_BIN: folder of the bench programs (default build-check/bench).
// Every figure is the median of several rounds in which the contestants take turns. Written to bench/out/results.json.
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { run as http } from './rows/a_http.mjs';
import { run as websocket } from './rows/b_websocket.mjs';
import { run as streams } from './rows/c_streams.mjs';
import { run as memory } from './rows/d_memory.mjs';
import { run as store } from './rows/e_store.mjs';
import { run as start } from './rows/f_start.mjs';
import { run as echo } from './rows/g_echo.mjs';
import { run as broadcast } from './rows/h_broadcast.mjs';
import { run as followers } from './rows/i_followers.mjs';
import { run as sessions } from './rows/j_sessions.mjs';
import { run as connects } from './rows/k_connects.mjs';
import { run as relay } from './rows/l_relay.mjs';
import { run as voice } from './rows/m_voice.mjs';
import { run as speech } from './rows/n_speech.mjs';
import { run as logins } from './rows/o_logins.mjs';
import { run as lists } from './rows/p_lists.mjs';
import { run as care } from './rows/q_care.mjs';
import { run as mongo } from './rows/r_mongo.mjs';
import { BENCH } from './support/process.mjs';
import { printTable } from './support/rows.mjs';

const GROUPS = {
    a: http,
    b: websocket,
    c: streams,
    d: memory,
    e: store,
    f: start,
    g: echo,
    h: broadcast,
    i: followers,
    j: sessions,
    k: connects,
    l: relay,
    m: voice,
    n: speech,
    o: logins,
    p: lists,
    q: care,
    r: mongo,
};
const FULL = {
    quick: false,
    rounds: 5,
    seconds: 3,
    idle: 9000,
    sockets: 10000,
    members: 1000,
    followers: [1, 100, 1000],
    tokens: 200,
    connects: 5000,
    conversations: 10000,
};
const QUICK = {
    ...FULL,
    quick: true,
    rounds: 3,
    seconds: 1,
    idle: 2000,
    sockets: 2000,
    tokens: 50,
    connects: 2000,
    conversations: 1000,
};

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const chosen = args.filter((arg) => arg !== '--quick');
const unknown = chosen.filter((arg) => !GROUPS[arg]);
if (unknown.length > 0) {
    console.error(`unknown: ${unknown.join(' ')}\nusage: node bench/run.mjs [--quick] [${Object.keys(GROUPS).join(' ')}]`);
    process.exit(2);
}

const rows = [];
for (const name of chosen.length > 0 ? chosen : Object.keys(GROUPS)) {
    process.stderr.write(`measuring (${name}) …\n`);
    rows.push(...(await GROUPS[name](quick ? QUICK : FULL)));
}
printTable(rows);

const out = path.join(BENCH, 'out');
await mkdir(out, { recursive: true });
const [{ model }] = os.cpus();
const machine = { cpu: model, cores: os.cpus().length, kernel: os.release(), node: process.version };
const report = { at: new Date().toISOString(), quick, machine, load: os.loadavg(), rows };
await writeFile(path.join(out, 'results.json'), `${JSON.stringify(report, null, 2)}\n`);

const missed = rows.filter((r) => r.ok === false);
if (missed.length > 0) {
    console.log(`\n${missed.length} of ${rows.filter((r) => r.ok !== undefined).length} goals missed`);
}
