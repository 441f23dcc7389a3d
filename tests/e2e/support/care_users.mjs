// Users of customer care, by REST: registered, with their token.
import assert from 'node:assert/strict';
import { all, until } from './socketio.mjs';

let count = 0;

/** { user, token, headers, json(method, path, body) } of a new user. */
export async function newUser(server, name = 'Ada Bell') {
    const form = { name, email: `user.${process.pid}.${++count}@example.com`, password: 'Sunny4day' };
    const { status, body } = await server.json('POST', '/api/auth/register', form);
    assert.equal(status, 201, JSON.stringify(body));
    const headers = { authorization: `Bearer ${body.token}` };
    return {
        ...body,
        form,
        headers,
        json: (method, path, data) => server.json(method, path, data, headers),
    };
}

export const AGENT = {
    name: 'Nora',
    companyName: 'Lamp House',
    personality: 'calm and precise',
    companyInfo: 'Lamp House sells desk lamps. Delivery takes 3 days. A lamp can be returned within 60 days.',
    prompts: ['Always give the number of days.'],
};
export const INFO = { ...AGENT, company: AGENT.companyName, companyName: undefined };
export const NO_ID = '65f0c0ffee65f0c0ffee0001';

/** Events of a turn, without the acknowledgements, as short words. */
export const told = (socket, from = 0) =>
    socket.seen
        .slice(from)
        .filter(([name]) => ['typing', 'ai_response', 'error'].includes(name))
        .map(([name, value]) => (name === 'typing' ? `typing ${value}` : name));

/** Starts a conversation and returns what the client was told of it. */
export async function start(socket, wish) {
    const n = all(socket, 'conversation_started').length + all(socket, 'error').length;
    socket.emit('start_conversation', wish);
    const [name, answer] = await until(socket, (seen) =>
        seen.filter(([event]) => event === 'conversation_started' || event === 'error')[n],
    );
    assert.equal(name, 'conversation_started', JSON.stringify(answer));
    return answer;
}

/** What was told behind `from`, once the nth turn after it is over. */
export async function turnOver(socket, from = 0, n = 1) {
    await until(socket, (seen) => seen.slice(from).filter(([name, on]) => name === 'typing' && on === false).length >= n);
    return told(socket, from);
}

/** Sends a message and waits for its turn: { reply, names, events }. */
export async function say(socket, message, more = {}) {
    const from = socket.seen.length;
    socket.emit('user_message', { message, ...more });
    const names = await turnOver(socket, from);
    const [, reply] = socket.seen.slice(from).find(([name]) => name === 'ai_response' || name === 'error');
    return { reply, names, events: socket.seen.slice(from) };
}
