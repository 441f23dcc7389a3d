// The stack of seeds/002: Express with helmet, cors, morgan, both body parsers and the rate limiter, echoing as 000 does;
// and, for bodies with messages, the streaming proxy of 001 written with the openai SDK. Prints {"port":N}.
import cors from 'cors';
import express from 'express';
import rateLimit from 'express-rate-limit';
import helmet from 'helmet';
import morgan from 'morgan';
import { createWriteStream } from 'node:fs';
import OpenAI from 'openai';

const app = express();
app.use(helmet());
app.use(
    cors({
        origin: 'http://localhost:8081',
        credentials: true,
        methods: ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'],
        allowedHeaders: ['Content-Type', 'Authorization'],
    }),
);
app.use(morgan('combined', { stream: createWriteStream('/dev/null') }));
app.use(express.json({ limit: '10mb' }));
app.use(express.urlencoded({ extended: true, limit: '10mb' }));
app.use('/api/', rateLimit({ windowMs: 15 * 60 * 1000, limit: 1e9 }));

app.get('/health/live', (req, res) => {
    res.json({ status: 'ok' });
});

const openai = process.env.OPENAI_BASE_URL ? new OpenAI({ apiKey: 'sk-bench', maxRetries: 0 }) : null;

async function stream(req, res) {
    res.set({ 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    const reply = await openai.chat.completions.create({ ...req.body, stream: true });
    for await (const chunk of reply) {
        res.write(`data: ${JSON.stringify(chunk)}\n\n`);
    }
    res.end('data: [DONE]\n\n');
}

app.post('/api/chat', async (req, res) => {
    const { message, messages, context } = req.body;
    if (messages) {
        await stream(req, res);
        return;
    }
    if (!message) {
        res.status(400).json({ error: 'Message is required' });
        return;
    }
    res.json({
        id: Date.now().toString(),
        message: `Echo: ${message}`,
        timestamp: new Date().toISOString(),
        context: context ?? {},
        aiUsed: false,
    });
});

const server = app.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
