// The peer of the store on MongoDB: the same operations with Mongoose, as a Node back end has them: a collection of messages
// beside the conversations, and messages embedded in their conversation. Same server, same write concern, as many
// connections, as many at once. One JSON object per line. Usage: mongoose.mjs mongodb://… [adds]
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../tests/package.json', import.meta.url));
const mongoose = require('mongoose');
const [url, adds = '16000'] = process.argv.slice(2);
const TASKS = 64;
const TEXT = 'm'.repeat(200);
const total = Number(adds);

const { Schema } = mongoose;
const message = { role: String, content: String };
const Conversation = mongoose.model('Conversation', new Schema({ title: String, messageCount: Number }, { timestamps: true }));
const Message = mongoose.model(
    'Message',
    new Schema({ conversationId: { type: Schema.Types.ObjectId, index: true }, ...message }, { timestamps: true }).index({
        conversationId: 1,
        createdAt: 1,
    }),
);
const Embedded = mongoose.model(
    'Embedded',
    new Schema({ title: String, messages: [new Schema(message, { timestamps: true })] }, { timestamps: true }),
);

await mongoose.connect(url, { maxPoolSize: 16, writeConcern: { w: 'majority', j: true }, retryWrites: false });
await Promise.all([Conversation, Message, Embedded].map((model) => model.init()));
const conversations = await Conversation.create(Array.from({ length: TASKS }, () => ({ title: 'x', messageCount: 0 })));
const embedded = await Embedded.create(Array.from({ length: TASKS }, () => ({ title: 'x' })));

const OPERATIONS = {
    'add, a conversation per task': async (task) => {
        const conversationId = conversations[task]._id;
        await Message.create({ conversationId, role: 'user', content: TEXT });
        await Conversation.updateOne({ _id: conversationId }, { $inc: { messageCount: 1 } });
    },
    'add, embedded': (task) =>
        Embedded.updateOne({ _id: embedded[task]._id }, { $push: { messages: { role: 'user', content: TEXT } } }),
    'last 20 messages': (task) =>
        Message.find({ conversationId: conversations[task]._id }).sort({ createdAt: -1 }).limit(20).lean(),
};

async function measure(what, one, tasks, calls) {
    const latencies = [];
    const start = process.hrtime.bigint();
    await Promise.all(
        Array.from({ length: tasks }, async (_, task) => {
            for (let n = 0; n < calls / tasks; n++) {
                const at = process.hrtime.bigint();
                await one(task);
                latencies.push(Number(process.hrtime.bigint() - at) / 1000);
            }
        }),
    );
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    latencies.sort((a, b) => a - b);
    const [p50, p99] = [0.5, 0.99].map((q) => Math.round(latencies[Math.floor(latencies.length * q)]));
    const per_s = Math.round(latencies.length / seconds);
    console.log(JSON.stringify({ bench: 'mongoose', what, tasks, calls: latencies.length, per_s, p50_us: p50, p99_us: p99 }));
}

const add = OPERATIONS['add, a conversation per task'];
await measure('warm', add, TASKS, TASKS * 20);
await measure('add, a conversation per task', add, TASKS, total);
await measure('add, embedded', OPERATIONS['add, embedded'], TASKS, total);
await measure('add, one task alone', add, 1, total / 20);
await measure('last 20 messages', OPERATIONS['last 20 messages'], TASKS, total);
await mongoose.disconnect();
