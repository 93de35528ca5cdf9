/** The same writing to the same server without a mount, in the fastest simple ways there are. */
import { fileURLToPath } from 'node:url';
import type { RawConnection } from './connection.ts';
import { costed, costOf, onConnections, type RawCost, type RawStore, urlOf } from './raw-client.ts';

/** Room for what a server says of a PUT. */
const ANSWER_BYTES = 4096;

/** The file's bytes through a pipe to a program that uploads them in parts, until all are there. */
export async function uploadByParts(
  store: RawStore,
  {
    path,
    key,
    connections,
  }: { readonly path: string; readonly key: string; readonly connections: number },
  signal: AbortSignal,
): Promise<RawCost> {
  const script = fileURLToPath(new URL('./upload-process.js', import.meta.url));
  const { endpoint, ...rest } = store;
  const where = JSON.stringify({ ...rest, endpoint: endpoint.href });
  const args = [path, process.execPath, script, where, key, String(connections)];
  const upload = costed('"$2" "$3" "$4" "$5" "$6"');
  return await costOf(`dd if="$1" bs=1M status=none | ${upload}`, args, signal);
}

/** One PUT of `body` for each of `keys`. */
export async function putAll(
  store: RawStore,
  {
    keys,
    body,
    connections,
  }: { readonly keys: readonly string[]; readonly body: Buffer; readonly connections: number },
  signal: AbortSignal,
): Promise<RawCost> {
  const waiting = keys.values();
  const putRest = async (connection: RawConnection): Promise<void> => {
    for (const key of waiting) await connection.put(urlOf(store, key, {}, 'PUT'), body, signal);
  };
  const most = { connections, bodyBytes: ANSWER_BYTES };
  return await onConnections(store.endpoint, most, putRest, signal);
}

/** Bytes of the object. */
export async function sizeOf(store: RawStore, key: string, signal: AbortSignal): Promise<number> {
  const response = await fetch(urlOf(store, key, {}, 'HEAD'), { method: 'HEAD', signal });
  if (!response.ok) throw new Error(`the head of ${key} was answered with ${response.status}`);
  return Number(response.headers.get('content-length'));
}

/** The first bytes of an extent of the object. */
export async function bytesAt(
  store: RawStore,
  key: string,
  extent: { readonly start: number; readonly end: number },
  signal: AbortSignal,
): Promise<Buffer> {
  const range = `bytes=${extent.start}-${extent.end - 1}`;
  const response = await fetch(urlOf(store, key), { headers: { range }, signal });
  if (response.status !== 206) throw new Error(`a range was answered with ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}
