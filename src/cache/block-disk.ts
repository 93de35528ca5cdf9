/**
 * What lies under the blocks in memory: a disk, or nothing. Implemented by `disk-cache.ts`.
 *
 * A block is named by an object version and its index, so that what is kept under a name never
 * changes and never needs validation.
 */

/** One version of one object, wherever it is: what its blocks are kept under. */
export interface ObjectIdentity {
  /** `https://host[:port]`, without a slash at the end. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  /** Length of the object. */
  readonly bytes: number;
}

export interface BlockDisk extends AsyncDisposable {
  /**
   * What is kept of `object`, to be read and added to. Never fails: where the disk cannot be used,
   * nothing is there and nothing is kept.
   */
  open(object: ObjectIdentity, signal: AbortSignal): Promise<DiskObject>;
}

export interface DiskObject extends AsyncDisposable {
  /** Whether a block is there; it may still turn out to be damaged. */
  has(index: number): boolean;

  /**
   * Fills `rooms` with the blocks from `first` on. Each room is as long as its block. Gives for each
   * whether it was there, whole and right; what is not is forgotten. Never rejects.
   */
  read(first: number, rooms: readonly Uint8Array[]): Promise<readonly boolean[]>;

  /**
   * Keeps blocks from `first` on; each is whole. They are lent until this settles. Never rejects:
   * what a full or broken disk cannot take is not kept.
   */
  write(first: number, blocks: readonly Uint8Array[]): Promise<void>;

  /**
   * A descriptor from which the kernel may serve the whole object, when every block is there, in
   * clear and checked; it stays the disk's and is open until this object is disposed.
   */
  whole(): number | undefined;
}
