import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import type { PlaygroundOptions } from '../../src/demo/playground.ts';
import { canMount, exists, Scene } from '../fixtures/real-mount.ts';

const dialects: readonly (PlaygroundOptions & { readonly name: string })[] = [
  {
    name: 'a standard provider and an AWS-like store',
    iamDialect: 'standard',
    storeDialect: 'aws',
  },
  { name: 'INDIGO IAM and MinIO', iamDialect: 'indigo', storeDialect: 'minio' },
  { name: 'INDIGO IAM and Ceph RGW', iamDialect: 'indigo', storeDialect: 'rgw' },
];

describe.skipIf(!canMount)('the main job, from login to logout', () => {
  it.each(dialects)('works with $name', async (options) => {
    await using scene = await Scene.open(options);
    const { user, signal, playground } = scene;
    const mountPoint = scene.place('bucket');

    expect(await scene.login()).toContain('alice');
    await scene.mount(`s3://${playground.bucket}`, mountPoint);

    await run('mkdir', ['-p', join(mountPoint, 'a/b')], signal);
    await run('cp', ['-r', 'docs', 'src/lib', join(mountPoint, 'a/b')], signal);
    await run('diff', ['-r', 'docs', join(mountPoint, 'a/b/docs')], signal);
    await writeFile(join(mountPoint, 'note'), 'one\n');
    await run('sh', ['-c', `echo two >> '${join(mountPoint, 'note')}'`], signal);
    expect(await readFile(join(mountPoint, 'note'), 'utf8')).toBe('one\ntwo\n');
    await run('mv', [join(mountPoint, 'a/b/docs'), join(mountPoint, 'moved')], signal);
    await run('diff', ['-r', 'docs', join(mountPoint, 'moved')], signal);
    await run('rm', ['-r', join(mountPoint, 'a')], signal);
    expect(await exists(join(mountPoint, 'a'))).toBe(false);

    const status = await user.wire(['status'], signal);
    expect(status.stdout).toContain(mountPoint);
    expect(status.stdout).toContain('alice');

    await user.wire(['unmount', mountPoint], signal);
    expect(await mountsBelow(user.folder)).toEqual([]);
    expect(await exists(mountPoint)).toBe(false);
    await user.wire(['logout'], signal);
    const after = await user.wire(['status'], signal);
    expect(after.stdout).not.toContain('alice');
  });

  it('shows what it wrote to the next mount, byte for byte', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    await scene.login();
    const first = scene.place('first');
    await scene.mount(`s3://${playground.bucket}/some/prefix`, first);
    await run('cp', [process.execPath, join(first, 'node')], signal);
    await user.wire(['unmount', first], signal);

    const second = scene.place('second');
    await scene.mount(`s3://${playground.bucket}`, second, '--read-only');
    await run('cmp', [process.execPath, join(second, 'some/prefix/node')], signal);
    const refused = await run('sh', ['-c', `echo x > '${join(second, 'new')}'`], signal, {
      allow: [1, 2],
    });
    expect(refused.stderr).toContain('Read-only');
    await user.wire(['unmount', second], signal);
  });

  it('shows every bucket one may list under s3://', async () => {
    await using scene = await Scene.open({ storeDialect: 'minio' });
    const { user, signal } = scene;
    await scene.login();
    const mountPoint = scene.place('all');
    await scene.mount('s3://', mountPoint);
    const { stdout } = await run('ls', [mountPoint], signal);
    expect(stdout.split('\n')).toContain('alice');
    await writeFile(join(mountPoint, 'alice', 'mine'), 'x');
    expect(await readFile(join(mountPoint, 'alice', 'mine'), 'utf8')).toBe('x');
    await user.wire(['unmount', mountPoint], signal);
  });

  it('mounts several sources with one command and one login', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    await scene.login();
    const [one, two] = [scene.place('one'), scene.place('two')];
    await scene.mount(`s3://${playground.bucket}`, one, 's3://alice', two);
    await writeFile(join(one, 'x'), '1');
    await run('cp', [join(one, 'x'), join(two, 'x')], signal);
    expect(await readFile(join(two, 'x'), 'utf8')).toBe('1');
    expect(new Set(await scene.daemons()).size).toBe(1);
    await user.wire(['unmount', one, two], signal);
    expect(await mountsBelow(user.folder)).toEqual([]);
  });
});
