/** What a mount promises of files, on each server: nothing lost, nothing wrong, whoever else writes. */
import { open, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ServerName } from '../../scripts/servers/real-server.ts';
import { MiB } from '../../src/lib/bytes.ts';
import { inParallel } from '../../src/lib/in-parallel.ts';
import { patternBytes } from '../fixtures/object-store-contract.ts';
import { Random } from '../fixtures/random.ts';
import { describeServers, PATIENCE_MS, whyNoMounts } from './chosen-servers.ts';
import { History } from './history.ts';
import { ServerScene, statusOf } from './server-scene.ts';

await describeServers('promises', whyNoMounts, tests);

const LISTED = 5000;
/** Large enough that it is sent in parts. */
const LARGE_BYTES = 20 * MiB;
const UPLOADS_AT_ONCE = 16;
const HISTORY_STEPS = 60;

function tests(name: ServerName): void {
  let scene: ServerScene;

  beforeAll(async () => {
    scene = await ServerScene.open(name, {}, AbortSignal.timeout(PATIENCE_MS));
    await scene.login();
  });
  afterAll(async () => await scene[Symbol.asyncDispose]());

  /** Mounts the folder `prefix` of the bucket. */
  const mount = async (prefix: string): Promise<string> => {
    const place = scene.place(prefix);
    await scene.mount(`s3://${scene.bucket}/${prefix}`, place);
    return place;
  };
  const unmount = async (place: string): Promise<unknown> => await scene.wire('unmount', place);
  const inBucket = async (key: string): Promise<Buffer> => Buffer.from(await scene.bytes(key));

  it('lists 5,000 files, and reads the last of them', async () => {
    const names = Array.from({ length: LISTED }, (_, at) => `file-${String(at).padStart(4, '0')}`);
    await inParallel(names, UPLOADS_AT_ONCE, async (file) => await scene.put(`many/${file}`, file));
    const place = await mount('many');
    expect((await readdir(place)).toSorted()).toEqual(names);
    const last = names.at(-1) ?? '';
    expect(await readFile(join(place, last), 'utf8')).toBe(last);
    await unmount(place);
  });

  it('keeps files with odd names, both ways', async () => {
    const unicode = ['ümläut 日本語 😀', 'e\u0301-nfd', '\u00e9-nfc'];
    const names = ['a b', 'a+b', 'a%20b', "q'u(o)t*e!", 'tab\there', ...unicode];
    for (const odd of names) await scene.put(`odd/theirs ${odd}`, odd);
    const place = await mount('odd');
    for (const odd of names) {
      expect(await readFile(join(place, `theirs ${odd}`), 'utf8')).toBe(odd);
      await writeFile(join(place, `ours ${odd}`), odd);
      await rename(join(place, `theirs ${odd}`), join(place, `moved ${odd}`));
    }
    const expected = names.flatMap((odd) => [`moved ${odd}`, `ours ${odd}`]);
    expect((await readdir(place)).toSorted()).toEqual(expected.toSorted());
    for (const odd of names) {
      expect(await scene.get(`odd/ours ${odd}`)).toBe(odd);
      expect(await scene.get(`odd/moved ${odd}`)).toBe(odd);
    }
    await unmount(place);
  });

  it.each([
    ['at one go', 1000],
    ['in parts', LARGE_BYTES],
  ])('refuses to save %s over what somebody else has written meanwhile', async (_, length) => {
    const prefix = `conflict-${length}`;
    const place = await mount(prefix);
    await writeFile(join(place, 'x'), patternBytes(length, 1));
    const file = await open(join(place, 'x'), 'r+');
    await file.write(patternBytes(length, 2), 0, length, 0);
    await scene.put(`${prefix}/x`, 'of somebody else');
    // Node has no name for it.
    const conflict = { errno: -constants.errno.ESTALE };
    await expect(file.sync()).rejects.toMatchObject(conflict);
    await expect(file.close()).rejects.toMatchObject(conflict);
    expect(await scene.get(`${prefix}/x`)).toBe('of somebody else');
    await scene.refusal(12, 'unmount', place);
  });

  it('saves a large file in parts, changes it, and leaves no upload behind', async () => {
    const place = await mount('large');
    const content = patternBytes(LARGE_BYTES, 3);
    await writeFile(join(place, 'x'), content);
    expect((await inBucket('large/x')).equals(content)).toBe(true);
    // A change needs the version, which Ceph RGW 16 does not tell of what it has completed.
    const file = await open(join(place, 'x'), 'r+');
    await file.write('changed', 0);
    await file.close();
    content.write('changed', 0);
    expect((await inBucket('large/x')).equals(content)).toBe(true);
    expect((await readFile(join(place, 'x'))).equals(content)).toBe(true);
    const uploads = new ListMultipartUploadsCommand({ Bucket: scene.bucket });
    expect((await scene.root.send(uploads)).Uploads ?? []).toEqual([]);
    await unmount(place);
  });

  it('tells the ETag of what it completes, but for Ceph RGW 16', async () => {
    const named = { Bucket: scene.bucket, Key: 'completed' };
    const { UploadId } = await scene.root.send(new CreateMultipartUploadCommand(named));
    const upload = { ...named, UploadId };
    const part = new UploadPartCommand({ ...upload, PartNumber: 1, Body: 'content' });
    const { ETag } = await scene.root.send(part);
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
    const complete = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload });
    const { ETag: told = '' } = await scene.root.send(complete);
    const { ETag: kept = '' } = await scene.root.send(new HeadObjectCommand(named));
    expect(kept).toMatch(/^"[0-9a-f]{32}-1"$/);
    expect(told).toBe(name === 'rgw' ? '' : kept);
  });

  it('looks at the condition of a DELETE at AWS alone', async () => {
    await scene.put('condition', 'x');
    const named = { Bucket: scene.bucket, Key: 'condition', IfMatch: '"abc"' };
    const status = await statusOf(scene.root.send(new DeleteObjectCommand(named)));
    expect(status).toBe(name === 'playground' ? 412 : 204);
  });

  it('looks at the condition on the target of a copy at AWS alone', async () => {
    await scene.put('source', 'x');
    await scene.put('target', 'y');
    const named = { Bucket: scene.bucket, Key: 'target', IfNoneMatch: '*' };
    const copy = new CopyObjectCommand({ ...named, CopySource: `${scene.bucket}/source` });
    const status = await statusOf(scene.root.send(copy));
    expect(status).toBe(name === 'playground' ? 412 : 200);
  });

  it.each([1, 2])('has in the bucket what a mount has acknowledged, history %d', async (seed) => {
    const place = await mount(`history-${seed}`);
    const history = new History(place, new Random(seed));
    for (let step = 0; step < HISTORY_STEPS; step += 1) {
      const { did, path } = await history.step();
      const told = `step ${step}: ${did} ${path}`;
      const kept = history.files.get(path);
      if (kept === undefined) continue;
      expect((await readFile(join(place, path))).equals(kept), told).toBe(true);
      expect((await inBucket(`history-${seed}/${path}`)).equals(kept), told).toBe(true);
    }
    const files = [...history.files.keys()].map((path) => `history-${seed}/${path}`);
    expect(await keysBelow(scene, `history-${seed}/`)).toEqual(files.toSorted());
    await unmount(place);
    const again = await mount(`history-${seed}`);
    for (const [path, kept] of history.files) {
      expect((await readFile(join(again, path))).equals(kept), path).toBe(true);
    }
    await unmount(again);
  });
}

/** Keys of files, as a client of its own sees them. */
async function keysBelow(scene: ServerScene, prefix: string): Promise<readonly string[]> {
  const command = new ListObjectsV2Command({ Bucket: scene.bucket, Prefix: prefix });
  const { Contents: contents = [] } = await scene.root.send(command);
  const keys = contents.flatMap(({ Key: key }) => (key === undefined ? [] : [key]));
  return keys.filter((key) => !key.endsWith('/')).toSorted();
}
