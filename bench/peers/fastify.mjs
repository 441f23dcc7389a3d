// The two small routes on Fastify, without any middleware. Prints {"port":N}.
import Fastify from 'fastify';

const app = Fastify();

app.get('/health/live', async () => ({ status: 'ok' }));

app.post('/api/chat', async (request, reply) => {
    const { message, context } = request.body;
    if (!message) {
        return reply.code(400).send({ error: 'Message is required' });
    }
    return {
        id: Date.now().toString(),
        message: `Echo: ${message}`,
        timestamp: new Date().toISOString(),
        context: context ?? {},
        aiUsed: false,
    };
});

await app.listen({ port: 0, host: '127.0.0.1' });
console.log(JSON.stringify({ port: app.server.address().port }));
