/**
 * Known deviations of providers from the letter of the RFCs, put right before openid-client,
 * which insists on it, sees the reply. Each repair names who needs it.
 */
import type { ServerMetadata } from 'openid-client';

import type { HttpReply } from '../net/http.ts';
import { isObject } from './jwt.ts';

/** INDIGO IAM's default, for providers that do not say how long a device code lives. */
const DEFAULT_CODE_LIFE_S = 600;

/** @param client absent secret: a public one. */
export function repaired(
  reply: HttpReply,
  url: string,
  metadata: ServerMetadata,
  client: { readonly secret?: unknown },
): HttpReply {
  switch (url) {
    case metadata.device_authorization_endpoint:
      return edited(reply, (json) => withSoundInterval(withAddress(withCodeLife(json))));
    case metadata.token_endpoint:
      return edited(reply, withSoundLife);
    case metadata.revocation_endpoint:
      return client.secret === undefined ? revoked(reply) : reply;
    default:
      return reply;
  }
}

type Json = Readonly<Record<string, unknown>>;

/** INDIGO IAM sends `expires_in` only for clients that have a device code lifetime set. */
function withCodeLife(json: Json): Json {
  const sound = isSoundLife(json['expires_in']) && json['expires_in'] !== 0;
  return sound ? json : { ...json, expires_in: DEFAULT_CODE_LIFE_S };
}

/** `interval` is optional too (RFC 8628 §3.2); some write numbers as texts. */
function withSoundInterval(json: Json): Json {
  if (!('interval' in json)) return json;
  const { interval, ...others } = json;
  const seconds = Number(interval);
  return seconds > 0 && Number.isFinite(seconds) ? { ...others, interval: seconds } : others;
}

/** Google has the name of an early draft of RFC 8628. */
function withAddress(json: Json): Json {
  const { verification_url: draft } = json;
  return json['verification_uri'] === undefined && typeof draft === 'string'
    ? { ...json, verification_uri: draft }
    : json;
}

/** `expires_in` is optional (RFC 6749 §5.1); one that is not a number counts as absent. */
function withSoundLife(json: Json): Json {
  if (!('expires_in' in json) || isSoundLife(json['expires_in'])) return json;
  return Object.fromEntries(Object.entries(json).filter(([name]) => name !== 'expires_in'));
}

function isSoundLife(life: unknown): boolean {
  const seconds = typeof life === 'string' && life !== '' ? Number(life) : life;
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds >= 0;
}

/**
 * INDIGO IAM revokes a public client's token and then answers 302 to its start page. From a
 * confidential one a redirect means what it always does: not done.
 */
function revoked(reply: HttpReply): HttpReply {
  return reply.status === 302 ? { ...reply, status: 200, text: '' } : reply;
}

function edited(reply: HttpReply, edit: (json: Json) => Json): HttpReply {
  if (reply.status !== 200) return reply;
  try {
    const json: unknown = JSON.parse(reply.text);
    return isObject(json) ? { ...reply, text: JSON.stringify(edit(json)) } : reply;
  } catch {
    return reply;
  }
}
