/** Who may touch what: the folders of people, through mounts and past them. */
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServerName } from '../../scripts/servers/real-server.ts';
import { MiB } from '../../src/lib/bytes.ts';
import { patternBytes } from '../fixtures/object-store-contract.ts';
import { describeServers, PATIENCE_MS, whyNoMounts } from './chosen-servers.ts';
import { CountingFront, type NotedRequest } from './counting-front.ts';
import { type Answer, ServerScene, statusOf } from './server-scene.ts';

await describeServers('rights', whyNoMounts, tests);

/** Large enough that it is sent in parts. */
const LARGE_BYTES = 20 * MiB;

function tests(name: ServerName): void {
  let scene: ServerScene;
  let front: CountingFront;

  beforeAll(async () => {
    scene = await ServerScene.open(name, {}, AbortSignal.timeout(PATIENCE_MS));
    front = await CountingFront.before(scene.server.endpoint);
    await scene.login();
    for (const folder of ['users', 'shared']) {
      for (const user of ['alice', 'alice2', 'bob']) {
        await plant(`${folder}/${user}/secret`, `of ${user}`);
      }
    }
  });
  afterAll(async () => {
    await front[Symbol.asyncDispose]();
    await scene[Symbol.asyncDispose]();
  });

  const bucket = (): string => scene.server.personal.bucket;
  const plant = async (Key: string, Body: string): Promise<unknown> =>
    await scene.root.send(new PutObjectCommand({ Bucket: bucket(), Key, Body }));
  const seen = async (Key: string): Promise<string | undefined> => {
    const { Body: body } = await scene.root.send(new GetObjectCommand({ Bucket: bucket(), Key }));
    return await body?.transformToString();
  };

  /** Flags of the store through the front, with the role of alice's own folders. */
  const personal = (): readonly string[] => {
    const role = scene.server.personal.roleOf('alice');
    const flags = ['--endpoint', front.url, '--audience', scene.server.audience];
    return role === undefined ? flags : [...flags, '--role', role];
  };
  const mount = async (prefix: string, mountPoint: string): Promise<void> => {
    const source = `s3://${bucket()}/${prefix}`;
    await scene.wire('mount', source, mountPoint, ...personal(), '--mkdir', '--daemon');
  };

  it('lets the owner of a folder do everything in it', async () => {
    const place = scene.place('own');
    await mount('users/alice', place);
    expect(await readFile(join(place, 'secret'), 'utf8')).toBe('of alice');
    const large = patternBytes(LARGE_BYTES);
    await writeFile(join(place, 'large'), large);
    await rename(join(place, 'large'), join(place, 'moved'));
    expect((await readFile(join(place, 'moved'))).equals(large)).toBe(true);
    await rm(join(place, 'moved'));
    await writeFile(join(place, 'kept'), 'kept');
    expect((await readdir(place)).toSorted()).toEqual(['kept', 'secret']);
    expect(await seen('users/alice/kept')).toBe('kept');
    await scene.wire('unmount', place);
  });

  it.each(['users/bob', 'users/alice2', 'users'])(
    'mounts %s for nobody whose it is not, and asks for it once',
    async (prefix) => {
      const source = `s3://${bucket()}/${prefix}`;
      front.take();
      const refused = await scene.refusal(
        8,
        ...['mount', source, scene.place('no'), ...personal(), '--mkdir', '--daemon'],
      );
      expect(refused).toMatch(/^wire: cannot list [^\n]+\n$/);
      expect(refusals(front.take(), bucket())).toHaveLength(1);
    },
  );

  it('answers EACCES for what is of others, after one request each', async (context) => {
    if (!scene.server.personal.hasShared) context.skip('it has no folder that all may list');
    const place = scene.place('shared');
    await mount('shared', place);
    expect(await readFile(join(place, 'alice', 'secret'), 'utf8')).toBe('of alice');
    await writeFile(join(place, 'alice', 'mine'), 'mine');
    for (const other of ['alice2', 'bob']) {
      const folder = join(place, other);
      expect(await readdir(folder)).toEqual(['secret']);
      expect((await stat(join(folder, 'secret'))).size).toBe(`of ${other}`.length);
      const attempts: Readonly<Record<string, () => Promise<unknown>>> = {
        read: async () => await readFile(join(folder, 'secret')),
        'write anew': async () => await writeFile(join(folder, 'new'), 'new'),
        'write in parts': async () =>
          await writeFile(join(folder, 'large'), patternBytes(LARGE_BYTES)),
        overwrite: async () => await writeFile(join(folder, 'secret'), 'overwritten'),
        remove: async () => await rm(join(folder, 'secret')),
        'move there': async () =>
          await rename(join(place, 'alice', 'mine'), join(folder, 'theirs')),
      };
      for (const [what, attempt] of Object.entries(attempts)) {
        front.take();
        await expect(attempt(), `${what} at ${other}`).rejects.toMatchObject({ code: 'EACCES' });
        const refused = refusals(front.take(), bucket());
        // Linux asks for a page once more that its readahead did not get.
        const most = what === 'read' ? 2 : 1;
        expect(refused.length, `${what} at ${other}`).toBeGreaterThanOrEqual(1);
        expect(refused.slice(most), `${what} at ${other}`).toEqual([]);
      }
      expect(await seen(`shared/${other}/secret`)).toBe(`of ${other}`);
    }
    expect(await seen('shared/alice/mine')).toBe('mine');
    // What was refused is not lost, and said again.
    expect(await scene.refusal(12, 'unmount', place)).toContain('their bytes are kept in');
  });

  describe('with any client', () => {
    let client: S3Client;
    beforeAll(async () => {
      client = await scene.clientOf(personal());
    });

    it.each(['users/bob/', 'users/alice2/', 'users/alice', 'users/', ''])(
      'lists no names under %j',
      async (Prefix) => {
        const command = new ListObjectsV2Command({ Bucket: bucket(), Prefix });
        expect(await statusOf(client.send(command))).toBe(403);
      },
    );

    it.each(['bob', 'alice2'])('leaves alone what is of %s', async (other) => {
      const Bucket = bucket();
      const [Key, mine] = [`users/${other}/secret`, 'users/alice/secret'];
      const attempts: Readonly<Record<string, Promise<Answer>>> = {
        get: client.send(new GetObjectCommand({ Bucket, Key })),
        head: client.send(new HeadObjectCommand({ Bucket, Key })),
        'get what is not there': client.send(new GetObjectCommand({ Bucket, Key: `${Key}-no` })),
        put: client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' })),
        'put anew': client.send(new PutObjectCommand({ Bucket, Key: `${Key}2`, Body: 'x' })),
        delete: client.send(new DeleteObjectCommand({ Bucket, Key })),
        'begin an upload': client.send(new CreateMultipartUploadCommand({ Bucket, Key })),
        'copy from': client.send(
          new CopyObjectCommand({ Bucket, Key: `${mine}-copy`, CopySource: `${Bucket}/${Key}` }),
        ),
        'copy to': client.send(
          new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${mine}` }),
        ),
      };
      const statuses = await Promise.all(
        Object.entries(attempts).map(async ([what, attempt]) => [what, await statusOf(attempt)]),
      );
      const allRefused = Object.fromEntries(Object.keys(attempts).map((what) => [what, 403]));
      expect(Object.fromEntries(statuses)).toEqual(allRefused);
      expect(await seen(Key)).toBe(`of ${other}`);
    });
  });
}

/** Refused requests for what is in the bucket; those of the canary are for names of its own. */
function refusals(noted: readonly NotedRequest[], bucket: string): readonly NotedRequest[] {
  const inBucket = noted.filter(({ target }) => target.startsWith(`/${bucket}`));
  return inBucket.filter(({ target, status }) => status === 403 && !target.includes('wire-canary'));
}
