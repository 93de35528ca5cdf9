/** The other way to mount: fuse-native, which needs libfuse 2. */

import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { runProgram } from '../fixtures/mount-tools.ts';
import { canMount, exists, isRoot, Scene } from '../fixtures/real-mount.ts';

function loads(name: string): boolean {
  try {
    createRequire(import.meta.url)(name);
    return true;
  } catch {
    return false;
  }
}

const possible = canMount && isRoot && loads('fuse-native');

describe.skipIf(!possible)('wire mount --transport fuse-native (needs libfuse.so.2)', () => {
  it('does the main job: what is written is in the bucket, what is in the bucket is read', async () => {
    await using scene = await Scene.open();
    const { user, playground, signal } = scene;
    await scene.login();
    const mountPoint = scene.place('bucket');
    const { bucket } = playground;
    await scene.mount(`s3://${bucket}`, mountPoint, '--transport', 'fuse-native');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).toMatch(
      new RegExp(`${mountPoint} .* fuse\\.wire s3://${bucket} `),
    );
    await writeFile(join(mountPoint, 'first'), 'written');
    const { stdout } = await runProgram('sh', [
      '-ec',
      `cd ${mountPoint}; mkdir d; head -c 3000000 /dev/urandom > d/big; cp d/big d/copy
       cmp d/big d/copy; printf more >> first; cat first; ls -A d; rm d/copy; ls d
       cat nothing 2>/dev/null || echo none; rmdir d 2>/dev/null || echo full`,
    ]);
    expect(stdout).toBe('writtenmorebig\ncopy\nbig\nnone\nfull\n');
    await rename(join(mountPoint, 'first'), join(mountPoint, 'second'));
    expect((await stat(join(mountPoint, 'd', 'big'))).size).toBe(3_000_000);
    const keys = playground.s3.foreign.objects(bucket).map(({ key }) => key);
    expect(keys).toContain('second');
    expect(keys).not.toContain('first');
    await rm(join(mountPoint, 'd'), { recursive: true });
    const { stdout: said } = await user.wire(['unmount', mountPoint], signal);
    expect(said).toBe(`Unmounted ${mountPoint}\n`);
    expect(await mountsBelow(user.folder)).toEqual([]);
    expect(await exists(mountPoint)).toBe(false);
  });

  it('ends with its process at SIGTERM, and when somebody else unmounts it', async () => {
    await using scene = await Scene.open();
    const { playground, signal } = scene;
    await scene.login();
    const mountPoint = scene.place('bucket');
    const gone = async (pid: number): Promise<void> => {
      await expect.poll(async () => await exists(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
    };
    for (const end of ['SIGTERM', 'umount'] as const) {
      await scene.mount(`s3://${playground.bucket}`, mountPoint, '--transport', 'fuse-native');
      const [pid = 0] = await scene.daemons();
      if (end === 'umount') await run('umount', [mountPoint], signal);
      else process.kill(pid, end);
      await gone(pid);
      expect(await mountsBelow(scene.user.folder)).toEqual([]);
    }
  });
});
