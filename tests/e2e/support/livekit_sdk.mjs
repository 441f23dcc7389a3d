// The official server SDK. It expects the browser's crypto object, which Node 18 keeps in its module.
import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;

export const { AccessToken, RoomServiceClient, TokenVerifier, WebhookReceiver } = await import('livekit-server-sdk');
