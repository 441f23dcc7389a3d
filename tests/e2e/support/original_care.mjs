// A database as the Node.js back end of customer care leaves it: written by Mongoose, with messages inside of their
// conversations.
import mongoose from 'mongoose';

const { ObjectId, Mixed } = mongoose.Schema.Types;

const user = new mongoose.Schema(
    {
        name: { type: String, required: true },
        email: { type: String, required: true, unique: true, lowercase: true },
        password: { type: String, required: true },
        role: { type: String, enum: ['user', 'admin'], default: 'user' },
        avatar: String,
    },
    { timestamps: true },
);

const agent = new mongoose.Schema(
    {
        name: { type: String, required: true },
        companyName: { type: String, required: true },
        personality: { type: String, required: true },
        companyInfo: { type: String, required: true },
        prompts: [String],
        userId: { type: ObjectId, ref: 'User', required: true },
    },
    { timestamps: true },
);

const conversation = new mongoose.Schema({
    userId: { type: ObjectId, ref: 'User', required: true },
    agentId: { type: ObjectId, ref: 'Agent' },
    title: String,
    messages: [
        {
            role: { type: String, enum: ['user', 'assistant', 'system'] },
            content: String,
            timestamp: { type: Date, default: Date.now },
            audioUrl: String,
            metadata: Mixed,
        },
    ],
    metadata: {
        duration: { type: Number, default: 0 },
        sentiment: { type: String, default: 'pending' },
        intents: [String],
        created: { type: Date, default: Date.now },
        updated: { type: Date, default: Date.now },
    },
});

/** Its models on a connection that ends with the test `t`; `raw` takes documents that no schema would. */
export async function originalDatabase(t, uri) {
    const connection = await mongoose.createConnection(uri).asPromise();
    t.after(() => connection.close());
    return {
        User: connection.model('User', user),
        Agent: connection.model('Agent', agent),
        Conversation: connection.model('Conversation', conversation),
        raw: (name) => connection.db.collection(name),
        id: () => new mongoose.Types.ObjectId(),
    };
}
