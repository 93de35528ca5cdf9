/** What a close was told is safe gets to the bucket, whatever ends the mount before. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ownLife } from '../../fixtures/journal-intents.ts';
import { errnoOf, text } from './file-tree.ts';
import { kept, World } from './write-back-world.ts';

const large = 'x'.repeat(300 * 1024);
/** Of what is sent, for which time alone is no cure. */
const REFUSALS = ['access-denied', 'over-quota', 'store-full', 'unsupported'] as const;

describe('write-back', () => {
  it('returns from close before the bucket has the file, and saves it a moment later', async () => {
    for (const writeBack of ['on', 'durable'] as const) {
      await using world = new World();
      const mount = await world.mount({ writeBack });
      await mount.tree.write('f', 'content');
      expect(text(world.store, 'f')).toBeUndefined();
      expect(await mount.tree.read('f')).toBe('content');
      expect(mount.tree.fs.state.writeBack).toMatchObject({ files: 1, bytes: 7 });
      await world.saved(mount);
      expect(text(world.store, 'f')).toBe('content');
      expect(mount.tree.fs.state.writeBack).toMatchObject({ files: 0, bytes: 0 });
    }
  });

  it('waits for the bucket at fsync, and tells its error', async () => {
    await using world = new World();
    const { tree } = await world.mount();
    const handle = await tree.create('f');
    await tree.writeHandle(handle, 0, 'synced');
    await tree.fs.fsync(handle, false, tree.context);
    expect(text(world.store, 'f')).toBe('synced');
    await tree.writeHandle(handle, 0, 'SYNCED');
    world.says = 'access-denied';
    expect(await errnoOf(async () => await tree.fs.fsync(handle, false, tree.context))).toBe(
      'EACCES',
    );
    world.says = undefined;
    await tree.close(handle);
  });

  it('waits for all files of a directory when that is synced', async () => {
    await using world = new World();
    const { tree } = await world.mount();
    await tree.mkdir('d');
    for (let at = 0; at < 20; at += 1) await tree.write(`d/f${at}`, `${at}`);
    const { handle } = tree.fs.opendir(await tree.inode('d'));
    await tree.fs.fsyncdir(handle, false, tree.context);
    for (let at = 0; at < 20; at += 1) expect(text(world.store, `d/f${at}`)).toBe(`${at}`);
    tree.fs.releasedir(handle);
  });

  it('loses nothing that was closed when its process is killed', async () => {
    for (const content of ['short', large]) {
      await using world = new World();
      world.store.set('old', 'before');
      const first = await world.mount();
      world.says = 'unreachable';
      await first.tree.write('new', content);
      await first.tree.write('old', `${content}!`);
      await first.tree.write('twice', 'earlier');
      await first.tree.write('twice', content);
      await first.tree.write('empty', '');
      const second = await world.mount({ folder: await world.crash(first) });
      for (const [name, want] of [
        ['new', content],
        ['old', `${content}!`],
        ['twice', content],
        ['empty', ''],
      ] as const) {
        expect(await second.tree.read(name)).toBe(want);
      }
      world.says = undefined;
      await world.saved(second);
      expect(text(world.store, 'new')).toBe(content);
      expect(text(world.store, 'old')).toBe(`${content}!`);
      expect(text(world.store, 'twice')).toBe(content);
      expect(text(world.store, 'empty')).toBe('');
      expect(await kept(second)).toEqual([]);
    }
  });

  it('sends what was not changed of a file from its object, after a crash too', async () => {
    await using world = new World();
    world.store.set('f', 'abcdefgh');
    const first = await world.mount();
    world.says = 'unreachable';
    const handle = await first.tree.open('f', { access: 'read-write' });
    await first.tree.writeHandle(handle, 2, 'XY');
    await first.tree.close(handle);
    const second = await world.mount({ folder: await world.crash(first) });
    expect(await second.tree.read('f')).toBe('abXYefgh');
    world.says = undefined;
    await world.saved(second);
    expect(text(world.store, 'f')).toBe('abXYefgh');
  });

  it('never brings back a file that was removed after its close', async () => {
    await using world = new World();
    const first = await world.mount();
    world.says = 'unreachable';
    await first.tree.write('gone', 'gone');
    await first.tree.write('there', 'there');
    await first.tree.unlink('gone');
    const second = await world.mount({ folder: await world.crash(first) });
    expect(await second.tree.list()).toEqual(['there']);
    world.says = undefined;
    await world.saved(second);
    expect(world.store.bytesOf('gone')).toBeUndefined();
    expect(text(world.store, 'there')).toBe('there');
  });

  it('shows no zeros for what was cut off after its close when its process is killed', async () => {
    await using world = new World();
    const first = await world.mount();
    world.says = 'unreachable';
    for (const name of ['emptied', 'shortened']) await first.tree.write(name, large);
    await first.tree.open('emptied', { access: 'read-write', truncate: true });
    const handle = await first.tree.open('shortened', { access: 'read-write' });
    const inode = first.tree.inodeOf(handle);
    await first.tree.fs.setattr(inode, handle, { bytes: 10 }, first.tree.context);
    await first.tree.writeHandle(handle, 20, 'later');
    const second = await world.mount({ folder: await world.crash(first) });
    expect(await second.tree.read('emptied')).toBe('');
    expect(await second.tree.read('shortened')).toBe('x'.repeat(10));
  });

  it('saves a file that was renamed after its close under its new name alone', async () => {
    await using world = new World();
    const first = await world.mount();
    world.says = 'unreachable';
    await first.tree.write('draft', 'text');
    await first.tree.rename('draft', 'final');
    const second = await world.mount({ folder: await world.crash(first) });
    expect(await second.tree.list()).toEqual(['final']);
    world.says = undefined;
    await world.saved(second);
    expect(text(world.store, 'final')).toBe('text');
    expect(world.store.bytesOf('draft')).toBeUndefined();
  });

  it('saves files under the name that a directory above them was given', async () => {
    await using world = new World();
    const first = await world.mount();
    await first.tree.mkdir('a');
    await first.tree.write('a/f', 'text');
    await first.tree.rename('a', 'b');
    const second = await world.mount({ folder: await world.crash(first) });
    expect(await second.tree.read('b/f')).toBe('text');
    await world.saved(second);
    expect(text(world.store, 'b/f')).toBe('text');
    expect(world.store.bytesOf('a/f')).toBeUndefined();
  });

  it('puts nothing aside whose upload had arrived when its process was killed', async () => {
    await using world = new World();
    const first = await world.mount();
    await first.tree.write('f', 'arrived');
    await first.tree.write('large', large);
    world.isDeaf = true;
    await world.until(
      () => text(world.store, 'f') !== undefined && text(world.store, 'large') !== undefined,
    );
    world.isDeaf = false;
    const second = await world.mount({ folder: await world.crash(first) });
    await world.saved(second);
    expect(await kept(second)).toEqual([]);
    expect(text(world.store, 'f')).toBe('arrived');
    expect(second.tree.fs.state.failures).toEqual([]);
  });

  it('takes what an earlier save has sent unheard for its own after a crash, too', async () => {
    await using world = new World();
    const first = await world.mount();
    world.isDeaf = true;
    await first.tree.write('again', '1');
    await world.until(() => text(world.store, 'again') === '1');
    await first.tree.write('again', '2');
    await first.tree.write('later', '1');
    await world.until(() => text(world.store, 'later') === '1');
    const second = await world.mount({ folder: await world.crash(first) });
    await second.tree.write('later', '2');
    const third = await world.mount({ folder: await world.crash(second) });
    world.isDeaf = false;
    await world.saved(third);
    expect(await kept(third)).toEqual([]);
    expect(text(world.store, 'again')).toBe('2');
    expect(text(world.store, 'later')).toBe('2');
  });

  it('knows a patched file again that had arrived unheard before a crash', async () => {
    for (const [name, size] of [
      ['short', 8],
      ['long', 12 * 1024 * 1024],
    ] as const) {
      await using world = new World();
      const before = 'abcdefgh'.repeat(size / 8);
      world.store.set(name, before);
      const first = await world.mount();
      const handle = await first.tree.open(name, { access: 'read-write' });
      await first.tree.writeHandle(handle, 2, 'XY');
      await first.tree.close(handle);
      world.isDeaf = true;
      const want = `abXY${before.slice(4)}`;
      await world.until(() => text(world.store, name) === want);
      const second = await world.mount({ folder: await world.crash(first) });
      world.isDeaf = false;
      await world.saved(second);
      expect(await kept(second)).toEqual([]);
      expect(await second.tree.read(name)).toBe(want);
      expect(second.tree.fs.state.failures).toEqual([]);
    }
  });

  it('brings nothing back that is removed after a crash, though its upload had arrived', async () => {
    await using world = new World();
    const first = await world.mount();
    world.isDeaf = true;
    await first.tree.write('gone', 'arrived');
    await world.until(() => text(world.store, 'gone') !== undefined);
    const second = await world.mount({ folder: await world.crash(first) });
    await second.tree.unlink('gone');
    world.isDeaf = false;
    await world.saved(second);
    expect(world.store.bytesOf('gone')).toBeUndefined();
  });

  it('goes on hiding what was unlinked while it was open until the store can delete it', async () => {
    await using world = new World();
    world.store.set('gone', 'before');
    const first = await world.mount();
    await first.tree.open('gone');
    world.says = 'unreachable';
    await first.tree.unlink('gone');
    const second = await world.mount({ folder: await world.crash(first) });
    await second.tree.fs.recovered;
    expect(await second.tree.list()).toEqual([]);
    world.says = undefined;
    await world.until(() => world.store.bytesOf('gone') === undefined);
    await second.tree.fs[Symbol.asyncDispose]();
    expect(await readdir(second.folder)).toEqual([]);
  });

  it('puts aside what somebody else has changed meanwhile', async () => {
    await using world = new World();
    world.store.set('f', 'before');
    const mount = await world.mount();
    world.says = 'unreachable';
    await mount.tree.write('f', 'ours');
    world.store.set('f', 'theirs');
    world.says = undefined;
    await world.saved(mount);
    expect(text(world.store, 'f')).toBe('theirs');
    await world.until(() => mount.tree.fs.state.failures.length > 0);
    expect(await kept(mount)).toEqual(['ours']);
  });

  it('shows what the store refuses as it was closed, puts nothing aside, and saves it once that is allowed', async () => {
    for (const kind of REFUSALS) {
      await using world = new World();
      const mount = await world.mount();
      await mount.tree.write('f', 'earlier');
      await world.saved(mount);
      world.says = kind;
      await mount.tree.write('f', 'closed');
      await mount.tree.write('large', large);
      await world.clock.advance(3_600_000);
      expect(await mount.tree.read('f')).toBe('closed');
      expect(await mount.tree.read('large')).toBe(large);
      expect(await kept(mount)).toEqual([]);
      const { writeBack, failures } = mount.tree.fs.state;
      expect(writeBack).toMatchObject({ files: 2, bytes: 'closed'.length + large.length });
      expect(writeBack.trouble).toBeDefined();
      expect(failures.map(({ name }) => name).sort()).toEqual(['f', 'large']);
      world.says = undefined;
      await world.saved(mount);
      expect(text(world.store, 'f')).toBe('closed');
      expect(text(world.store, 'large')).toBe(large);
      expect(mount.tree.fs.state).toMatchObject({ failures: [], writeBack: { files: 0 } });
      expect(mount.tree.fs.state.writeBack.trouble).toBeUndefined();
    }
  });

  it('goes on with the rest while the store refuses one file, which it asks for less and less often', async () => {
    await using world = new World();
    const mount = await world.mount();
    Object.assign(world, { says: 'access-denied', saysOf: 'denied' });
    await mount.tree.write('denied', 'no');
    for (let at = 0; at < 50; at += 1) await mount.tree.write(`f${at}`, `${at}`);
    await world.until(() => mount.tree.fs.state.unsavedFiles === 1);
    for (let at = 0; at < 50; at += 1) expect(text(world.store, `f${at}`)).toBe(`${at}`);
    expect(await mount.tree.read('denied')).toBe('no');
    expect(mount.tree.fs.state.writeBack.trouble).toBeDefined();
  });

  it('saves what was open when the store refused it, and what was written to it since', async () => {
    await using world = new World();
    const mount = await world.mount();
    await mount.tree.write('f', 'earlier');
    await world.saved(mount);
    world.says = 'access-denied';
    await mount.tree.write('f', 'closed');
    const reader = await mount.tree.open('f');
    await world.clock.advance(60_000);
    await mount.tree.close(reader);
    expect(await mount.tree.read('f')).toBe('closed');
    const writer = await mount.tree.open('f', { access: 'read-write' });
    await mount.tree.writeHandle(writer, 6, ' again');
    await world.clock.advance(60_000);
    await mount.tree.close(writer);
    await world.clock.advance(60_000);
    expect(await mount.tree.read('f')).toBe('closed again');
    world.says = undefined;
    await world.saved(mount);
    expect(text(world.store, 'f')).toBe('closed again');
    expect(await kept(mount)).toEqual([]);
  });

  it('leaves what the store refuses in the journal, for the next mount and after a kill', async () => {
    for (const end of ['unmount', 'kill'] as const) {
      await using world = new World();
      const first = await world.mount();
      world.says = 'over-quota';
      await first.tree.write('f', 'left');
      await first.tree.write('large', large);
      await world.clock.advance(60_000);
      await expect(first.tree.fs.sync(new AbortController().signal)).rejects.toThrow();
      if (end === 'unmount') await first.tree.fs[Symbol.asyncDispose]();
      const folder = end === 'kill' ? await world.crash(first) : first.folder;
      const second = await world.mount({ folder });
      expect(await second.tree.read('f')).toBe('left');
      await world.clock.advance(60_000);
      expect(await second.tree.read('large')).toBe(large);
      expect(await kept(second)).toEqual([]);
      world.says = undefined;
      await world.saved(second);
      expect(text(world.store, 'f')).toBe('left');
      expect(text(world.store, 'large')).toBe(large);
      expect(await kept(second)).toEqual([]);
    }
  });

  it('saves under its new name what the store refused and was renamed meanwhile, and forgets what was removed', async () => {
    await using world = new World();
    const mount = await world.mount();
    world.says = 'access-denied';
    await mount.tree.write('f', 'moved');
    await mount.tree.write('gone', 'gone');
    await world.clock.advance(60_000);
    await mount.tree.rename('f', 'to');
    await errnoOf(async () => await mount.tree.unlink('gone'));
    expect(await mount.tree.read('to')).toBe('moved');
    world.says = undefined;
    await world.saved(mount);
    expect(text(world.store, 'to')).toBe('moved');
    expect(text(world.store, 'f')).toBeUndefined();
    expect(text(world.store, 'gone')).toBeUndefined();
  });

  it('goes on by itself when the store or the login was away for an hour', async () => {
    for (const kind of [
      'unreachable',
      'unavailable',
      'login-expired',
      'credentials-expired',
    ] as const) {
      await using world = new World();
      const mount = await world.mount();
      world.says = kind;
      for (let at = 0; at < 50; at += 1) await mount.tree.write(`f${at}`, `${at}`);
      await world.clock.advance(3_600_000);
      expect(mount.tree.fs.state.writeBack).toMatchObject({ files: 50 });
      expect(mount.tree.fs.state.writeBack.trouble).toBeDefined();
      world.says = undefined;
      await world.saved(mount);
      for (let at = 0; at < 50; at += 1) expect(text(world.store, `f${at}`)).toBe(`${at}`);
      expect(mount.tree.fs.state.writeBack.trouble).toBeUndefined();
    }
  });

  it('leaves what it could not save in the journal when it ends, for the next mount', async () => {
    await using world = new World();
    const first = await world.mount();
    world.says = 'unreachable';
    await first.tree.write('f', 'left');
    await first.tree.write('large', large);
    await first.tree.fs[Symbol.asyncDispose]();
    expect(await kept(first)).toEqual([]);
    const second = await world.mount({ folder: first.folder });
    expect(await second.tree.read('f')).toBe('left');
    world.says = undefined;
    await world.saved(second);
    expect(text(world.store, 'f')).toBe('left');
    expect(text(world.store, 'large')).toBe(large);
    await second.tree.fs[Symbol.asyncDispose]();
    expect(await readdir(second.folder)).toEqual([]);
  });

  it('uploads nothing of another person, and leaves it for that one', async () => {
    await using world = new World();
    const alice = await world.mount();
    world.says = 'unreachable';
    await alice.tree.write('f', 'of alice');
    await alice.tree.write('large', large);
    world.says = undefined;
    const folder = await world.crash(alice);
    const bob = await world.mount({ folder, life: { ...ownLife, subject: 'bob' } });
    await bob.tree.fs.recovered;
    await world.clock.advance(60_000);
    expect(await bob.tree.list()).toEqual([]);
    expect(await kept(bob)).toEqual([]);
    await bob.tree.fs[Symbol.asyncDispose]();
    const again = await world.mount({ folder });
    await world.saved(again);
    expect(text(world.store, 'f')).toBe('of alice');
    expect(text(world.store, 'large')).toBe(large);
  });

  it('is taken over by a mount of the same source at another place', async () => {
    await using world = new World();
    const first = await world.mount();
    world.says = 'unreachable';
    await first.tree.write('f', 'moved on');
    world.says = undefined;
    const left = await world.crash(first);
    const second = await world.mount({ folder: join(left, '..', 'other') });
    expect(await second.tree.read('f')).toBe('moved on');
    await world.saved(second);
    expect(text(world.store, 'f')).toBe('moved on');
  });
});
