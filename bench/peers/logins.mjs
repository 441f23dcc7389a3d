// Logins as Express back ends have them: bcryptjs (JavaScript, on the event loop) or, with HASH=scrypt, Node's own scrypt
// on libuv's threads at about the same cost; and a small reply beside them. Prints {"port":N}.
import express from 'express';
import { createRequire } from 'node:module';
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const PASSWORD = 'Sunny4day';
const derive = promisify(scrypt);
const SCRYPT = { N: 2 ** 14, r: 8, p: 1, maxmem: 64 << 20 };

async function withBcrypt() {
    const bcrypt = createRequire(new URL('../../tests/package.json', import.meta.url))('bcryptjs');
    const hash = await bcrypt.hash(PASSWORD, 10);
    return (password) => bcrypt.compare(password, hash);
}

async function withScrypt() {
    const salt = randomBytes(16);
    const hash = await derive(PASSWORD, salt, 32, SCRYPT);
    return async (password) => timingSafeEqual(await derive(password, salt, 32, SCRYPT), hash);
}

const matches = await (process.env.HASH === 'scrypt' ? withScrypt() : withBcrypt());

function token(userId) {
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ userId })}`;
    return `${text}.${createHmac('sha256', 'key').update(text).digest('base64url')}`;
}

const app = express();
app.use(express.json());
app.post('/api/auth/login', async (req, res) => {
    if (await matches(req.body.password)) {
        res.json({ token: token(req.body.email), user: { email: req.body.email } });
    } else {
        res.status(401).json({ message: 'Invalid credentials' });
    }
});
app.post('/api/chat', (req, res) => res.json({ message: `Echo: ${req.body.message}` }));

const server = app.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
