/** Buckets and what is in them. All changes are synchronous: nobody sees half of one. */
import { randomUUID } from 'node:crypto';
import { S3Error } from './errors.ts';
import type { Upload } from './multipart.ts';
import { type Keyed, ObjectIndex, type OrderedEntries } from './object-index.ts';
import type { StoredObject } from './stored-object.ts';
import { History, isMarker, NULL_VERSION, type Version, type Versioning } from './versions.ts';

/** What a deletion did. */
export interface Deletion {
  readonly existed: boolean;
  /** A marker was made, or was what was removed. */
  readonly isMarker: boolean;
  readonly versionId?: string;
}

export class Bucket {
  readonly name: string;
  readonly createdMs: number;
  /** Uploads in progress by id, oldest first. */
  readonly uploads = new Map<string, Upload>();
  /** Undefined: never switched on. */
  versioning: Versioning | undefined;
  readonly #history = new History();
  readonly #index: ObjectIndex<StoredObject> | undefined;
  readonly entries: OrderedEntries<StoredObject>;

  /** `synthetic` entries make a bucket that cannot be written. */
  constructor(name: string, createdMs: number, synthetic?: OrderedEntries<StoredObject>) {
    this.name = name;
    this.createdMs = createdMs;
    this.#index = synthetic === undefined ? new ObjectIndex() : undefined;
    this.entries = synthetic ?? this.#writable();
  }

  get(key: string): StoredObject | undefined {
    return this.entries.get(key);
  }

  /** Takes over `object` with its content; gives its version, if versions are kept. */
  put(object: StoredObject): string | undefined {
    const versionId = this.#nextVersion();
    const index = this.#writable();
    const replaced = index.set(versionId === undefined ? object : { ...object, versionId });
    this.#retire(object.key, replaced, versionId);
    return versionId;
  }

  /** Removes the current object, or hides it under a marker where versions are kept. */
  delete(key: string, nowMs: number): Deletion {
    const versionId = this.#nextVersion();
    const removed = this.#writable().delete(key);
    this.#retire(key, removed, versionId);
    if (versionId === undefined) return { existed: removed !== undefined, isMarker: false };
    this.#history.push({ key, versionId, modifiedMs: nowMs, isMarker: true });
    return { existed: removed !== undefined, isMarker: true, versionId };
  }

  /** One version for ever; the newest that is left becomes current. */
  deleteVersion(key: string, versionId: string): Deletion {
    const index = this.#writable();
    const current = index.get(key);
    const isCurrent = current !== undefined && (current.versionId ?? NULL_VERSION) === versionId;
    const removed = isCurrent ? index.delete(key) : this.#history.remove(key, versionId);
    if (removed !== undefined && !isMarker(removed)) removed.content.release();
    const [newest] = this.#history.of(key);
    if (index.get(key) === undefined && newest !== undefined && !isMarker(newest)) {
      this.#history.remove(key, newest.versionId ?? NULL_VERSION);
      index.set(newest);
    }
    const wasMarker = removed !== undefined && isMarker(removed);
    return { existed: removed !== undefined, isMarker: wasMarker, versionId };
  }

  /** All versions of `key`, newest first. */
  versions(key: string): readonly Version[] {
    const current = this.entries.get(key);
    const older = this.#history.of(key);
    return current === undefined ? older : [current, ...older];
  }

  /** Every key that has a version, in order. */
  versionedKeys(): OrderedEntries<Keyed> {
    const keys = new ObjectIndex<Keyed>();
    for (const { key } of this.#writable()) keys.set({ key });
    for (const key of this.#history.keys()) keys.set({ key });
    return keys;
  }

  /** All objects in order. Only of buckets that hold what is in them. */
  [Symbol.iterator](): Iterator<StoredObject> {
    return this.#writable()[Symbol.iterator]();
  }

  get isEmpty(): boolean {
    return this.#index?.size === 0 && this.#history.isEmpty;
  }

  #nextVersion(): string | undefined {
    if (this.versioning === undefined) return undefined;
    return this.versioning === 'Enabled' ? randomUUID() : NULL_VERSION;
  }

  /** Keeps `replaced` as an older version, or lets go of what `versionId` takes the place of. */
  #retire(key: string, replaced: StoredObject | undefined, versionId: string | undefined): void {
    const oldId = replaced?.versionId ?? NULL_VERSION;
    const isKept = versionId !== undefined && oldId !== versionId;
    if (replaced !== undefined && isKept) this.#history.push(replaced);
    else replaced?.content.release();
    if (versionId !== NULL_VERSION) return;
    const older = this.#history.remove(key, NULL_VERSION);
    if (older !== undefined && !isMarker(older)) older.content.release();
  }

  #writable(): ObjectIndex<StoredObject> {
    if (this.#index !== undefined) return this.#index;
    throw new S3Error('AccessDenied', 'A synthetic bucket cannot be changed.');
  }
}

/** Every bucket of one server, by name. */
export class Buckets {
  readonly #byName = new Map<string, Bucket>();

  find(name: string): Bucket | undefined {
    return this.#byName.get(name);
  }

  /** @throws S3Error NoSuchBucket */
  get(name: string): Bucket {
    const bucket = this.#byName.get(name);
    if (bucket === undefined) throw new S3Error('NoSuchBucket');
    return bucket;
  }

  add(bucket: Bucket): void {
    this.#byName.set(bucket.name, bucket);
  }

  remove(name: string): void {
    this.#byName.delete(name);
  }

  /** Sorted by name. */
  all(): readonly Bucket[] {
    return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
