import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { PlaygroundOptions } from '../../src/demo/playground.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';

const dialects: readonly (PlaygroundOptions & { readonly name: string })[] = [
  { name: 'standard, aws', iamDialect: 'standard', storeDialect: 'aws' },
  { name: 'indigo, minio', iamDialect: 'indigo', storeDialect: 'minio' },
  { name: 'indigo, rgw', iamDialect: 'indigo', storeDialect: 'rgw' },
];

describe.skipIf(!canMount)('a mount with credentials of 3 s and tokens of 6 s', () => {
  it.each(dialects)('reads and writes on without an error ($name)', async (options) => {
    await using scene = await Scene.open({ ...options, accessTokenSeconds: 6, leaseSeconds: 3 });
    const { user, signal, playground } = scene;
    await scene.login();
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    const assumed = playground.s3.counters.requests('AssumeRoleWithWebIdentity');
    const started = performance.now();
    let round = 0;
    while (performance.now() - started < 12_000) {
      const path = join(mountPoint, `file-${round}`);
      await writeFile(path, `round ${round}`);
      expect(await readFile(path, 'utf8')).toBe(`round ${round}`);
      round += 1;
      await sleep(100);
    }
    const renewals = playground.s3.counters.requests('AssumeRoleWithWebIdentity') - assumed;
    expect(renewals).toBeGreaterThanOrEqual(4);
    await user.wire(['unmount', mountPoint], signal);
  });

  it('recovers when all credentials end at once, before their time', async () => {
    await using scene = await Scene.open({ storeDialect: 'minio' });
    const { user, signal, playground } = scene;
    await scene.login();
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint);
    await writeFile(join(mountPoint, 'before'), 'x');
    playground.sts.expireAll();
    await writeFile(join(mountPoint, 'after'), 'y');
    expect(playground.s3.foreign.objects(playground.bucket).map(({ key }) => key)).toContain(
      'after',
    );
    await user.wire(['unmount', mountPoint], signal);
  });
});
