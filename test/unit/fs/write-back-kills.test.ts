/** What a close was told is safe, when mounts are killed one after another, or in the midst of work. */
import { cp, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ContentDoubts, sentInOne } from '../../../src/fs/content-doubts.ts';
import { errnoOf, text } from './file-tree.ts';
import { kept, World } from './write-back-world.ts';

/** Content that lies in a file beside the journal, and not in it. */
const large = 'x'.repeat(300 * 1024);

/** What lies in the folders of lives in `folder`. */
async function left(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.includes('/') && !name.startsWith('kept'));
}

describe('write-back of mounts that are killed again and again', () => {
  it('loses nothing long, nor what was only cut, when the next mount is killed too', async () => {
    await using world = new World();
    world.store.set('cut', 'content');
    const first = await world.mount();
    world.says = 'unreachable';
    await first.tree.write('large', large);
    await first.tree.setattr('cut', { bytes: 3 });
    const second = await world.mount({ folder: await world.crash(first) });
    // Both are sent, which is noted.
    await world.until(() => second.tree.fs.state.failures.length > 0);
    await world.clock.advance(60_000);
    const third = await world.mount({ folder: await world.crash(second) });
    world.says = undefined;
    await world.saved(third);
    expect(await kept(third)).toHaveLength(0);
    expect(text(world.store, 'large')).toBe(large);
    expect(text(world.store, 'cut')).toBe('con');
  });

  it('loses nothing of a long file that was saved after a kill and then written again', async () => {
    await using world = new World();
    const first = await world.mount();
    world.says = 'unreachable';
    await first.tree.write('f', large);
    const second = await world.mount({ folder: await world.crash(first) });
    const handle = await second.tree.open('f', { access: 'read-write' });
    world.says = undefined;
    await world.saved(second);
    world.says = 'unreachable';
    await second.tree.writeHandle(handle, 0, 'again');
    await second.tree.close(handle);
    const third = await world.mount({ folder: await world.crash(second) });
    world.says = undefined;
    await world.saved(third);
    expect(text(world.store, 'f')).toBe(`again${large.slice(5)}`);
    expect(await kept(third)).toHaveLength(0);
  });

  it('saves what was written after a delete that nobody heard of, after a kill too', async () => {
    await using world = new World();
    const first = await world.mount();
    await first.tree.write('f', 'one');
    await first.tree.write('g', 'one');
    await world.saved(first);
    world.says = 'unreachable';
    await first.tree.write('f', 'two');
    await first.tree.write('g', 'two');
    for (const name of ['f', 'g']) {
      expect(await errnoOf(async () => await first.tree.unlink(name))).toBe('EIO');
      await world.store.delete(name, new AbortController().signal);
    }
    await first.tree.write('g', 'three');
    const second = await world.mount({ folder: await world.crash(first) });
    world.says = undefined;
    await world.saved(second);
    expect(await kept(second)).toEqual([]);
    expect(text(world.store, 'f')).toBe('two');
    expect(text(world.store, 'g')).toBe('three');
  });

  it('knows what has arrived unheard, however often later contents were tried since', () => {
    const doubts = new ContentDoubts();
    const arrived = sentInOne(Buffer.from('arrived'));
    const later = sentInOne(Buffer.from('later'));
    doubts.add(arrived, 1);
    for (let nth = 0; nth < 100; nth += 1) doubts.add(later, 2);
    // So few that all of them are written down for the next mount.
    expect(doubts.all).toMatchObject([arrived, later]);
    const { bytes, etag = '' } = arrived;
    expect(doubts.sentAs({ bytes, etag, modifiedMs: 0 })).toBe(1);
    doubts.add(arrived, 3);
    expect(doubts.sentAs({ bytes, etag, modifiedMs: 0 })).toBe(3);
  });

  it('shows the later one of two intents for one file, when the kill came between them', async () => {
    for (const earlierName of ['left-0000000000000000', 'left-ffffffffffffffff']) {
      await using world = new World();
      const first = await world.mount({ writeBack: 'durable' });
      world.says = 'unreachable';
      await first.tree.write('f', 'one');
      const folder = await world.crash(first);
      const [earlier = ''] = await readdir(folder);
      const before = join(folder, '..', 'before');
      await cp(join(folder, earlier), before, { recursive: true });
      const second = await world.mount({ writeBack: 'durable', folder });
      await second.tree.write('f', 'two');
      const later = await world.crash(second);
      // The earlier journal as it was when the later one had its record already.
      await rename(before, join(later, earlierName));
      const third = await world.mount({ writeBack: 'durable', folder: later });
      expect(await third.tree.read('f')).toBe('two');
      world.says = undefined;
      await world.saved(third);
      expect(text(world.store, 'f')).toBe('two');
      expect(await kept(third)).toEqual([]);
    }
  });

  it('finds a long file where its directory has moved while its close waited for the disk', async () => {
    await using world = new World();
    const first = await world.mount({ writeBack: 'durable' });
    world.says = undefined;
    await first.tree.mkdir('d');
    const handle = await first.tree.create('d/f');
    await first.tree.writeHandle(handle, 0, large);
    const closing = first.tree.close(handle);
    await first.tree.rename('d', 'e');
    await closing;
    world.says = 'unreachable';
    const second = await world.mount({ folder: await world.crash(first) });
    expect(await second.tree.read('e/f')).toBe(large);
  });

  it('never mixes what is unsaved with a copy that a rename has put in its place unheard', async () => {
    const signal = new AbortController().signal;
    for (const isKilled of [false, true]) {
      await using world = new World();
      world.store.set('t', 'target content');
      world.store.set('s', 'of the source');
      const first = await world.mount();
      world.says = 'unreachable';
      const handle = await first.tree.open('t', { access: 'read-write' });
      await first.tree.writeHandle(handle, 0, 'T');
      await first.tree.close(handle);
      expect(await errnoOf(async () => await first.tree.rename('s', 't'))).toBe('EIO');
      const { etag = '', bytes = 0 } = world.store.headOf('s') ?? {};
      await world.store.copy({ key: 's', etag, bytes, modifiedMs: 0 }, 't', {}, signal);
      const last = isKilled ? await world.mount({ folder: await world.crash(first) }) : first;
      world.says = undefined;
      await world.saved(last);
      expect(text(world.store, 't')).toBe('of the source');
      // A program that lives was told that its rename had failed.
      expect(last.tree.fs.state.failures).toHaveLength(isKilled ? 0 : 1);
    }
  });

  it('never mixes what was closed with what an fsync after it has sent unheard', async () => {
    for (const isWhole of [false, true]) {
      await using world = new World();
      if (!isWhole) world.store.set('f', '0123456789');
      const first = await world.mount();
      world.says = 'unreachable';
      if (isWhole) await first.tree.write('f', '0123456789');
      const handle = await first.tree.open('f', { access: 'read-write' });
      await first.tree.writeHandle(handle, 0, 'a');
      await first.tree.close(handle);
      const again = await first.tree.open('f', { access: 'read-write' });
      await first.tree.writeHandle(again, 0, 'b');
      await first.tree.writeHandle(again, 9, 'b');
      world.says = undefined;
      world.isDeaf = true;
      const { fs, context } = first.tree;
      expect(await errnoOf(async () => await fs.fsync(again, false, context))).toBe('EIO');
      expect(text(world.store, 'f')).toBe('b12345678b');
      const second = await world.mount({ folder: await world.crash(first) });
      world.isDeaf = false;
      await world.saved(second);
      expect(text(world.store, 'f')).toBe(isWhole ? 'a123456789' : 'b12345678b');
      expect(await kept(second)).toEqual([]);
    }
  });

  it('leaves nothing behind of a file that was being cut when its mount was killed', async () => {
    await using world = new World();
    world.store.set('f', 'content');
    const first = await world.mount();
    const handle = await first.tree.open('f', { access: 'read-write' });
    const { fs, context } = first.tree;
    await fs.setattr(first.tree.inodeOf(handle), handle, { bytes: 0 }, context);
    const hole = { keepSize: false, punchHole: false, zeroRange: true };
    await fs.fallocate(handle, 0, 9, hole, context);
    await world.clock.advance(2000);
    const lacksNote = async (): Promise<boolean> =>
      (await left(first.folder)).some((name) => name.includes('lacks-'));
    await expect.poll(lacksNote).toBe(true);
    const folder = await world.crash(first);
    // Perhaps in the midst of writing such a note.
    const [note = ''] = (await left(folder)).filter((name) => name.includes('lacks-'));
    await writeFile(join(folder, `${note}.new`), '{');
    const second = await world.mount({ folder });
    await second.tree.fs.recovered;
    await second.tree.fs[Symbol.asyncDispose]();
    expect(await left(folder)).toEqual([]);
  });

  it('forgets what its mount was putting aside when it was killed', async () => {
    await using world = new World();
    const first = await world.mount();
    world.says = 'unreachable';
    await first.tree.write('f', large);
    const folder = await world.crash(first);
    const [staged] = (await left(folder)).filter((name) => name.includes('staged-'));
    await mkdir(join(folder, 'kept'));
    await rename(join(folder, staged ?? ''), join(folder, 'kept', 'f.conflict'));
    world.says = undefined;
    const second = await world.mount({ folder });
    await second.tree.fs.recovered;
    expect(await second.tree.list()).toEqual([]);
    await second.tree.fs[Symbol.asyncDispose]();
    expect(await readdir(folder)).toEqual(['kept']);
    expect(await kept(second)).toEqual([large]);
  });
});
