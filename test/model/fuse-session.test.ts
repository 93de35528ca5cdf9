/**
 * Random requests, answered at once or late, interrupted, with replies that never arrive: the
 * kernel of `MemoryChannel` keeps what it was given, and the file system must agree with it.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FileSystem } from '../../src/fs/filesystem.ts';
import { type InodeNumber, ROOT_INODE } from '../../src/fs/ids.ts';
import { errnoNumbers } from '../../src/fuse/linux/errno.ts';
import { encodeRequest, MemoryChannel } from '../../src/fuse/memory-channel.ts';
import { opcodes } from '../../src/fuse/protocol/abi.ts';
import { Session } from '../../src/fuse/session.ts';
import { silentLog } from '../../src/lib/log.ts';
import { MemoryFileSystem } from '../fixtures/memory-filesystem.ts';

/** A request, or something that happens to one; numbers choose among what there is. */
interface Step {
  readonly kind: (typeof kinds)[number];
  readonly inode: number;
  readonly other: number;
  readonly name: string;
  readonly newName: string;
  readonly late: boolean;
  readonly lost: boolean;
}

const kinds = [
  ...(['LOOKUP', 'GETATTR', 'STATX', 'CREATE', 'MKDIR', 'SYMLINK', 'MKNOD', 'LINK'] as const),
  ...(['TMPFILE', 'UNLINK', 'RMDIR', 'RENAME2', 'OPEN', 'OPENDIR', 'READ', 'WRITE'] as const),
  ...(['READDIR', 'READDIRPLUS', 'RELEASE', 'RELEASEDIR', 'FORGET', 'GETXATTR'] as const),
  ...(['settle', 'settle', 'interrupt'] as const),
];

const small = fc.nat(30);
const nameOf = fc.constantFrom('a', 'b', 'c', 'd');
const steps = fc.array(
  fc.record<Step>({
    kind: fc.constantFrom(...kinds),
    inode: small,
    other: small,
    name: nameOf,
    newName: nameOf,
    late: fc.boolean(),
    lost: fc.boolean(),
  }),
  { maxLength: 80, size: 'max' },
);

/** Operations that were asked for and answer later; the test says when. */
class LateAnswers {
  readonly waiting: (() => void)[] = [];
  late = false;

  /** `files`, whose answers come when they are called for while `late` is set. */
  over(files: MemoryFileSystem): FileSystem {
    return new Proxy(files, {
      get: (target, method) => {
        const inherited = Reflect.get(target, method) as (...args: unknown[]) => unknown;
        return (...args: unknown[]): unknown => {
          if (!this.late || method === 'forget') return inherited.apply(target, args);
          const kept = args.map((arg) => (arg instanceof Uint8Array ? arg.slice() : arg));
          return new Promise((resolve) => {
            this.waiting.push(() => resolve(tried(() => inherited.apply(target, kept))));
          });
        };
      },
    });
  }

  async settle(which: number): Promise<void> {
    const [answer] = this.waiting.splice(which % Math.max(1, this.waiting.length), 1);
    answer?.();
    await turn();
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

class Run {
  readonly files: MemoryFileSystem = new MemoryFileSystem({ now: () => 0 });
  readonly channel: MemoryChannel = new MemoryChannel();
  readonly session: Session;
  readonly late: LateAnswers = new LateAnswers();
  readonly #asked: number[] = [];
  #nextUnique = 1001;

  constructor() {
    this.session = new Session(this.channel, this.late.over(this.files), errnoNumbers, silentLog);
    this.session.start();
    this.channel.init();
  }

  async take(step: Step): Promise<void> {
    if (step.kind === 'settle') {
      await this.late.settle(step.other);
      return;
    }
    if (step.kind === 'interrupt') {
      const unique = this.#asked[this.#asked.length - 1 - (step.other % 4)];
      if (unique !== undefined) this.channel.interrupt(unique);
      return;
    }
    const inode = this.#inode(step.inode);
    // The kernel forgets only what it was given.
    if (step.kind === 'FORGET' && !this.channel.holdings.references.has(inode)) return;
    const unique = this.#nextUnique;
    this.#nextUnique += 2;
    this.#asked.push(unique);
    // Of a program that was killed; one in some, or nothing would ever be held.
    if (step.lost && step.other % 3 === 0) this.channel.lost.add(unique);
    this.late.late = step.late;
    const request = { inode, body: this.#body(step.kind, step) };
    this.channel.deliver([encodeRequest(opcodes[step.kind], unique, request)]);
    this.late.late = false;
  }

  #inode(choice: number): number {
    const known = [ROOT_INODE as number, ...this.channel.holdings.references.keys()];
    return known[choice % known.length] ?? ROOT_INODE;
  }

  #body(kind: string, step: Step): Uint8Array {
    const { files, directories } = this.channel.holdings;
    const pick = (from: ReadonlySet<number>): number => [...from][step.other % from.size] ?? 0;
    const [name, newName] = [`${step.name}\0`, `${step.newName}\0`];
    switch (kind) {
      case 'GETATTR':
        return bytesOf([0, 0, 0, 0]);
      case 'STATX':
        return bytesOf([0, 0, 0, 0, 0, 0xfff]);
      case 'CREATE':
        return bytesOf([0o102, 0o644, 0, 0], name);
      case 'MKDIR':
        return bytesOf([0o755, 0], name);
      case 'SYMLINK':
        return bytesOf([], name + newName);
      case 'MKNOD':
        return bytesOf([0o010644, 0, 0, 0], name);
      case 'LINK':
        return bytesOf([this.#inode(step.other), 0], name);
      case 'TMPFILE':
        return bytesOf([2, 0o644, 0, 0], '/\0');
      case 'RENAME2':
        return bytesOf([this.#inode(step.other), 0, step.other % 3, 0], name + newName);
      case 'OPEN':
      case 'OPENDIR':
        return bytesOf([2, 0]);
      case 'READ':
        return bytesOf([pick(files), 0, 0, 0, 100, 0, 0, 0, 0, 0]);
      case 'WRITE':
        return bytesOf([pick(files), 0, step.other, 0, 2, 0, 0, 0, 0, 0], name);
      case 'READDIR':
      case 'READDIRPLUS':
        return bytesOf([pick(directories), 0, step.other % 4, 0, 400, 0, 0, 0, 0, 0]);
      case 'RELEASE':
        return bytesOf([pick(files), 0, 0, 0, 0, 0]);
      case 'RELEASEDIR':
        return bytesOf([pick(directories), 0, 0, 0, 0, 0]);
      case 'FORGET':
        return bytesOf([1, 0]);
      case 'GETXATTR':
        return bytesOf([0, 0], name);
      default:
        return bytesOf([], name);
    }
  }

  /** Until nothing waits any more. */
  async finish(): Promise<void> {
    while (this.late.waiting.length > 0) await this.late.settle(0);
    await turn();
  }

  /** Inodes that have a name, found by walking. */
  namedInodes(): number {
    const found = new Set<number>([ROOT_INODE]);
    for (const ino of found) {
      const inode = ino as InodeNumber;
      if (this.files.getattr(inode).attributes.type !== 'directory') continue;
      const { handle } = this.files.opendir(inode);
      this.files.readdir(handle, 2, (dirent) => found.add(dirent.ino).size > 0);
      this.files.releasedir(handle);
    }
    return found.size - 1;
  }
}

function bytesOf(words: readonly number[], text = ''): Uint8Array {
  return Buffer.concat([new Uint8Array(Uint32Array.from(words).buffer), Buffer.from(text)]);
}

describe('a session', () => {
  it('and its kernel agree on every reference and handle, whatever is late, lost or interrupted', async () => {
    let held = 0;
    const property = fc.asyncProperty(steps, async (history) => {
      const run = new Run();
      for (const step of history) {
        await run.take(step);
        // The kernel never has more than it was promised.
        expect(run.files.lookups).toBeGreaterThanOrEqual(run.channel.holdings.referenceCount);
      }
      await run.finish();
      const { channel, files, session } = run;
      const { holdings } = channel;
      expect(channel.violations).toEqual([]);
      expect([channel.waiting, session.inFlight, session.writeBytes]).toEqual([0, 0, 0]);
      expect(files.lookups).toBe(holdings.referenceCount);
      expect(files.openHandles).toBe(holdings.files.size + holdings.directories.size);
      held += holdings.referenceCount;
      channel.closeAll();
      channel.dropCaches();
      expect([files.lookups, files.openHandles]).toEqual([0, 0]);
      expect(files.knownInodes).toBe(run.namedInodes());
    });
    await fc.assert(property, { numRuns: 300 });
    // Histories that hand nothing out would agree on nothing.
    expect(held).toBeGreaterThan(300);
  });
});

// eslint-disable-next-line @typescript-eslint/require-await -- a throw becomes a rejection
async function tried(work: () => unknown): Promise<unknown> {
  return work();
}
