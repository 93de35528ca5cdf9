/** Blobs in files of one folder, written and read in large pieces. */
import { type FileHandle, mkdir, mkdtemp, open, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Extent, KiB, MiB } from '../../lib/bytes.ts';
import { type Blob, Content, memoryBlob } from './object-data.ts';

/** Up to this size content stays in memory: a file would cost three system calls each way. */
const MEMORY_BYTES = 64 * KiB;
/** Socket reads are 64 KiB; gathering them keeps the file system's calls few. */
const WRITE_BYTES = MiB;
/** Fits the second-level cache, so that the socket copies what the read just brought. */
const READ_BYTES = 256 * KiB;

export class BlobFolder implements AsyncDisposable {
  readonly #path: string;
  readonly #removals = new Set<Promise<void>>();
  #next = 0;

  private constructor(path: string) {
    this.#path = path;
  }

  /** A folder of its own below `parent` (default: the system's temp folder); removed on dispose. */
  static async create(parent: string = tmpdir()): Promise<BlobFolder> {
    await mkdir(parent, { recursive: true });
    return new BlobFolder(await mkdtemp(join(parent, 'wire-objects-')));
  }

  /** Keeps `pieces` with bounded memory, showing each to `see` first. Nothing stays on failure. */
  async receive(pieces: AsyncIterable<Buffer>, see: (piece: Buffer) => void): Promise<Content> {
    const head: Buffer[] = [];
    let size = 0;
    let file: BlobWriter | undefined;
    try {
      for await (const piece of pieces) {
        see(piece);
        size += piece.length;
        if (file !== undefined) await file.write(piece);
        else head.push(piece);
        if (file !== undefined || size <= MEMORY_BYTES) continue;
        file = await this.#writer();
        for (const early of head.splice(0)) await file.write(early);
      }
      if (file === undefined) return Content.of(memoryBlob(Buffer.concat(head)), size);
      await file.finish();
      return Content.of(new FileBlob(file.path, (path) => this.#remove(path)), size);
    } catch (error) {
      await file?.discard();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#removals);
    await rm(this.#path, { recursive: true, force: true });
  }

  async #writer(): Promise<BlobWriter> {
    this.#next += 1;
    const path = join(this.#path, this.#next.toString(36));
    return new BlobWriter(path, await open(path, 'wx', 0o600));
  }

  #remove(path: string): void {
    const removal: Promise<void> = unlink(path)
      .catch(() => undefined)
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }
}

/** Writes one gathered batch while the next is gathered. */
class BlobWriter {
  readonly path: string;
  readonly #file: FileHandle;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #writing: Promise<unknown> = Promise.resolve();

  constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  async write(piece: Buffer): Promise<void> {
    this.#gathered.push(piece);
    this.#gatheredBytes += piece.length;
    if (this.#gatheredBytes >= WRITE_BYTES) await this.#flush();
  }

  async finish(): Promise<void> {
    await this.#flush();
    await this.#writing;
    await this.#file.close();
  }

  async discard(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#file.close().catch(() => undefined);
    await unlink(this.path).catch(() => undefined);
  }

  async #flush(): Promise<void> {
    await this.#writing;
    const batch = this.#gathered;
    if (batch.length === 0) return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#writing = this.#writeAll(batch);
    // The next flush or `finish` sees the failure; until then it must not count as unhandled.
    this.#writing.catch(() => undefined);
  }

  async #writeAll(batch: readonly Buffer[]): Promise<void> {
    const bytes = batch.reduce((sum, piece) => sum + piece.length, 0);
    const { bytesWritten } = await this.#file.writev(batch);
    if (bytesWritten === bytes) return;
    // A short write is rare (full disk, signal): the rest goes the simple way, or fails there.
    await this.#file.appendFile(Buffer.concat(batch).subarray(bytesWritten));
  }
}

class FileBlob implements Blob {
  readonly #path: string;
  readonly #remove: (path: string) => void;
  #holders = 1;

  constructor(path: string, remove: (path: string) => void) {
    this.#path = path;
    this.#remove = remove;
  }

  retain(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#remove(this.#path);
  }

  peek(): undefined {
    return undefined;
  }

  async *pieces({ start, end }: Extent): AsyncGenerator<Buffer> {
    const pieceBytes = Math.min(READ_BYTES, end - start);
    let [buffer, spare] = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)];
    const file = await open(this.#path, 'r');
    try {
      for (let at = start; at < end; ) {
        const { bytesRead } = await file.read(buffer, 0, Math.min(pieceBytes, end - at), at);
        if (bytesRead === 0) throw new Error('a blob is shorter than its object');
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
        [buffer, spare] = [spare, buffer];
      }
    } finally {
      await file.close();
    }
  }
}
