// Shapes of the contract that many tests look at.
import assert from 'node:assert/strict';

export const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
export const EVENT_ID = /^[A-Za-z0-9_]+-\d+$/;
export const DEMO_TEXT =
    'This is a demo response. To enable AI responses, add your OpenAI API key to the environment variables.';

export function assertMessage(message, role, conversationId) {
    assert.match(message.id, /^.+$/);
    assert.equal(typeof message.content, 'string');
    assert.equal(message.role, role);
    assert.match(message.timestamp, ISO);
    assert.equal(message.conversationId, conversationId);
}

export function assertConversation(conversation) {
    assert.match(conversation.id, /^.+$/);
    assert.equal(typeof conversation.title, 'string');
    assert.ok(Array.isArray(conversation.messages));
    assert.match(conversation.createdAt, ISO);
    assert.match(conversation.updatedAt, ISO);
    for (const message of conversation.messages) {
        assertMessage(message, message.role, conversation.id);
    }
}

/** {error:X,message:X,code?}: the union that every front end understands. */
export function assertError(response, status, text, code) {
    assert.equal(response.status, status, response.text);
    const type = response.headers.get ? response.headers.get('content-type') : response.headers['content-type'];
    assert.equal(type, 'application/json; charset=utf-8');
    assert.equal(typeof response.body.error, 'string', response.text);
    assert.equal(response.body.error, response.body.message);
    if (text !== undefined) {
        assert.equal(response.body.error, text);
    }
    if (code !== undefined) {
        assert.equal(response.body.code, code);
    }
}

/** /v1 errors, as OpenAI shapes them. */
export function assertOpenAiError(response, status) {
    assert.equal(response.status, status, response.text);
    const { error } = response.body;
    assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type']);
    assert.equal(typeof error.message, 'string');
    assert.equal(typeof error.type, 'string');
}
