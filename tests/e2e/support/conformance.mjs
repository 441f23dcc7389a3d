// Servers under test in conformance mode: parley, and the original as a control (fake/socketio_control.mjs).
// SOCKETIO_TARGET=parley or original runs the tests against one of them only.
import { test } from 'node:test';
import { startControl } from '../../fake/socketio_control.mjs';
import { startServer } from './server.mjs';

const ms = (value) => (value === undefined ? undefined : `${value}ms`);

/** Names of settings are those of the control; what is not given is the server's default, but for recovery: none. */
function environment(settings) {
    return {
        CONFORMANCE: 'true',
        CORS_ORIGINS: '*',
        ACCESS_LOG: 'off',
        SOCKETIO_PING_INTERVAL: ms(settings.pingInterval),
        SOCKETIO_PING_TIMEOUT: ms(settings.pingTimeout),
        SOCKETIO_UPGRADE_TIMEOUT: ms(settings.upgradeTimeout),
        SOCKETIO_CONNECT_TIMEOUT: ms(settings.connectTimeout),
        SOCKETIO_MAX_PAYLOAD: settings.maxPayload && String(settings.maxPayload),
        SOCKETIO_RECOVERY: ms(settings.recovery ?? 0),
        SOCKETIO_COMPRESSION: settings.compression && 'true',
        SOCKETIO_COOKIE: settings.cookie,
        ALLOW_EIO3: settings.allowEio3 === undefined ? undefined : String(settings.allowEio3),
        ...settings.env,
    };
}

export const startParley = (t, settings = {}) => startServer(t, { env: environment(settings) });

async function startOriginal(t, settings = {}) {
    const control = await startControl({ ...settings, compression: settings.compression && { threshold: 1024 } });
    t.after(() => control.close());
    return { port: control.port, url: `http://127.0.0.1:${control.port}` };
}

const all = [
    { name: 'parley', start: startParley },
    { name: 'original', start: startOriginal },
];
export const targets = all.filter(({ name }) => (process.env.SOCKETIO_TARGET ?? name) === name);

/** Runs define(it, target) for each server: it(name, body) is a test of this server. */
export async function everywhere(define) {
    for (const target of targets) {
        await define((name, body) => test(`${target.name}: ${name}`, body), target);
    }
}
