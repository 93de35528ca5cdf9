/** Whether a provider still knows a client: asked where that is said without a secret. */
import { exchange } from '../net/http.ts';
import type { Provider } from './provider-call.ts';

/**
 * INDIGO IAM refuses a deleted client and a disabled person with the same 401 `unauthorized`; its
 * device endpoint knows no persons, and answers 404 for a client that is gone. The code it
 * gives for one that is there is not used.
 *
 * @returns undefined when the provider does not tell.
 */
export async function clientIsKnown(
  { issuer, client, http }: Provider,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const { device_authorization_endpoint: url } = issuer.metadata;
  if (url === undefined) return undefined;
  const body = new URLSearchParams({ client_id: client.id, scope: 'openid' }).toString();
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const tried = `ask ${issuer.url} whether it knows wire`;
  try {
    const { status } = await exchange(tried, { method: 'POST', url, headers, body }, http, signal);
    if (status === 404) return false;
    // 400: the client may not have what was asked for, so there is one.
    return status === 200 || status === 400 ? true : undefined;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
