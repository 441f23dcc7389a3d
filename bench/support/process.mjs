// Starts what is measured and what measures it, each pinned to its core, and reads what the kernel says about them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const BENCH = fileURLToPath(new URL('..', import.meta.url));
const ROOT = path.resolve(BENCH, '..');
export const PARLEY = path.resolve(ROOT, process.env.PARLEY_BIN ?? 'build/parley');
const PROGRAMS = path.resolve(ROOT, process.env.BENCH_BIN ?? 'build-check/bench');

export const SERVER_CORE = 0;
export const LOAD_CORE = os.cpus().length > 1 ? 1 : 0;

export const program = (name) => path.join(PROGRAMS, name);

/** The command on one core, with as many files as the machine allows. */
function pinned(core, command) {
    return ['sh', ['-c', 'ulimit -n "$(ulimit -Hn)"; exec taskset -c "$0" "$@"', String(core), ...command]];
}

const running = new Set();

/** A long-running process: { pid, port, stop() }. ready(output) gives its port once the output tells it. */
export async function start(command, { core = SERVER_CORE, env = {}, cwd = BENCH, ready = portOfJson } = {}) {
    const child = spawn(...pinned(core, command), {
        cwd,
        env: { PATH: process.env.PATH, ...env },
        stdio: ['pipe', 'pipe', 'pipe'],
    });
    running.add(child);
    const closed = once(child, 'close').then(() => running.delete(child));
    const stop = async () => {
        child.kill('SIGKILL');
        await closed;
    };
    let output = '';
    const port = await new Promise((resolve, reject) => {
        const read = (chunk) => {
            output += chunk;
            const found = ready(output);
            if (found) {
                resolve(found);
            }
        };
        child.stdout.on('data', read);
        child.stderr.on('data', read);
        child.once('error', reject);
        closed.then(() => reject(new Error(`${command[0]} ended at once:\n${output}`)));
    });
    child.stdout.removeAllListeners('data').resume();
    child.stderr.removeAllListeners('data').resume();
    return { pid: child.pid, port, child, stop };
}

process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
process.on('SIGINT', () => process.exit(130));

export const portOfJson = (output) => Number(/\{"port":(\d+)\}/.exec(output)?.[1] ?? 0);
const portOfLog = (output) => Number(/event=listening\b[^\n]*port=(\d+)/.exec(output)?.[1] ?? 0);

/** The server under test: one thread, quiet, its own data folder. */
export async function startParley(env = {}, dataDir) {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'parley-bench-'));
    const server = await start([PARLEY, 'serve'], {
        cwd: folder,
        env: {
            ENVIRONMENT: 'development',
            PORT: '0',
            HOST: '127.0.0.1',
            THREADS: '1',
            DATA_DIR: dataDir ?? path.join(folder, 'data'),
            ACCESS_LOG: 'combined',
            ACCESS_LOG_FILE: '/dev/null',
            ...env,
        },
        ready: portOfLog,
    });
    const { stop } = server;
    server.stop = async () => {
        await stop();
        await rm(folder, { recursive: true, force: true });
    };
    return server;
}

/** A Node program as it runs in production: one of peers/, or any script by its path. */
export const startNode = (script, { env, args = [], ...options } = {}) =>
    start([process.execPath, path.resolve(BENCH, 'peers', script), ...args], {
        env: { NODE_ENV: 'production', ...env },
        ...options,
    });
export const startBare = () => start([program('epoll_bench')]);

/** For programs that cannot pick a port themselves: one below the range that outgoing connections use. */
export async function freePort() {
    for (;;) {
        const port = 10000 + Math.floor(Math.random() * 20000);
        const server = net.createServer().listen(port);
        const free = await Promise.race([
            once(server, 'listening').then(() => true),
            new Promise((resolve) => server.once('error', () => resolve(false))),
        ]);
        if (free) {
            server.close();
            await once(server, 'close');
            return port;
        }
    }
}

/** Runs a program of ours on the load core to its end and gives the JSON it prints. */
export async function runJson(name, args, { core = LOAD_CORE } = {}) {
    const child = spawn(...pinned(core, [program(name), ...args.map(String)]), { stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(child);
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    const [code] = await once(child, 'close');
    running.delete(child);
    if (code !== 0) {
        throw new Error(`${name} ${args.join(' ')} ended with ${code}`);
    }
    return JSON.parse(output);
}

/** Holds n idle WebSockets: { stop() }. */
export function holdIdle(port, n, pathname) {
    return start([program('load_bench'), 'idle', '--port', port, '--connections', n, '--path', pathname].map(String), {
        core: LOAD_CORE,
        ready: (output) => output.includes('"open"'),
    });
}

/** Seconds of CPU the process used so far. */
export async function cpuSeconds(pid) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** { rss, anonymous } in bytes. */
export async function memory(pid) {
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
    const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)[1]) * 1024;
    return { rss: field('Rss'), anonymous: field('Anonymous') };
}
