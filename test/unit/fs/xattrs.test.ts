import { describe, expect, it } from 'vitest';
import { decodeMetadata } from '../../../src/fs/object-metadata.ts';
import { errnoOf, FileTree } from './file-tree.ts';

const SAVED_MS = 1001;

describe('extended attributes', () => {
  it('are kept with the file, through writes and renames', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', 'content');
    await tree.setxattr('a', 'user.comment', 'first');
    await tree.setxattr('a', 'user.empty', '');
    await tree.write('a', 'other content');
    await tree.rename('a', 'b');
    expect(await tree.getxattr('b', 'user.comment')).toBe('first');
    expect(await tree.getxattr('b', 'user.empty')).toBe('');
    expect(await tree.listxattr('b')).toEqual(['user.comment', 'user.empty']);
    const { xattrs } = decodeMetadata(tree.store.headOf('b')?.metadata ?? {});
    expect(Buffer.from(xattrs?.get('user.comment') ?? []).toString()).toBe('first');
    await tree.removexattr('b', 'user.comment');
    await tree.clock.advance(SAVED_MS);
    expect(await tree.listxattr('b')).toEqual(['user.empty']);
    const after = decodeMetadata(tree.store.headOf('b')?.metadata ?? {}).xattrs;
    expect([...(after?.keys() ?? [])]).toEqual(['user.empty']);
  });

  it('of directories are kept with their object', async () => {
    await using tree = await FileTree.make();
    await tree.mkdir('d');
    await tree.setxattr('d', 'user.tag', 'value');
    await tree.clock.advance(SAVED_MS);
    expect(await tree.getxattr('d', 'user.tag')).toBe('value');
    expect(tree.store.headOf('d/')?.metadata['xattr']).toBe(
      encodeURIComponent('{"user.tag":"dmFsdWU="}'),
    );
  });

  it('are made or replaced as the flags of setxattr say', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', '');
    const set = async (flags: object): Promise<string> =>
      await errnoOf(async () => await tree.setxattr('a', 'user.a', 'value', flags));
    expect(await set({ replace: true })).toBe('ENODATA');
    expect(await set({ create: true })).toBe('ok');
    expect(await set({ create: true })).toBe('EEXIST');
    expect(await set({ replace: true })).toBe('ok');
    expect(await errnoOf(async () => await tree.getxattr('a', 'user.b'))).toBe('ENODATA');
    expect(await errnoOf(async () => await tree.removexattr('a', 'user.b'))).toBe('ENODATA');
  });

  it('are refused with ENOSPC when metadata has no room for them', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', '');
    await tree.setxattr('a', 'user.a', 'x'.repeat(600));
    const set = async (): Promise<void> => await tree.setxattr('a', 'user.b', 'x'.repeat(1200));
    expect(await errnoOf(set)).toBe('ENOSPC');
    expect(await tree.listxattr('a')).toEqual(['user.a']);
    await tree.setxattr('a', 'user.a', 'x'.repeat(1200));
    await tree.clock.advance(SAVED_MS);
    expect(tree.store.headOf('a')?.metadata).toMatchObject({ mode: String(0o100644) });
  });

  it('that somebody else has set stay when another is', async () => {
    await using tree = await FileTree.make();
    const xattr = encodeURIComponent('{"user.theirs":"dmFsdWU="}');
    tree.store.set('a', 'content', { metadata: { xattr, author: 'somebody' } });
    await tree.setxattr('a', 'user.mine', 'value');
    await tree.clock.advance(SAVED_MS);
    expect(await tree.listxattr('a')).toEqual(['user.mine', 'user.theirs']);
    const { metadata = {} } = tree.store.headOf('a') ?? {};
    expect([...(decodeMetadata(metadata).xattrs?.keys() ?? [])].sort()).toEqual([
      'user.mine',
      'user.theirs',
    ]);
    expect(metadata['author']).toBe('somebody');
  });

  it('are gone when somebody else stores another object', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', '');
    await tree.setxattr('a', 'user.a', 'value');
    await tree.clock.advance(SAVED_MS);
    tree.store.set('a', 'other');
    await tree.expire();
    expect(await tree.listxattr('a')).toEqual([]);
    await tree.write('a', 'mine');
    expect(await tree.listxattr('a')).toEqual([]);
    expect(tree.store.headOf('a')?.metadata['xattr']).toBeUndefined();
  });

  it('of other parts of the system are not supported, and capabilities are not there', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', '');
    const get = async (name: string): Promise<string> =>
      await errnoOf(async () => await tree.getxattr('a', name));
    expect(await get('security.capability')).toBe('ENODATA');
    expect(await get('security.selinux')).toBe('ENOTSUP');
    expect(await get('system.posix_acl_access')).toBe('ENOTSUP');
    expect(await get('other.name')).toBe('ENOTSUP');
    expect(tree.store.calls.head).toBe(0);
  });

  it('that are capabilities go with a write', async () => {
    await using tree = await FileTree.make();
    await tree.write('a', '');
    await tree.setxattr('a', 'security.capability', 'value');
    await tree.setxattr('a', 'user.a', 'value');
    await tree.write('a', 'content');
    expect(await tree.listxattr('a')).toEqual(['user.a']);
  });

  it('tell of the object what people ask for by name, and cannot be set', async () => {
    await using tree = await FileTree.make();
    tree.store.set('d/a.html', 'content', { contentType: 'text/html' });
    const { etag } = tree.store.headOf('d/a.html') ?? {};
    expect(await tree.getxattr('d/a.html', 'user.wire.etag')).toBe(etag);
    expect(await tree.getxattr('d/a.html', 'user.wire.key')).toBe('d/a.html');
    expect(await tree.getxattr('d/a.html', 'user.wire.bucket')).toBe('bucket');
    expect(await tree.getxattr('d/a.html', 'user.wire.content-type')).toBe('text/html');
    expect(await tree.getxattr('d', 'user.wire.key')).toBe('d/');
    expect(await tree.listxattr('d/a.html')).toEqual([]);
    const set = async (): Promise<void> => await tree.setxattr('d', 'user.wire.key', 'x');
    expect(await errnoOf(set)).toBe('EPERM');
  });
});
