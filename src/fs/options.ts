import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { ObjectStore, ObjectStores } from '../store/object-store.ts';

/** What the root of a mount shows. */
export type FileSystemRoot =
  | {
      readonly kind: 'bucket';
      readonly store: ObjectStore;
      /** '' for the whole bucket, else ending in '/'. */
      readonly prefix: string;
    }
  /** Every bucket that one may list is a directory of the root. */
  | { readonly kind: 'buckets'; readonly stores: ObjectStores };

export interface ObjectFileSystemOptions {
  readonly root: FileSystemRoot;
  /** Every change is refused with EROFS. */
  readonly readOnly: boolean;
  /** Owner of what nobody has chowned. */
  readonly uid: number;
  readonly gid: number;
  /** Permission bits of what nobody has chmodded: usually 0o644 and 0o755. */
  readonly fileMode: number;
  readonly directoryMode: number;
  /** An absolute path for this mount alone, made 0700; `kept/` in it holds bytes not saved. */
  readonly stagingDir: string;
  /** For blocks of objects in memory; 48 MiB is usual. */
  readonly memoryBytes: number;
  /** How long the store's word on names and versions is repeated; 1000 is usual. */
  readonly listTtlMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** The store of `bucket`; undefined when the root does not show it. */
export function storeOf(root: FileSystemRoot, bucket: string): ObjectStore | undefined {
  if (root.kind === 'buckets') return root.stores.open(bucket);
  return root.store.bucket === bucket ? root.store : undefined;
}
