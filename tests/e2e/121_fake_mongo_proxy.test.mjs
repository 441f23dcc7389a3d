// The proxy that makes MongoDB fail, proven by the official client: it sees what is put in its way, and else nothing.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { MongoClient } from 'mongodb';
import { answer, cut, cutAfter, failure, someFail, startMongoProxy, throttled } from '../fake/mongo/proxy.mjs';
import { freshDatabase, sharedMongo } from './support/mongo.mjs';

let proxy, client, items;
const closing = [];

before(async () => {
    const target = new URL((await sharedMongo()).replace('mongodb:', 'http:'));
    proxy = await startMongoProxy({ after: (close) => closing.push(close) }, Number(target.port));
    client = new MongoClient(proxy.uri(freshDatabase()), { retryWrites: false, retryReads: false });
    items = (await client.connect()).db().collection('items');
});
after(async () => {
    await client.db().dropDatabase();
    await client.close();
    closing.forEach((close) => close());
});

test('nothing planned: all passes', async () => {
    await items.insertMany([{ _id: 1, text: 'ä' }, { _id: 2 }]);
    assert.deepEqual(await items.find().sort({ _id: 1 }).toArray(), [{ _id: 1, text: 'ä' }, { _id: 2 }]);
    assert.ok(proxy.commands.some(({ name }) => name === 'insert'));
});

test('an answer in the place of the server', async () => {
    proxy.next('insert', answer(throttled(8)));
    await assert.rejects(items.insertOne({ _id: 3 }), (error) => {
        assert.equal(error.code, 16500);
        return /RetryAfterMs=8,/.test(error.message);
    });
    proxy.next('find', answer(failure(50, 'ExceededTimeLimit', 'too long')));
    await assert.rejects(items.findOne({}), { code: 50 });
    assert.equal(await items.countDocuments({ _id: 3 }), 0);
});

test('some of the documents fail, the others come in', async () => {
    proxy.next('insert', someFail([1], 16500));
    await assert.rejects(items.insertMany([{ _id: 10 }, { _id: 11 }, { _id: 12 }], { ordered: false }), (error) => {
        assert.equal(error.writeErrors.length, 1);
        return error.writeErrors[0].index === 1 && error.writeErrors[0].code === 16500;
    });
    const ids = (await items.find({ _id: { $gte: 10 } }).sort({ _id: 1 }).toArray()).map(({ _id }) => _id);
    assert.deepEqual(ids, [10, 12]);
});

test('a connection cut before and after the server has done it', async () => {
    proxy.next('insert', cut);
    await assert.rejects(items.insertOne({ _id: 20 }), { name: 'MongoNetworkError' });
    proxy.next('insert', cutAfter);
    await assert.rejects(items.insertOne({ _id: 21 }), { name: 'MongoNetworkError' });
    assert.equal(await items.countDocuments({ _id: 20 }), 0);
    assert.equal(await items.countDocuments({ _id: 21 }), 1);
});
