/** Bucket, key and query of a request, in path style or virtual-host style. */
import type { IncomingMessage } from 'node:http';
import { decode, parseQuery, type QueryPair } from './canonical-request.ts';

export interface Target {
  /** Empty when the request names none. */
  readonly bucket: string;
  readonly key: string;
  readonly rawPath: string;
  readonly pairs: readonly QueryPair[];
  readonly query: ReadonlyMap<string, string>;
}

/** `BUCKET.localhost[:PORT]` names a bucket. */
const virtualHost = /^(.+)\.localhost(?::\d+)?$/i;

/** @throws S3Error InvalidURI */
export function readTarget(request: IncomingMessage): Target {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const rawPath = mark < 0 ? url : url.slice(0, mark);
  const pairs = mark < 0 ? [] : parseQuery(url.slice(mark + 1));
  const named = virtualHost.exec(request.headers.host ?? '')?.[1];
  const path = rawPath.slice(1);
  const slash = path.indexOf('/');
  const [bucket, key] =
    named !== undefined
      ? [named, path]
      : slash < 0
        ? [path, '']
        : [path.slice(0, slash), path.slice(slash + 1)];
  const query = new Map(pairs);
  return { bucket: decode(bucket), key: decode(key), rawPath, pairs, query };
}
