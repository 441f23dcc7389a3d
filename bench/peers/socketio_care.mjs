// Customer care's two events on npm socket.io, as a server that keeps everything in memory, asks no model and says the same
// words every time ($REPLY). Prints {"port":N}.
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, { serveClient: false });
const conversations = new Map();
const demoAgent = { name: 'Sigma', company: 'Zero to Hero', personality: 'motivational, strategic, and sharp-witted' };
const reply = process.env.REPLY ?? 'Small steps.';

io.on('connection', (socket) => {
    socket.on('start_conversation', ({ userId, isCallSimulator }) => {
        if (!userId || !isCallSimulator) {
            socket.emit('error', { message: 'Failed to start conversation', details: 'userId is required' });
            return;
        }
        const conversationId = randomBytes(12).toString('hex');
        const welcomeMessage = { role: 'assistant', content: 'Hello, Sigma here.', timestamp: new Date() };
        conversations.set(conversationId, { userId, messages: [welcomeMessage] });
        socket.emit('conversation_started', { conversationId, welcomeMessage, demoAgent });
    });
    socket.on('user_message', ({ conversationId, message }) => {
        socket.emit('typing', true);
        const conversation = conversations.get(conversationId);
        if (conversation && message) {
            conversation.messages.push({ role: 'user', content: message, timestamp: new Date() });
            conversation.messages.push({ role: 'assistant', content: reply, timestamp: new Date() });
            socket.emit('ai_response', { message: reply, demoAgent });
        } else {
            socket.emit('error', { message: 'Failed to process message' });
        }
        socket.emit('typing', false);
    });
});

http.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: http.address().port })));
