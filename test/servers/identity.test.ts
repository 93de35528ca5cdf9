/** Identity on the playground and on the servers that people run. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ServerName } from '../../scripts/servers/real-server.ts';
import { describeServers, PATIENCE_MS, whyNoMounts } from './chosen-servers.ts';
import { type MountRow, ServerScene } from './server-scene.ts';

/** Ceph's own floor is 900; every lease here ends while somebody looks. */
const LEASE_SECONDS = 5;
const POLL = { timeout: 20_000, interval: 200 };

await describeServers('identity', whyNoMounts, tests);

function tests(name: ServerName): void {
  let scene: ServerScene;

  beforeAll(async () => {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    scene = await ServerScene.open(name, { leaseFloorSeconds: LEASE_SECONDS }, signal);
    process.stderr.write(`${name}: ${scene.server.version}\n`);
  });
  afterAll(async () => await scene[Symbol.asyncDispose]());

  /** Flags for the shortest lease: MinIO ends it with the token that it was made for. */
  const shortLease = name === 'rgw' ? ['--duration', `${LEASE_SECONDS}s`] : [];
  const shorten = (): void => scene.server.iam.setLifetimes({ accessToken: LEASE_SECONDS });
  /** OPA decides, and was told nothing of them. */
  const ignoresSessionPolicies = name === 'minio-opa';
  const source = (prefix: string): string => `s3://${scene.bucket}/${prefix}`;

  /** A file with a token of the IAM's own key; `claims` over what alice's tokens say. */
  async function tokenFile(
    audience: string | undefined,
    claims: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    const alice = { sub: 'sub-of-a-file', groups: ['wire-users', 'wire-owners'] };
    const options = audience === undefined ? {} : { audience };
    const token = await scene.server.iam.mint({ ...alice, ...claims }, options);
    const file = scene.place('token');
    await writeFile(file, token, { mode: 0o600 });
    return file;
  }

  const oneLine = /^wire: [^\n]+\n$/;

  it('logs in by a code, and its credentials list a bucket', async () => {
    expect(await scene.login()).toContain('alice');
    await scene.put('first/x', 'x');
    const client = await scene.client();
    const command = new ListObjectsV2Command({ Bucket: scene.bucket, Prefix: 'first/' });
    const { Contents: found = [] } = await client.send(command, { abortSignal: scene.signal });
    expect(found.map(({ Key }) => Key)).toEqual(['first/x']);
  });

  it('mounts: lists, reads what others wrote, and others read what it wrote', async () => {
    await scene.put('both/theirs', 'theirs');
    const mountPoint = scene.place('both');
    await scene.mount(source('both'), mountPoint);
    expect(await readdir(mountPoint)).toEqual(['theirs']);
    expect(await readFile(join(mountPoint, 'theirs'), 'utf8')).toBe('theirs');
    await writeFile(join(mountPoint, 'ours'), 'ours');
    expect(await readFile(join(mountPoint, 'ours'), 'utf8')).toBe('ours');
    expect(await scene.get('both/ours')).toBe('ours');
    await scene.wire('unmount', mountPoint);
  });

  it('says in one line that a token is for another audience, or for none', async () => {
    const { audience } = scene.server;
    const other = await tokenFile('other');
    const of = ['credentials', ...scene.store, '--token-file', other];
    const wrong = await scene.refusal(7, ...of);
    expect(wrong).toMatch(oneLine);
    expect(wrong).toContain(`the access token is for other, not for ${audience}`);
    await tokenFile(undefined);
    const none = await scene.refusal(7, ...of);
    expect(none).toMatch(oneLine);
    expect(none).toContain('the access token is for no audience (no `aud`)');
  });

  it('says in one line that a role is not there; claims need none', async () => {
    const { endpoint, audience } = scene.server;
    const flags = ['--endpoint', endpoint, '--audience', audience];
    if (name === 'minio-claims') {
      const { stdout } = await scene.wire('credentials', ...flags, '--role', 'Nobody');
      expect(stdout).toContain('AccessKeyId');
      return;
    }
    const wrong = await scene.refusal(7, 'credentials', ...flags, '--role', 'Nobody');
    expect(wrong).toMatch(oneLine);
    expect(wrong).toContain('arn:aws:iam:::role/Nobody trusts the provider');
    const none = await scene.refusal(7, 'credentials', ...flags);
    expect(none).toMatch(oneLine);
    expect(none).toContain('name a role with --role');
  });

  it('says in one line that a lease would be too short', async () => {
    // Below the floor of this Ceph RGW; MinIO's is 900 s for whoever asks for a time.
    const flags = ['--duration', `${LEASE_SECONDS - 1}s`];
    const refused = await scene.refusal(7, 'credentials', ...scene.store, ...flags);
    expect(refused).toMatch(oneLine);
    expect(refused).toContain('--duration');
  });

  it('tries again with a token that the server calls too young', async () => {
    const soon = (): number => Math.floor(Date.now() / 1000) + 2;
    const file = await tokenFile(scene.server.audience, { iat: soon() });
    // None of these servers has any leeway; otherwise the rest would show nothing.
    const { status } = await assumeRole(scene, await readFile(file, 'utf8'));
    expect(status).toBe(name === 'rgw' ? 403 : 400);
    // Good in 1.7 s: wire asks before that, and again when it is.
    await sleep(1300 - (Date.now() % 1000));
    await tokenFile(scene.server.audience, { iat: soon() });
    const { stdout } = await scene.wire('credentials', ...scene.store, '--token-file', file);
    expect(stdout).toContain('AccessKeyId');
  });

  it('narrows credentials to a prefix, and to reading', async () => {
    await scene.put('narrow/inside', 'inside');
    await scene.put('narrow2/beside', 'beside');
    const everything = ['list', 'get', 'put', 'delete'];
    const held = (rights: readonly string[]): readonly string[] =>
      ignoresSessionPolicies ? everything : rights;
    const narrow = await scene.client(source('narrow'));
    expect(await rightsOf(narrow, scene, 'narrow')).toEqual(everything);
    expect(await rightsOf(narrow, scene, 'narrow2')).toEqual(held([]));
    const reader = await scene.client(source('narrow'), '--read-only');
    expect(await rightsOf(reader, scene, 'narrow')).toEqual(held(['list', 'get']));
    expect(await rightsOf(reader, scene, 'narrow2')).toEqual(held([]));
    // What narrows: without it the same person may do all of this.
    const wide = await scene.client();
    expect(await rightsOf(wide, scene, 'narrow2')).toEqual(everything);
  });

  it('takes what people may do from their claims, where it has no role for them', async () => {
    const bob = { sub: 'sub-of-bob', preferred_username: 'bob', groups: ['wire-users'] };
    const file = await tokenFile(scene.server.audience, bob);
    const client = await scene.client('--token-file', file);
    const owned = rightsOf(client, scene, 'narrow');
    // The role of RGW and MinIO is everybody's; a claim, and what OPA makes of it, is one's own.
    const isEverybodys = name === 'rgw' || name === 'minio-role';
    expect(await owned).toEqual(isEverybodys ? ['list', 'get', 'put', 'delete'] : []);
    if (name !== 'minio-claims') return;
    const command = new ListObjectsV2Command({ Bucket: 'bob' });
    await client.send(command, { abortSignal: scene.signal });
    await tokenFile(scene.server.audience, { sub: 'sub-of-nobody', groups: ['strangers'] });
    const flags = [...scene.store, '--token-file', file];
    const refused = await scene.refusal(7, 'credentials', ...flags);
    expect(refused).toMatch(oneLine);
    expect(refused).toContain('strangers');
  });

  it.each([
    ['a prefix', 'canary', []],
    ['a prefix with special characters', "c$an {ary} 'é'/2024", []],
    ['reading', 'canary', ['--read-only']],
  ])('finds by its canary whether the server holds a mount to %s', async (_, prefix, flags) => {
    await scene.put(`${prefix}/x`, 'x');
    const mountPoint = scene.place('canary');
    await scene.mount(source(prefix), mountPoint, ...flags);
    expect(await readFile(join(mountPoint, 'x'), 'utf8')).toBe('x');
    const verdict = async (): Promise<MountRow['rights']> => (await scene.row(mountPoint))?.rights;
    const [word, told] = ignoresSessionPolicies
      ? ['not enforced', 'NOT enforced by the server']
      : ['enforced', '(enforced)'];
    await expect.poll(async () => (await verdict())?.enforcement, POLL).toBe(word);
    expect((await verdict())?.limit).toContain(`s3://${scene.bucket}/${prefix}/`);
    expect((await scene.wire('status')).stdout).toContain(told);
    await scene.wire('unmount', mountPoint);
  });

  it('reads and writes on across leases of 5 s, and after one ended unseen', async () => {
    shorten();
    await scene.login();
    const mountPoint = scene.place('leases');
    await scene.mount(source('leases'), mountPoint, ...shortLease);
    const ends = new Set<number | undefined>();
    const started = performance.now();
    for (let round = 0; performance.now() - started < 5 * LEASE_SECONDS * 1000; round += 1) {
      const path = join(mountPoint, `file-${round}`);
      await writeFile(path, `round ${round}`);
      expect(await readFile(path, 'utf8')).toBe(`round ${round}`);
      expect(await scene.get(`leases/file-${round}`)).toBe(`round ${round}`);
      ends.add((await scene.row(mountPoint))?.credentialsUntilMs);
    }
    expect(ends.size).toBeGreaterThan(4);

    // A laptop that sleeps: nobody renews, and the server has long forgotten the lease.
    const { pid } = (await scene.row(mountPoint)) ?? {};
    if (pid === undefined) throw new Error('the mount has no process');
    await scene.put('leases/meanwhile', 'meanwhile');
    process.kill(pid, 'SIGSTOP');
    await sleep((LEASE_SECONDS + 2) * 1000);
    process.kill(pid, 'SIGCONT');
    expect(await readFile(join(mountPoint, 'meanwhile'), 'utf8')).toBe('meanwhile');
    await writeFile(join(mountPoint, 'after'), 'after');
    expect(await scene.get('leases/after')).toBe('after');
    await scene.wire('unmount', mountPoint);
  });

  it('goes on after the login was revoked until the lease ends; a new login heals it', async () => {
    shorten();
    await scene.login();
    const mountPoint = scene.place('revoked');
    await scene.put('revoked/unread', 'unread');
    await scene.put('revoked/never-read', 'never read');
    await scene.mount(source('revoked'), mountPoint, ...shortLease, '--expiry-wait', '1s');
    scene.server.iam.revokeAll();
    expect(await readFile(join(mountPoint, 'unread'), 'utf8')).toBe('unread');
    await expect.poll(async () => (await scene.row(mountPoint))?.degraded, POLL).toBe('identity');
    const until = (await scene.row(mountPoint))?.credentialsUntilMs ?? 0;
    await sleep(Math.max(until - Date.now(), 0) + 500);
    const refused = readFile(join(mountPoint, 'never-read'));
    await expect(refused).rejects.toThrow(/EKEYEXPIRED|127/);
    await scene.login();
    const healed = async (): Promise<unknown> => (await scene.row(mountPoint))?.degraded;
    await expect.poll(healed, POLL).toBeUndefined();
    expect(await readFile(join(mountPoint, 'never-read'), 'utf8')).toBe('never read');
    await scene.wire('unmount', mountPoint);
  });

  it('leaves a mount its lease at logout, and gives nobody another', async () => {
    scene.server.iam.setLifetimes({ accessToken: 3600 });
    await scene.login();
    const mountPoint = scene.place('logout');
    await scene.mount(source('logout'), mountPoint);
    expect((await scene.wire('logout')).stdout).toContain('Logged out');
    await writeFile(join(mountPoint, 'x'), 'x');
    expect(await scene.get('logout/x')).toBe('x');
    expect(await scene.refusal(4, 'credentials', ...scene.store)).toMatch(/wire login/);
    await scene.wire('unmount', mountPoint);
  });
}

/** The plain answer of the server's STS, without anything of ours. */
async function assumeRole({ server, signal }: ServerScene, token: string): Promise<Response> {
  const form = {
    ...{ Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleSessionName: 'test' },
    ...{ WebIdentityToken: token, ...(server.role !== undefined && { RoleArn: server.role }) },
  };
  const body = new URLSearchParams(form);
  return await fetch(server.endpoint, { method: 'POST', body, signal });
}

/** What `client` may do below `folder`, found out by doing it. */
async function rightsOf(
  client: S3Client,
  { bucket, signal }: ServerScene,
  folder: string,
): Promise<readonly string[]> {
  const Bucket = bucket;
  const Key = `${folder}/tried`;
  const options = { abortSignal: signal };
  const tries: Readonly<Record<string, () => Promise<unknown>>> = {
    list: async () =>
      await client.send(new ListObjectsV2Command({ Bucket, Prefix: `${folder}/` }), options),
    get: async () => {
      const present = folder === 'narrow' ? 'inside' : 'beside';
      await client.send(new GetObjectCommand({ Bucket, Key: `${folder}/${present}` }), options);
    },
    put: async () => await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }), options),
    delete: async () => await client.send(new DeleteObjectCommand({ Bucket, Key }), options),
  };
  const allowed: string[] = [];
  for (const [right, attempt] of Object.entries(tries)) {
    try {
      await attempt();
      allowed.push(right);
    } catch (error) {
      if (!(error instanceof S3ServiceException) || error.$metadata.httpStatusCode !== 403) {
        throw error;
      }
    }
  }
  return allowed;
}
