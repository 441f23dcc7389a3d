// The MongoDB engine the other tests use, proven by the official client: what is kept, sorted, unique, and what outlives
// the engine's sudden end.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { MongoClient } from 'mongodb';
import { weaken } from '../fake/mongo/elf.mjs';
import { Authority } from './support/certificates.mjs';
import { freshDatabase, sharedMongo, startMongo, withDatabase } from './support/mongo.mjs';

const JOURNALED = { writeConcern: { w: 1, j: true } };

/** A client of a database of the shared engine, which is dropped afterwards. */
async function connect(t) {
    const client = new MongoClient(withDatabase(await sharedMongo(), freshDatabase()));
    t.after(() => client.db().dropDatabase().finally(() => client.close()));
    return client.connect();
}

test('the official client writes, reads, sorts and is refused what is not unique', async (t) => {
    const client = await connect(t);
    const items = client.db().collection('items');
    await items.createIndex({ n: -1 });
    await items.createIndex({ key: 1 }, { unique: true, partialFilterExpression: { key: { $gt: '' } } });
    await items.insertMany(Array.from({ length: 300 }, (_, n) => ({ n, key: n % 2 ? `k${n}` : '' })));
    const top = await items.find({ n: { $lt: 100 } }).sort({ n: -1 }).skip(1).limit(2).toArray();
    assert.deepEqual(top.map(({ n }) => n), [98, 97]);
    assert.equal((await items.find().batchSize(7).toArray()).length, 300);
    await assert.rejects(items.insertOne({ key: 'k1' }), { code: 11000 });
    await items.insertOne({ key: '' });
    const changed = await items.findOneAndUpdate({ n: 5 }, { $set: { key: 'x' }, $max: { n: 3 } }, { returnDocument: 'after' });
    assert.equal(changed.key, 'x');
    assert.equal(changed.n, 5);
    assert.equal((await items.deleteMany({ n: { $gte: 200 } })).deletedCount, 100);
});

test('a large message and many small ones at once', async (t) => {
    const client = await connect(t);
    const items = client.db().collection('items');
    await items.insertOne({ _id: 'big', text: 'x'.repeat(12_000_000) });
    await Promise.all(Array.from({ length: 200 }, (_, _id) => items.insertOne({ _id })));
    assert.equal((await items.findOne({ _id: 'big' })).text.length, 12_000_000);
    assert.equal(await items.countDocuments(), 201);
});

test('what was journaled is there after SIGKILL', async (t) => {
    const engine = await startMongo(t);
    const client = await new MongoClient(engine.uri('kept')).connect();
    t.after(() => client.close());
    const items = client.db().collection('items');
    let stored = 0;
    for (let n = 0; n < 100; n++) {
        await items.insertOne({ n }, JOURNALED);
        stored++;
    }
    await engine.kill();
    await assert.rejects(items.insertOne({ n: -1 }, { ...JOURNALED, timeoutMS: 300 }));
    await engine.start();
    assert.equal(await items.countDocuments({ n: { $gte: 0 } }), stored);
});

test('TLS is checked against the authority given', async (t) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'parley-ca-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const ca = await Authority.make(folder);
    const { certFile, keyFile } = await ca.issue('localhost');
    const engine = await startMongo(t, { certFile, keyFile });
    const client = await new MongoClient(engine.uri('secure'), { tlsCAFile: ca.file }).connect();
    t.after(() => client.close());
    assert.equal((await client.db().command({ ping: 1 })).ok, 1);
    const stranger = new MongoClient(engine.uri('secure'), { serverSelectionTimeoutMS: 1000 });
    await assert.rejects(stranger.connect(), /certificate/);
    await stranger.close();
});

test('only ELF files are marked', () => {
    assert.throws(() => weaken(Buffer.alloc(100), 'GLIBC_2.38'), /ELF/);
});
