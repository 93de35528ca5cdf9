/**
 * Histories of a mount with write-back that is killed at any moment, and of its later lives, beside
 * a list of what each file may hold: one content once that was acknowledged, and what came since.
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { HandleId } from '../../src/fs/ids.ts';
import type { Life } from '../../src/fs/journal/life.ts';
import { newLeftName } from '../../src/fs/staging-owner.ts';
import type { WriteBackMode } from '../../src/fs/write-back.ts';
import { StoreError, type StoreErrorKind } from '../../src/store/errors.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import { FakeClock } from '../fixtures/fake-clock.ts';
import { ownLife } from '../fixtures/journal-intents.ts';
import { MemoryObjectStore } from '../fixtures/memory-object-store.ts';
import { errnoOf, FileTree, text } from '../unit/fs/file-tree.ts';
import { histories } from './histories.ts';

const paths = ['a', 'b', 'd/a', 'd/b', 'e/a'];
const anyPath = fc.constantFrom(...paths);
const anyDirectory = fc.constantFrom('d', 'e', 'f');
/** Content of more than this lies in a file, which is changed in place. */
const LARGE = 300 * 1024;
const anySize = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 1, arbitrary: fc.constant(LARGE) },
);
const at = fc.oneof(fc.nat(30), fc.constantFrom('end' as const, 'end' as const));

/** Where in the work of a mount it is killed: at a request, before or after the store does it. */
const moment = fc.record({
  afterRequests: fc.nat(6),
  side: fc.constantFrom('before' as const, 'after' as const),
});

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ op: fc.constant('write' as const), path: anyPath, bytes: anySize }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('patch' as const),
      path: anyPath,
      at,
      bytes: fc.nat(20),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('cut' as const), path: anyPath, bytes: fc.nat(50) }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('open' as const), path: anyPath }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('change' as const),
      path: anyPath,
      at,
      bytes: fc.nat(20),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('resize' as const), path: anyPath, bytes: fc.nat(50) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('fsync' as const), path: anyPath }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('close' as const), path: anyPath }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('unlink' as const), path: anyPath }) },
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('rename' as const), path: anyPath, to: anyPath }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('move' as const),
      path: anyDirectory,
      to: anyDirectory,
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('mkdir' as const), path: anyDirectory }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('rmdir' as const), path: anyDirectory }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('read' as const), path: anyPath }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('foreign' as const), path: anyPath }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('wait' as const),
      ms: fc.constantFrom(50, 150, 1500, 60_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('store' as const),
      is: fc.constantFrom(
        ...(['there', 'there', 'there', 'away', 'deaf', 'full', 'locked'] as const),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('other' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('crash' as const) }) },
  { weight: 2, arbitrary: moment.map((when) => ({ op: 'doom' as const, ...when })) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type StepOf<Op extends Step['op']> = Extract<Step, { readonly op: Op }>;

/** For a busy disk. */
const DISK_MS = 5000;

const ABSENT = undefined;
/**
 * What is to be saved is in part as in its base, and an earlier content of it has arrived unheard:
 * until the mount has seen that, nobody can read that part.
 */
const UNREADABLE: unique symbol = Symbol('unreadable');
type Content = string | undefined;

interface OpenFile {
  readonly id: HandleId;
  /** Undefined once the name is gone. */
  path: string | undefined;
  bytes: string;
}

/** One mount of the bucket. Once `isCut` nothing of it reaches the bucket. */
interface Mount {
  readonly tree: FileTree;
  readonly folder: string;
  isCut: boolean;
}

/** Requests that change something, and those that look whether they did. */
const CHANGES = /^(?:put|copy|delete|head|(?:start|complete|abort)Upload|uploadPart|copyPart)$/;
/** Requests that need room in the bucket. */
const SENDS = /^(?:put|copy|(?:start|complete)Upload|uploadPart|copyPart)$/;

/** The bucket, and the folders of all lives. */
class World implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly store = new MemoryObjectStore({ clock: this.clock, contentEtags: true });
  is: StepOf<'store'>['is'] = 'there';
  readonly writeBack: WriteBackMode;
  /** Requests until the mount is killed. */
  doom: Pick<StepOf<'doom'>, 'afterRequests' | 'side'> | undefined;
  /** What the kill has left. */
  #left: string | undefined;
  readonly #root = mkdtempSync(join(tmpdir(), 'wire-write-back-model-'));
  #folders = 0;
  #mount: Mount | undefined;

  constructor(writeBack: WriteBackMode) {
    this.writeBack = writeBack;
  }

  get mount(): Mount {
    if (this.#mount === undefined) throw new Error('nothing is mounted');
    return this.#mount;
  }

  async begin(folder = this.newFolder(), life: Life = ownLife): Promise<Mount> {
    const mount = { isCut: false, folder };
    const around = async (method: string, work: () => Promise<unknown>): Promise<unknown> =>
      await this.#request(mount, method, work);
    const root = { kind: 'bucket', store: storeWith(this.store, around), prefix: '' } as const;
    const { clock, writeBack } = this;
    const tree = await FileTree.make({ clock, writeBack, life, stagingDir: folder, root });
    this.#mount = Object.assign(mount, { tree });
    await tree.fs.shown;
    return this.#mount;
  }

  /** The state folder as it is after a kill, which is now if it was not killed before. */
  async crash(): Promise<string> {
    const { mount } = this;
    if (!mount.isCut) this.#kill(mount);
    await mount.tree[Symbol.asyncDispose]();
    this.#mount = undefined;
    const left = this.#left;
    if (left === undefined) throw new Error('was not killed');
    return left;
  }

  newFolder(): string {
    this.#folders += 1;
    return join(this.#root, `${this.#folders}`, 'place');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#mount !== undefined) {
      this.#mount.isCut = true;
      await this.#mount.tree[Symbol.asyncDispose]();
    }
    rmSync(this.#root, { recursive: true, force: true });
  }

  async #request(
    mount: Pick<Mount, 'isCut' | 'folder'>,
    method: string,
    work: () => Promise<unknown>,
  ): Promise<unknown> {
    const isNow = this.doom?.afterRequests === 0 && !mount.isCut;
    if (this.doom !== undefined)
      this.doom = { ...this.doom, afterRequests: this.doom.afterRequests - 1 };
    if (isNow && this.doom?.side === 'before') this.#kill(mount);
    const isChange = CHANGES.test(method);
    if (isCut(mount) || (isChange && this.is === 'away')) throw unreachable(method);
    if (this.is === 'full' && SENDS.test(method)) throw refused('over-quota', method);
    if (this.is === 'locked' && isChange) throw refused('credentials-expired', method);
    const result = await work();
    if (isNow) this.#kill(mount);
    if (isCut(mount) || (isChange && this.is === 'deaf')) throw unreachable(method);
    return result;
  }

  #kill(mount: Pick<Mount, 'isCut' | 'folder'>): void {
    if (mount.isCut) return;
    mount.isCut = true;
    this.doom = undefined;
    const left = this.newFolder();
    if (existsSync(mount.folder)) copyFolder(mount.folder, left);
    else mkdirSync(left, { recursive: true });
    // The process lives on, but its folders are those of one that does not.
    for (const name of readdirSync(left)) {
      if (name !== 'kept') renameSync(join(left, name), join(left, newLeftName()));
    }
    // Else the next life could find it there as well.
    this.#left = left;
  }
}

function isCut(mount: Pick<Mount, 'isCut'>): boolean {
  return mount.isCut;
}

function unreachable(method: string): StoreError {
  return refused('unreachable', method);
}

function refused(kind: StoreErrorKind, method: string): StoreError {
  return new StoreError(kind, method, { code: 'InjectedFault' });
}

/** Asks a store through `around`. */
function storeWith(
  store: MemoryObjectStore,
  around: (method: string, work: () => Promise<unknown>) => Promise<unknown>,
): ObjectStore {
  return new Proxy(store, {
    get(target, method) {
      const value: unknown = Reflect.get(target, method);
      if (typeof value !== 'function') return value;
      const call = value as (this: unknown, ...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]) =>
        await around(String(method), async () => await call.apply(target, args));
    },
  });
}

/** In one go: only what threads were told to do before goes on, as the removal of a file. */
function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  // What is put aside moves there meanwhile: it must not be missed at both places.
  const isLast = ({ name }: { readonly name: string }): number => (name === 'kept' ? 1 : 0);
  const inside = readdirSync(from, { withFileTypes: true });
  for (const each of inside.sort((a, b) => isLast(a) - isLast(b))) {
    if (each.isDirectory()) copyFolder(join(from, each.name), join(to, each.name));
    else copyIfThere(join(from, each.name), join(to, each.name));
  }
}

function copyIfThere(from: string, to: string): void {
  try {
    copyFileSync(from, to);
  } catch (error) {
    if (existsSync(from)) throw error;
  }
}

/** Errors that tell what the names are, and not that something failed. */
const ANSWERS = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENOTEMPTY', 'EEXIST', 'EINVAL']);

class History {
  readonly #world: World;
  /** The last acknowledged content of each path, and what it may have become since. */
  readonly #states = new Map<string, readonly Content[]>(paths.map((path) => [path, [ABSENT]]));
  readonly #open = new Map<string, OpenFile>();
  /** Somebody else has stored this there: it must stay. */
  readonly #foreign = new Map<string, string>();
  /** Must be put aside. */
  readonly #aside: string[] = [];
  /** Somebody else has written, or a rename that failed may have been done all the same. */
  #mayConflict = false;
  /** Renames that nobody was told of: content is at one of both names. */
  #moving: (readonly [from: string, to: string])[] = [];
  #written = 0;

  constructor(world: World) {
    this.#world = world;
  }

  async take(step: Step): Promise<void> {
    if ('path' in step && this.#isContested(step)) return;
    await this.#take(step);
    if (this.#world.mount.isCut) await this.#nextLife();
    if (this.#tree.fs.state.unsavedFiles === 0 && this.#world.is === 'there')
      this.#foreignSettled();
  }

  async #take(step: Step): Promise<void> {
    if (step.op === 'write') await this.#write(step.path, step.bytes);
    else if (step.op === 'patch') await this.#patch(step);
    else if (step.op === 'cut') await this.#cut(step.path, step.bytes);
    else if (step.op === 'open') await this.#openFile(step.path);
    else if (step.op === 'change') await this.#change(step);
    else if (step.op === 'resize') await this.#resize(step);
    else if (step.op === 'fsync') await this.#fsync(step.path);
    else if (step.op === 'close') await this.#close(step.path);
    else if (step.op === 'unlink') await this.#unlink(step.path);
    else if (step.op === 'rename') await this.#rename(step.path, step.to);
    else if (step.op === 'move') await this.#move(step.path, step.to);
    else if (step.op === 'mkdir') await errnoOf(async () => await this.#tree.mkdir(step.path));
    else if (step.op === 'rmdir') await errnoOf(async () => await this.#tree.rmdir(step.path));
    else if (step.op === 'read') await this.#read(step.path);
    else if (step.op === 'foreign') await this.#foreigner(step.path);
    else if (step.op === 'wait') await this.#world.clock.advance(step.ms);
    else if (step.op === 'store') this.#storeIs(step.is);
    else if (step.op === 'doom') this.#world.doom = step;
    else if (step.op === 'other') await this.#otherLife();
    else await this.#nextLife();
  }

  /** The store is there: all that was acknowledged gets there, and nothing is left behind. */
  async end(): Promise<void> {
    const world = this.#world;
    world.is = 'there';
    world.doom = undefined;
    await this.#nextLife();
    const started = performance.now();
    while (this.#tree.fs.state.unsavedFiles > 0 && performance.now() - started < DISK_MS) {
      await world.clock.advance(1000);
    }
    await this.#tree.fs.recovered;
    await world.clock.advance(60_000);
    const { folder } = world.mount;
    expect(this.#tree.fs.state).toMatchObject({ openHandles: 0, unsavedFiles: 0, uploads: 0 });
    for (const path of paths) {
      expect(await this.#contentOf(path)).toBe(text(world.store, path));
      this.#expectPossible(path, text(world.store, path));
    }
    const kept = this.#kept();
    for (const each of this.#aside) expect(kept.some((bytes) => isCopy(bytes, each))).toBe(true);
    if (!this.#mayConflict) expect(keptNames(folder).filter(isConflictName)).toEqual([]);
    await this.#tree.fs[Symbol.asyncDispose]();
    expect(fileKeys(world.store).filter((key) => !paths.includes(key))).toEqual([]);
    expect(world.store.openUploads).toBe(0);
    const left = existsSync(folder) ? readdirSync(folder) : [];
    expect(left.filter((name) => name !== 'kept')).toEqual([]);
  }

  get #tree(): FileTree {
    return this.#world.mount.tree;
  }

  #kept(): string[] {
    const { folder } = this.#world.mount;
    return keptNames(folder).map((name) => readFileSync(join(folder, 'kept', name), 'utf8'));
  }

  /** Whether a step has to do with what somebody else has changed and we may still have to save. */
  #isContested(step: Extract<Step, { readonly path: string }>): boolean {
    const named = [step.path, ...('to' in step ? [step.to] : [])];
    return [...this.#foreign.keys()].some((path) =>
      named.some((each) => each === path || path.startsWith(`${each}/`)),
    );
  }

  #foreignSettled(): void {
    for (const [path, theirs] of this.#foreign) {
      if (this.#open.has(path)) continue;
      expect(text(this.#world.store, path)).toBe(theirs);
      this.#states.set(path, [theirs]);
      this.#foreign.delete(path);
    }
  }

  async #nextLife(): Promise<void> {
    const world = this.#world;
    if (this.#moving.length > 0) world.is = 'there';
    const folder = await world.crash();
    this.#open.clear();
    await this.#begin(folder);
  }

  /** Somebody else mounts the same at the same place, and nothing of ours happens meanwhile. */
  async #otherLife(): Promise<void> {
    const world = this.#world;
    const { is } = world;
    const folder = await world.crash();
    this.#open.clear();
    world.is = 'there';
    const before = versionsIn(world.store);
    const { tree } = await world.begin(folder, { ...ownLife, subject: 'bob' });
    await tree.fs.recovered;
    await world.clock.advance(60_000);
    await tree.fs[Symbol.asyncDispose]();
    expect(versionsIn(world.store)).toEqual(before);
    world.is = this.#moving.length > 0 ? 'there' : is;
    await this.#begin(folder);
  }

  async #begin(folder: string): Promise<void> {
    const world = this.#world;
    await world.begin(folder);
    await this.#tree.fs.recovered;
    for (const path of paths) {
      if (this.#foreign.has(path)) continue;
      const content = await this.#contentOf(path);
      if (content !== UNREADABLE) this.#expectPossible(path, content);
    }
    for (const [from, to] of this.#moving) {
      const found = [await this.#contentOf(from), await this.#contentOf(to)];
      expect(found.some((content) => content !== ABSENT)).toBe(true);
    }
    this.#moving = [];
    // What is still to be saved may find that a change had arrived of which nobody was told.
    if (this.#tree.fs.state.unsavedFiles > 0) return;
    for (const path of paths) {
      if (this.#foreign.has(path)) continue;
      const content = await this.#contentOf(path);
      if (content !== UNREADABLE) this.#states.set(path, [content]);
    }
  }

  async #contentOf(path: string): Promise<Content | typeof UNREADABLE> {
    let content: Content;
    const outcome = await errnoOf(async () => (content = await this.#tree.read(path)));
    if (outcome === 'ENOENT' || outcome === 'ENOTDIR' || outcome === 'EISDIR') return ABSENT;
    const isUnsaved = this.#tree.fs.state.unsavedFiles > 0;
    if (outcome === 'ESTALE' && isUnsaved) return UNREADABLE;
    if (!this.#world.mount.isCut) expect([path, outcome]).toEqual([path, 'ok']);
    return content;
  }

  /** Whether `work` was acknowledged; 'no' when nothing was done. */
  async #did(work: () => Promise<unknown>): Promise<'ok' | 'no' | 'perhaps'> {
    const outcome = await errnoOf(work);
    if (this.#world.mount.isCut) return 'perhaps';
    if (outcome === 'ok') return 'ok';
    return ANSWERS.has(outcome) ? 'no' : 'perhaps';
  }

  async #write(path: string, bytes: number): Promise<void> {
    if (this.#open.has(path)) return;
    const content = this.#fresh(bytes);
    const before = this.#of(path);
    this.#mayBe(path, '', content);
    const did = await this.#did(async () => await this.#tree.write(path, content));
    if (did === 'ok') this.#states.set(path, [content]);
    else if (did === 'no') this.#states.set(path, before);
  }

  async #patch({ path, at, bytes }: StepOf<'patch'>): Promise<void> {
    if (this.#open.has(path)) return;
    await this.#openFile(path);
    await this.#change({ path, at, bytes });
    await this.#close(path);
  }

  async #cut(path: string, bytes: number): Promise<void> {
    if (this.#open.has(path)) return;
    const before = this.#of(path);
    const cut = before.map((content) => (content === ABSENT ? ABSENT : resized(content, bytes)));
    this.#mayBe(path, ...cut);
    const did = await this.#did(async () => await this.#tree.setattr(path, { bytes }));
    if (did === 'ok')
      this.#states.set(
        path,
        before.flatMap((content) => (content === ABSENT ? [] : [resized(content, bytes)])),
      );
    else if (did === 'no') this.#states.set(path, before);
  }

  async #openFile(path: string): Promise<void> {
    if (this.#open.has(path)) return;
    const before = this.#of(path);
    if (before.includes(ABSENT)) this.#mayBe(path, '');
    let id: HandleId | undefined;
    let bytes = '';
    const did = await this.#did(async () => {
      id = await this.#tree.create(path);
      bytes = (await this.#tree.readHandle(id)).toString();
    });
    if (did === 'no') this.#states.set(path, before);
    if (id === undefined || did === 'perhaps') return;
    this.#expectPossible(path, bytes);
    this.#open.set(path, { id, path, bytes });
  }

  async #change({
    path,
    at,
    bytes,
  }: Pick<StepOf<'change'>, 'path' | 'at' | 'bytes'>): Promise<void> {
    const file = this.#open.get(path);
    if (file === undefined) return;
    const start = at === 'end' ? file.bytes.length : at;
    const piece = this.#fresh(bytes + 1);
    const after = patched(file.bytes, start, piece);
    this.#mayBe(path, after);
    const did = await this.#did(async () => await this.#tree.writeHandle(file.id, start, piece));
    if (did === 'ok') file.bytes = after;
    else await this.#giveUp(file);
  }

  async #resize({ path, bytes }: StepOf<'resize'>): Promise<void> {
    const file = this.#open.get(path);
    if (file === undefined) return;
    const { fs, context } = this.#tree;
    const after = resized(file.bytes, bytes);
    this.#mayBe(path, after);
    const inode = this.#tree.inodeOf(file.id);
    const did = await this.#did(async () => await fs.setattr(inode, file.id, { bytes }, context));
    if (did === 'ok') file.bytes = after;
    else await this.#giveUp(file);
  }

  async #fsync(path: string): Promise<void> {
    const file = this.#open.get(path);
    if (file === undefined) return;
    const { fs, context } = this.#tree;
    const did = await this.#did(async () => await fs.fsync(file.id, false, context));
    if (did !== 'ok') return;
    expect(text(this.#world.store, path)).toBe(file.bytes);
    this.#states.set(path, [file.bytes]);
  }

  async #close(path: string): Promise<void> {
    const file = this.#open.get(path);
    if (file === undefined) return;
    this.#open.delete(path);
    const did = await this.#did(async () => await this.#tree.close(file.id));
    if (did === 'ok') this.#states.set(path, [file.bytes]);
  }

  async #giveUp(file: OpenFile): Promise<void> {
    if (file.path !== undefined) this.#open.delete(file.path);
    await errnoOf(async () => await this.#tree.close(file.id));
  }

  async #unlink(path: string): Promise<void> {
    const before = this.#of(path);
    this.#mayBe(path, ABSENT);
    const did = await this.#did(async () => await this.#tree.unlink(path));
    if (did === 'no') this.#states.set(path, before);
    if (did !== 'ok') return;
    this.#states.set(path, [ABSENT]);
    this.#isNotMoving(path);
    await this.#lostName(path);
  }

  /** Its content has gone from here as it was told, wherever an earlier rename has left it. */
  #isNotMoving(path: string): void {
    this.#moving = this.#moving.filter((names) => !names.includes(path));
  }

  /** Its name is gone. Somebody reads it still, and closes it at some time. */
  async #lostName(path: string): Promise<void> {
    const file = this.#open.get(path);
    if (file === undefined) return;
    file.path = undefined;
    this.#open.delete(path);
    if (file.bytes.length % 2 === 0) await errnoOf(async () => await this.#tree.close(file.id));
  }

  async #rename(from: string, to: string): Promise<void> {
    if (from === to) return;
    await this.#moved([[from, to]], async () => await this.#tree.rename(from, to), true);
  }

  async #move(from: string, to: string): Promise<void> {
    if (from === to) return;
    const inside = paths.filter((path) => path.startsWith(`${from}/`));
    const pairs = inside.map((path) => [path, to + path.slice(from.length)] as const);
    // Not to where this history does not look.
    if (pairs.some(([, target]) => !paths.includes(target))) {
      if (
        pairs.some(([path, target]) => !paths.includes(target) && !isOnly(this.#of(path), ABSENT))
      )
        return;
    }
    if (from !== 'd' && from !== 'e') return;
    const known = pairs.filter(([, target]) => paths.includes(target));
    await this.#moved(known, async () => await this.#tree.rename(from, to), false);
  }

  async #moved(
    pairs: readonly (readonly [from: string, to: string])[],
    work: () => Promise<void>,
    mustBe: boolean,
  ): Promise<void> {
    const before = new Map(this.#states);
    for (const [from, to] of pairs) {
      const content = this.#of(from).filter((each) => each !== ABSENT);
      this.#mayBe(to, ...content);
      this.#mayBe(from, ABSENT);
    }
    const did = await this.#did(work);
    for (const [from, to] of pairs) {
      const content = before.get(from) ?? [];
      if (did === 'no') {
        this.#states.set(from, before.get(from) ?? []);
        this.#states.set(to, before.get(to) ?? []);
      } else if (did === 'ok') {
        this.#states.set(to, mustBe ? content.filter((each) => each !== ABSENT) : content);
        this.#states.set(from, [ABSENT]);
        this.#isNotMoving(from);
        this.#isNotMoving(to);
        await this.#lostName(to);
        const file = this.#open.get(from);
        if (file !== undefined) {
          file.path = to;
          this.#open.delete(from);
          this.#open.set(to, file);
        }
      } else if (!content.includes(ABSENT)) this.#moving.push([from, to]);
    }
  }

  async #read(path: string): Promise<void> {
    const file = this.#open.get(path);
    const content = await this.#contentOf(path);
    if (this.#world.mount.isCut || content === UNREADABLE) return;
    if (file === undefined) this.#expectPossible(path, content);
    else expect(content).toBe(file.bytes);
  }

  #storeIs(is: StepOf<'store'>['is']): void {
    this.#mayConflict ||= is === 'deaf';
    this.#world.is = is;
  }

  /** Somebody else writes the object, and the mount learns of that. */
  async #foreigner(path: string): Promise<void> {
    this.#mayConflict = true;
    const { store } = this.#world;
    const [parent] = path.split('/').slice(0, -1);
    if (parent !== undefined && store.bytesOf(`${parent}/`) === undefined) return;
    const [only, ...others] = this.#of(path);
    const file = this.#open.get(path);
    const isPending = only !== ABSENT && others.length === 0 && text(store, path) !== only;
    if (isPending && file === undefined) this.#aside.push(only);
    const theirs = this.#fresh(12);
    store.set(path, theirs);
    this.#foreign.set(path, theirs);
    this.#states.set(path, [theirs]);
    await this.#lostName(path);
    await this.#tree.expire();
  }

  #fresh(bytes: number): string {
    this.#written += 1;
    return `${this.#written}.`.repeat(Math.ceil(bytes / 2)).slice(0, bytes);
  }

  #of(path: string): readonly Content[] {
    return this.#states.get(path) ?? [];
  }

  #mayBe(path: string, ...contents: readonly Content[]): void {
    this.#states.set(path, [...this.#of(path), ...contents]);
  }

  #expectPossible(path: string, content: Content): void {
    const states = this.#of(path);
    if (states.includes(content) || isTorn(states, content)) return;
    expect({ path, content: short(content) }).toEqual({ path, content: states.map(short) });
  }
}

/** Long content is changed in place: a crash finds each byte as it was or as it is. */
function isTorn(states: readonly Content[], content: Content): boolean {
  const known = states.filter((state) => state !== ABSENT);
  if (content === ABSENT || !known.some(({ length }) => length >= LARGE)) return false;
  if (!known.some(({ length }) => length === content.length)) return false;
  for (let index = 0; index < content.length; index += 1) {
    if (!known.some((state) => state[index] === content[index])) return false;
  }
  return true;
}

/** What only the object had, before somebody else replaced it, is zeros in what was put aside. */
function isCopy(kept: string, content: string): boolean {
  if (kept.length !== content.length) return false;
  for (let index = 0; index < kept.length; index += 1) {
    if (kept[index] !== '\0' && kept[index] !== content[index]) return false;
  }
  return true;
}

function keptNames(folder: string): readonly string[] {
  const kept = join(folder, 'kept');
  return existsSync(kept) ? readdirSync(kept) : [];
}

function isConflictName(name: string): boolean {
  return name.includes('.conflict-');
}

function isOnly(states: readonly Content[], content: Content): boolean {
  return states.every((state) => state === content);
}

function fileKeys(store: MemoryObjectStore): readonly string[] {
  return store.keys().filter((key) => !key.endsWith('/'));
}

function short(content: Content): string {
  return content === ABSENT ? '(absent)' : `${content.slice(0, 60)} (${content.length})`;
}

function resized(content: string, bytes: number): string {
  return content.slice(0, bytes).padEnd(bytes, '\0');
}

function patched(content: string, start: number, piece: string): string {
  const padded = content.padEnd(start, '\0');
  return padded.slice(0, start) + piece + padded.slice(start + piece.length);
}

function versionsIn(store: MemoryObjectStore): readonly string[] {
  return store.keys().map((key) => `${key} ${store.headOf(key)?.etag}`);
}

async function run(writeBack: WriteBackMode, steps: readonly Step[]): Promise<void> {
  await using world = new World(writeBack);
  for (const directory of ['d/', 'e/']) world.store.set(directory, '');
  await world.begin();
  const history = new History(world);
  for (const step of steps) await history.take(step);
  await history.end();
}

const LONGEST = 40;

describe('write-back beside a list of what was promised', () => {
  const { parameters, timeoutMs } = histories(100);

  it(
    'loses nothing that was acknowledged and brings nothing back, whenever it is killed',
    async () => {
      const mode = fc.constantFrom<WriteBackMode>('on', 'durable');
      const history = fc.array(step, { maxLength: LONGEST, size: 'max' });
      await fc.assert(fc.asyncProperty(mode, history, run), parameters);
    },
    timeoutMs,
  );

  it('saves what is written where a rename has left its copy, of which nobody heard', async () => {
    await run('on', [
      { op: 'write', path: 'd/a', bytes: 0 },
      { op: 'wait', ms: 1500 },
      { op: 'store', is: 'deaf' },
      { op: 'write', path: 'b', bytes: 30 },
      { op: 'rename', path: 'd/a', to: 'b' },
      { op: 'write', path: 'b', bytes: 20 },
    ]);
  });

  it('saves what is written where a rename was leaving its copy when it was killed', async () => {
    for (let afterRequests = 0; afterRequests < 6; afterRequests += 1) {
      await run('on', [
        { op: 'foreign', path: 'e/a' },
        { op: 'open', path: 'd/b' },
        { op: 'doom', afterRequests, side: 'after' },
        { op: 'close', path: 'd/b' },
        { op: 'rename', path: 'e/a', to: 'd/b' },
        { op: 'patch', path: 'd/b', at: 0, bytes: 0 },
      ]);
    }
  });

  it('puts nothing aside of what was being removed or replaced when it was killed', async () => {
    const ends = [
      { op: 'unlink', path: 'a' },
      { op: 'rename', path: 'b', to: 'a' },
    ] as const;
    for (const end of ends) {
      for (let afterRequests = 0; afterRequests < 6; afterRequests += 1) {
        for (const path of ['a', 'b'] as const) {
          await run('on', [
            { op: 'write', path: 'a', bytes: 30 },
            { op: 'write', path: 'b', bytes: 20 },
            { op: 'wait', ms: 60_000 },
            { op: 'patch', path, at: 3, bytes: 2 },
            { op: 'doom', afterRequests, side: 'after' },
            end,
          ]);
        }
      }
    }
  });
});
