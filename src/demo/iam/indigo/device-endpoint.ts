/** `POST /devicecode` of the `indigo` dialect: no client authentication, no `interval`. */
import { emptyReply, type IamRequest, jsonReply, type Reply, words } from '../message.ts';
import type { Settings } from '../settings.ts';
import { refuse } from './oauth-error.ts';
import { type IndigoStore, newId, newUserCode } from './store.ts';

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

export function startDeviceLogin(
  request: IamRequest,
  settings: Settings,
  store: IndigoStore,
): Reply {
  const clientId = request.form.get('client_id') ?? basicName(request) ?? '';
  if (clientId === '') return emptyReply(400);
  const client = store.clients.get(clientId);
  if (client === undefined) return emptyReply(404);
  if (!client.grantTypes.includes(DEVICE_GRANT)) {
    throw refuse(401, 'invalid_client', `Unauthorized grant type: ${DEVICE_GRANT}`);
  }
  const asked = words(request.form.get('scope'));
  if (asked.some((scope) => !client.scope.includes(scope))) {
    const text = `One or more requested scope is not allowed for client '${clientId}'`;
    throw refuse(400, 'invalid_scope', text);
  }
  const deviceCode = newId();
  const userCode = newUserCode();
  const lifeSeconds = settings.lifetimes.deviceCode;
  store.deviceLogins.set(deviceCode, {
    deviceCode,
    userCode,
    clientId,
    scope: asked.length > 0 ? asked : client.scope,
    resource: request.form.getAll('resource').flatMap(words),
    expiresAt: settings.now() + lifeSeconds,
    approvedBy: undefined,
  });
  const reply = jsonReply(200, {
    user_code: userCode,
    device_code: deviceCode,
    verification_uri: `${settings.issuer}device`,
    verification_uri_complete: `${settings.issuer}device?user_code=${userCode}`,
    expires_in: lifeSeconds,
  });
  // Its JSON writer escapes `=`: whoever matches text instead of parsing finds out here.
  return { ...reply, body: (reply.body ?? '').replaceAll('=', '\\u003d') };
}

/** The name in a Basic header; the secret is not looked at here. */
function basicName(request: IamRequest): string | undefined {
  const encoded = /^Basic +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  return encoded === undefined
    ? undefined
    : Buffer.from(encoded, 'base64').toString('utf8').split(':')[0];
}
