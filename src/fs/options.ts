import type { BlockCache } from '../cache/block-cache.ts';
import type { BlockDisk } from '../cache/block-disk.ts';
import type { BlockPins } from '../cache/disk-pins.ts';
import type { Endpoint } from '../cache/endpoint.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { ObjectStore, ObjectStores } from '../store/object-store.ts';
import type { IndexStore } from './index-store.ts';
import type { IntentNotes } from './journal/intents.ts';
import type { Life } from './journal/life.ts';
import type { WriteBackMode } from './write-back.ts';
import type { WritingMemory } from './writing-memory.ts';

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

/** What several mounts of one process share. */
export interface ReadingParts {
  readonly blocks: BlockCache;
  /** The server: its name is part of what blocks are kept under. */
  readonly endpoint: Endpoint;
  readonly disk?: BlockDisk | undefined;
  /** Of the budget of `blocks`; absent: this mount has memory of its own to write. */
  readonly writing?: WritingMemory;
  /** Where content is kept that was written here; absent: nowhere. */
  readonly keptWrites?: BlockDisk | undefined;
  /** Of the disk: what stays on it. */
  readonly pins?: BlockPins | undefined;
}

/** What an open believes: what was said of a name for the TTL, or only what the store says now. */
export type Consistency = 'ttl' | 'strict';

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
  /** For content in memory, where `reading` is absent; default 48 MiB. */
  readonly memoryBytes?: number;
  /** What mounts share for reading; absent: memory for this one alone, and no disk. */
  readonly reading?: ReadingParts;
  /** The kernel may read files itself that are whole on the disk; default true. */
  readonly passthrough?: boolean;
  /** Attributes of every entry are read of its metadata. Default: of what was set here. */
  readonly posix?: boolean;
  /** What statfs(2) calls the length of the whole; default 1 PiB. */
  readonly capacityBytes?: number | undefined;
  /** How long the store's word on names and versions is repeated; 1000 is usual. */
  readonly listTtlMs: number;
  /** 'strict': an open asks the store whatever is known. Default 'ttl'. */
  readonly consistency?: Consistency;
  /** Keeps attributes and listings from one mount to the next. */
  readonly index?: IndexStore | undefined;
  /** Where what is under way is written down; absent: a crash leaves it as it is. */
  readonly notes?: IntentNotes | undefined;
  /** Whose this mount is: what is under way is written down in its staging folder. */
  readonly life?: Life | undefined;
  /** What a close waits for; default 'off': the bucket. Others need `life`. */
  readonly writeBack?: WriteBackMode;
  readonly clock: Clock;
  readonly log: Log;
}

/** The store of `bucket`; undefined when the root does not show it. */
export function storeOf(root: FileSystemRoot, bucket: string): ObjectStore | undefined {
  if (root.kind === 'buckets') return root.stores.open(bucket);
  return root.store.bucket === bucket ? root.store : undefined;
}
