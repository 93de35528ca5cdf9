/** What was written while nobody was logged in gets to the bucket after the next login. */
import { describe, expect, it } from 'vitest';
import type { StoreErrorKind } from '../../../src/store/errors.ts';
import { errnoOf, type FailingTree, failingTree, kept, text } from './file-tree.ts';

/** For a busy disk to sync a few small files. */
const DISK_MS = 15_000;

/** The store, and what it says to everything just now. */
class LoginStore implements AsyncDisposable {
  readonly setup: FailingTree;
  readonly #state: { says: StoreErrorKind | undefined };

  static async make(): Promise<LoginStore> {
    const state: { says: StoreErrorKind | undefined } = { says: undefined };
    const says = (): ReturnType<Parameters<typeof failingTree>[0]> =>
      state.says === undefined ? undefined : { error: state.says };
    return new LoginStore(await failingTree(says), state);
  }

  private constructor(setup: FailingTree, state: { says: StoreErrorKind | undefined }) {
    this.setup = setup;
    this.#state = state;
  }

  set says(kind: StoreErrorKind | undefined) {
    this.#state.says = kind;
  }

  /** Lets time go on until `done`; the local disk has some real seconds for its part. */
  async until(done: () => boolean): Promise<void> {
    const started = performance.now();
    while (!done() && performance.now() - started < DISK_MS) await this.setup.clock.advance(1000);
    expect(done()).toBe(true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.setup[Symbol.asyncDispose]();
  }
}

/** `name` is written; the login ends before its close. */
async function writeThenEnd(login: LoginStore, name: string, bytes: string): Promise<void> {
  const { tree } = login.setup;
  login.says = undefined;
  const handle = await tree.create(name, { truncate: true });
  await tree.writeHandle(handle, 0, bytes);
  login.says = 'login-expired';
  expect(await errnoOf(async () => await tree.close(handle))).toBe('EKEYEXPIRED');
}

describe('unsaved files without a login', () => {
  it('a file whose close found no login is saved by itself after the next login, and the failure is forgotten', async () => {
    await using login = await LoginStore.make();
    const { tree, store } = login.setup;
    await writeThenEnd(login, 'f', 'hello');
    expect(tree.fs.state).toMatchObject({ unsavedFiles: 1, unsavedBytes: 5 });
    expect(tree.fs.state.failures).toMatchObject([{ name: 'f' }]);
    expect(await kept(tree)).toEqual([]);
    login.says = undefined;
    await login.until(() => tree.fs.state.unsavedFiles === 0);
    expect(text(store, 'f')).toBe('hello');
    expect(tree.fs.state.failures).toEqual([]);
    expect(await kept(tree)).toEqual([]);
  });

  it('a file whose close found no login can be read, and written again, meanwhile', async () => {
    await using login = await LoginStore.make();
    const { tree, store } = login.setup;
    await writeThenEnd(login, 'f', 'hello');
    expect(await tree.read('f')).toBe('hello');
    expect(await tree.list().catch(() => ['f'])).toContain('f');
    const handle = await tree.open('f', { access: 'read-write' });
    await tree.writeHandle(handle, 5, ' again');
    login.says = undefined;
    await tree.close(handle);
    expect(text(store, 'f')).toBe('hello again');
    expect(tree.fs.state.unsavedFiles).toBe(0);
  });

  it('a file whose close found no login is not sent while somebody is writing to it', async () => {
    await using login = await LoginStore.make();
    const { tree, clock, store } = login.setup;
    await writeThenEnd(login, 'f', 'hello');
    const handle = await tree.open('f', { access: 'read-write' });
    await tree.writeHandle(handle, 0, 'J');
    login.says = undefined;
    for (let second = 0; second < 10; second += 1) await clock.advance(1000);
    expect(text(store, 'f')).toBeUndefined();
    await tree.close(handle);
    expect(text(store, 'f')).toBe('Jello');
  });

  it('a file whose close found no login waits on when the store is out of reach after the login', async () => {
    await using login = await LoginStore.make();
    const { tree, clock, store } = login.setup;
    await writeThenEnd(login, 'f', 'hello');
    login.says = 'unreachable';
    for (let second = 0; second < 30; second += 1) await clock.advance(1000);
    expect(tree.fs.state.unsavedFiles).toBe(1);
    login.says = undefined;
    await login.until(() => tree.fs.state.unsavedFiles === 0);
    expect(text(store, 'f')).toBe('hello');
  });

  it('a file whose close found no login is put aside when the new login may not write it', async () => {
    await using login = await LoginStore.make();
    const { tree } = login.setup;
    await writeThenEnd(login, 'f', 'hello');
    login.says = 'access-denied';
    await login.until(() => tree.fs.state.unsavedFiles === 0);
    expect(await kept(tree)).toEqual(['hello']);
    expect(tree.fs.state.failures.at(-1)).toMatchObject({ name: 'f' });
    expect(tree.fs.state.failures.at(-1)?.keptAt).toContain('kept');
  });

  it('a file whose close found no login is put aside when somebody else has made it meanwhile', async () => {
    await using login = await LoginStore.make();
    const { tree, store } = login.setup;
    await writeThenEnd(login, 'f', 'ours');
    store.set('f', 'theirs');
    login.says = undefined;
    await login.until(() => tree.fs.state.unsavedFiles === 0);
    expect(text(store, 'f')).toBe('theirs');
    expect(await kept(tree)).toEqual(['ours']);
  });

  it('a file whose close found no login is gone when it is removed, and never comes back', async () => {
    await using login = await LoginStore.make();
    const { tree, clock, store } = login.setup;
    await writeThenEnd(login, 'f', 'hello');
    await tree.unlink('f');
    login.says = undefined;
    for (let second = 0; second < 5; second += 1) await clock.advance(1000);
    expect(store.bytesOf('f')).toBeUndefined();
    expect(await kept(tree)).toEqual([]);
  });

  it('a file whose close found no login is kept when the mount ends before the login', async () => {
    await using login = await LoginStore.make();
    const { tree } = login.setup;
    await writeThenEnd(login, 'f', 'hello');
    await tree.fs[Symbol.asyncDispose]();
    expect(await kept(tree)).toEqual(['hello']);
  });

  it('a file whose close found no login does not lose what it has when it is cut short by name', async () => {
    await using login = await LoginStore.make();
    const { tree, store } = login.setup;
    await writeThenEnd(login, 'f', 'hello');
    await errnoOf(async () => await tree.setattr('f', { bytes: 4 }));
    login.says = undefined;
    await login.until(() => tree.fs.state.unsavedFiles === 0);
    expect(text(store, 'f')).toBe('hell');
  });

  it('a file whose close found no login is one of a hundred, and all of them are saved', async () => {
    await using login = await LoginStore.make();
    const { tree, store } = login.setup;
    for (let n = 0; n < 100; n += 1) await writeThenEnd(login, `f${n}`, `${n}`);
    expect(tree.fs.state.unsavedFiles).toBe(100);
    login.says = undefined;
    await login.until(() => tree.fs.state.unsavedFiles === 0);
    for (let n = 0; n < 100; n += 1) expect(text(store, `f${n}`)).toBe(`${n}`);
  });
});
