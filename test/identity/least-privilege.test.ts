import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import type { PlaygroundOptions } from '../../src/demo/playground.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';

interface Row {
  readonly mountPoint: string;
  readonly rights?: { readonly limit?: string; readonly enforcement: string };
}

async function statusOf(scene: Scene): Promise<readonly Row[]> {
  const { stdout } = await scene.user.wire(['status', '--json'], scene.signal);
  return (JSON.parse(stdout) as { readonly mounts: readonly Row[] }).mounts;
}

/** Waits for the canary: it runs beside the mount. */
async function verdictOf(scene: Scene, mountPoint: string): Promise<Row['rights']> {
  const find = async (): Promise<Row['rights']> =>
    (await statusOf(scene)).find((row) => row.mountPoint === mountPoint)?.rights;
  await expect
    .poll(async () => (await find())?.enforcement, { timeout: 20_000, interval: 200 })
    .not.toBe('untested');
  return await find();
}

const dialects: readonly PlaygroundOptions[] = [
  { iamDialect: 'standard', storeDialect: 'aws' },
  { iamDialect: 'indigo', storeDialect: 'minio' },
  { iamDialect: 'indigo', storeDialect: 'rgw' },
];

/** With all that is special in a policy and may be in a name. */
const folder = "al$ice 'é'/2024";

describe.skipIf(!canMount)('least privilege', () => {
  it.each(dialects)(
    'mounts a prefix at $storeDialect with credentials that reach nothing else',
    async (options) => {
      await using scene = await Scene.open(options);
      const { playground, user, signal } = scene;
      const { s3, keys, bucket } = playground;
      s3.foreign.putObject(bucket, `${folder}/old`, 'old');
      s3.foreign.putObject(bucket, `${folder}5/beside`, 'beside');
      await scene.login();
      const mountPoint = scene.place('m');
      await scene.mount(`s3://${bucket}/${folder}`, mountPoint);

      // Everything that a mount does: list, read, write small and in parts, copy, rename, remove.
      expect(await readdir(mountPoint)).toEqual(['old']);
      expect(await readFile(join(mountPoint, 'old'), 'utf8')).toBe('old');
      const script = `set -e; cd '${mountPoint}'
        mkdir -p d/e; echo one > d/e/x; echo two >> d/e/x; cp -r d d2; mv d moved
        head -c 20000000 /dev/urandom > big; cp big big2; cmp big big2; mv -n big2 big3; rm -r d2 big
        ln -s x l 2>/dev/null || true; test "$(cat moved/e/x)" = "one
two"`;
      await run('sh', ['-c', script], signal);
      await rename(join(mountPoint, 'moved'), join(mountPoint, 'again'));
      expect(await verdictOf(scene, mountPoint)).toMatchObject({
        limit: `s3://${bucket}/${folder}/`,
        enforcement: 'enforced',
      });
      expect((await user.wire(['status'], signal)).stdout).toContain('(enforced)');
      await user.wire(['unmount', mountPoint], signal);
      const written = s3.foreign.objects(bucket).map(({ key }) => key);
      expect(written).toContain(`${folder}/again/e/x`);
      expect(written).toContain(`${folder}5/beside`);

      // The mount's own keys came first; the canary's are the only ones with all rights.
      const [first, ...others] = keys.issued;
      expect(first?.allows('s3:GetObject', { bucket, key: `${folder}/x` }, {})).toBe(true);
      const far = [
        { bucket, key: `${folder}5/beside` },
        { bucket: 'alice', key: 'x' },
      ];
      for (const resource of far) {
        expect(first?.allows('s3:GetObject', resource, {})).toBe(false);
      }
      expect(others).toHaveLength(1);
    },
  );

  it('says of MinIO with OPA that the limits are not enforced, and mounts all the same', async () => {
    await using scene = await Scene.open({ storeDialect: 'minio', sessionPoliciesIgnored: true });
    const { playground, user, signal } = scene;
    await scene.login();
    const mountPoint = scene.place('m');
    await scene.mount(`s3://${playground.bucket}/p`, mountPoint, '--read-only');
    expect(await verdictOf(scene, mountPoint)).toMatchObject({ enforcement: 'not enforced' });
    const { stdout } = await user.wire(['status'], signal);
    expect(stdout).toContain('NOT enforced by the server');
    const log = await readFile(join(user.folder, 'state', 'wire.log'), 'utf8');
    expect(log).toContain('the server ignores session policies');
    await user.wire(['unmount', mountPoint], signal);
  });

  it('asks for no policy with --session-policy off', async () => {
    await using scene = await Scene.open({});
    const { playground, user, signal } = scene;
    await scene.login();
    const mountPoint = scene.place('m');
    await scene.mount(`s3://${playground.bucket}`, mountPoint, '--session-policy', 'off');
    const [key, ...more] = playground.keys.issued;
    expect(more).toEqual([]);
    expect(key?.allows('s3:PutObject', { bucket: 'alice', key: 'x' }, {})).toBe(true);
    const own = (await statusOf(scene)).find((row) => row.mountPoint === mountPoint);
    expect(own?.rights).toEqual({ enforcement: 'untested' });
    await user.wire(['unmount', mountPoint], signal);
  });

  it('shares one lease between mounts of the same rights, and none between others', async () => {
    await using scene = await Scene.open({});
    const { playground, user, signal } = scene;
    await scene.login();
    const [one, two, three] = [scene.place('one'), scene.place('two'), scene.place('three')];
    const source = `s3://${playground.bucket}/p`;
    await scene.mount(source, one, source, two, `s3://${playground.bucket}/q`, three);
    for (const place of [one, two, three]) {
      expect(await verdictOf(scene, place)).toMatchObject({ enforcement: 'enforced' });
    }
    // Two leases, and one for each of their canaries.
    expect(playground.keys.issued).toHaveLength(4);
    await writeFile(join(one, 'x'), 'x');
    await user.wire(['unmount', one, two, three], signal);
  });
});
