// The stand-in for LiveKit, against the official SDK: what the other tests rely on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sign, startLiveKit } from '../fake/livekit.mjs';
import { AccessToken, RoomServiceClient, TokenVerifier, WebhookReceiver } from './support/livekit_sdk.mjs';

test('the official client makes, lists and deletes rooms', async (t) => {
    const livekit = await startLiveKit(t);
    const client = new RoomServiceClient(livekit.url, livekit.key, livekit.secret);
    const room = await client.createRoom({ name: 'demo', emptyTimeout: 60, maxParticipants: 3 });
    assert.deepEqual([room.name, room.emptyTimeout, room.maxParticipants], ['demo', 60, 3]);
    assert.equal((await client.createRoom({ name: 'demo' })).sid, room.sid, 'a room that exists is answered');
    assert.deepEqual((await client.listRooms()).map(({ name }) => name), ['demo']);
    assert.deepEqual(await client.listRooms(['other']), []);
    await client.deleteRoom('demo');
    await assert.rejects(client.deleteRoom('demo'), (error) => error.status === 404 && error.code === 'not_found');
});

test('keys and grants are checked', async (t) => {
    const livekit = await startLiveKit(t);
    const stranger = new RoomServiceClient(livekit.url, livekit.key, 'another-secret-another-secret-0123');
    await assert.rejects(stranger.listRooms(), (error) => error.status === 401);
    const other = new RoomServiceClient(livekit.url, 'APIother', livekit.secret);
    await assert.rejects(other.listRooms(), (error) => error.status === 401);
    const token = new AccessToken(livekit.key, livekit.secret, { identity: 'guest' });
    token.addGrant({ roomJoin: true, room: 'demo' });
    const call = async (authorization) => {
        const response = await fetch(`${livekit.url}/twirp/livekit.RoomService/ListRooms`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
            body: '{}',
        });
        return [response.status, await response.text()];
    };
    const refused = await call(`Bearer ${await token.toJwt()}`);
    assert.equal(refused[0], 401);
    assert.deepEqual(JSON.parse(refused[1]), { code: 'unauthenticated', msg: 'permissions denied' });
    for (const [authorization, text] of [
        [undefined, /Must start with Bearer/],
        [livekit.key, /Must start with Bearer/],
        ['Bearer x', /invalid authorization token/],
        [`Bearer ${sign({ iss: livekit.key, video: { roomList: true } }, livekit.secret)}`, /time/],
    ]) {
        const [status, body] = await call(authorization);
        assert.equal(status, 401);
        assert.match(body, text);
    }
});

test('its tokens and webhooks are what the official receiver takes', async (t) => {
    const livekit = await startLiveKit(t);
    const exp = Math.floor(Date.now() / 1000) + 60;
    const token = sign({ iss: livekit.key, sub: 'ann', nbf: 0, exp, video: { roomJoin: true } }, livekit.secret);
    assert.equal((await new TokenVerifier(livekit.key, livekit.secret).verify(token)).sub, 'ann');
    const receiver = new WebhookReceiver(livekit.key, livekit.secret);
    const { body, authorization } = livekit.signedEvent({ event: 'room_started', room: { sid: 'RM_1', name: 'demo' } });
    const event = await receiver.receive(body, authorization);
    assert.deepEqual([event.event, event.room.name], ['room_started', 'demo']);
    await assert.rejects(receiver.receive(`${body} `, authorization));
});
