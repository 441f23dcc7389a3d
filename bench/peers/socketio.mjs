// What parley offers over Socket.IO, on npm socket.io: the streamed chat of seeds/002 as it stands there (the text so far
// to everybody in the conversation, for each token), without its console output. With CONFORMANCE, as parley: in "/"
// `message` answered with `message-back`, in "/lab" rooms. Prints {"port":N}.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import OpenAI from 'openai';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, { serveClient: false });
const openai = process.env.OPENAI_BASE_URL ? new OpenAI({ apiKey: 'sk-bench', maxRetries: 0 }) : null;
const conversations = new Map();

function conversationOf(id, message) {
    let conversation = conversations.get(id);
    if (!conversation) {
        const title = message.substring(0, 50) + (message.length > 50 ? '...' : '');
        conversation = { id, title, messages: [], createdAt: new Date(), updatedAt: new Date() };
        conversations.set(id, conversation);
    }
    return conversation;
}

function add(conversation, role, content) {
    const message = { id: randomUUID(), content, role, timestamp: new Date(), conversationId: conversation.id };
    conversation.messages.push(message);
    conversation.updatedAt = new Date();
    return message;
}

async function streamChat(socket, { message, conversationId }) {
    if (!message || message.trim() === '') {
        socket.emit('error', { message: 'Message is required' });
        return;
    }
    const conversation = conversationOf(conversationId, message);
    socket.join(conversationId);
    const room = () => io.to(conversationId);
    socket.to(conversationId).emit('new_message', add(conversation, 'user', message));
    const reply = add(conversation, 'assistant', '');
    const messageId = reply.id;
    room().emit('stream_start', { messageId, conversationId });
    const stream = await openai.chat.completions.create({
        model: 'gpt-4',
        messages: [
            { role: 'system', content: 'You are a helpful assistant.' },
            { role: 'user', content: message },
        ],
        stream: true,
    });
    let content = '';
    const chunk = (isComplete) =>
        room().emit('stream_chunk', { id: messageId, messageId, conversationId, content, isComplete });
    for await (const part of stream) {
        const delta = part.choices[0]?.delta?.content || '';
        if (delta) {
            content += delta;
            chunk(false);
        }
    }
    reply.content = content;
    chunk(true);
    room().emit('stream_complete', { messageId, conversationId, conversation });
}

function chat(socket) {
    socket.on('join_conversation', ({ conversationId }) => socket.join(conversationId));
    socket.on('stream_chat', (data) =>
        streamChat(socket, data).catch((error) => socket.emit('error', { message: error.message })),
    );
}

function echo(socket) {
    socket.emit('auth', socket.handshake.auth);
    socket.on('message', (...args) => socket.emit('message-back', ...args));
}

function lab(socket) {
    socket.on('join', (room) => socket.join(room));
    socket.on('broadcast', (room, ...args) => socket.to(room).emit('cast', ...args));
    socket.on('shout', (room, ...args) => socket.nsp.to(room).emit('cast', ...args));
}

if (process.env.CONFORMANCE) {
    io.on('connection', echo);
    io.of('/lab').on('connection', lab);
} else {
    io.on('connection', chat);
}

http.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
    console.log(JSON.stringify({ port: http.address().port }));
});
