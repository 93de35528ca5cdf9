/** Who asks at the token, introspection and revocation endpoints of the `indigo` dialect. */
import type { IamRequest } from '../message.ts';
import { refuse } from './oauth-error.ts';
import type { IndigoStore, RegisteredClient } from './store.ts';

/**
 * The client of a request, by Basic or by form fields.
 *
 * @throws Refusal 401: `unauthorized` for wrong Basic credentials, `invalid_client` for wrong fields.
 */
export function authenticateClient(request: IamRequest, store: IndigoStore): RegisteredClient {
  const basic = basicCredentials(request.headers.authorization);
  const clientId = basic?.name ?? request.form.get('client_id') ?? '';
  const secret = basic?.password ?? request.form.get('client_secret') ?? undefined;
  const client = store.clients.get(clientId);
  if (client !== undefined && (client.secret ?? '') === (secret ?? '')) return client;
  if (basic !== undefined) throw refuse(401, 'unauthorized', 'Bad credentials');
  throw refuse(401, 'invalid_client', 'Bad client credentials');
}

interface BasicCredentials {
  readonly name: string;
  readonly password: string;
}

/** Name and password are form-encoded before they are joined (RFC 6749 §2.3.1). */
function basicCredentials(header: string | undefined): BasicCredentials | undefined {
  const encoded = /^Basic +(\S+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return { name: formDecode(pair.slice(0, colon)), password: formDecode(pair.slice(colon + 1)) };
}

function formDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
