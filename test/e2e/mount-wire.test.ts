/** `mount -t wire` by the real mount(8) and umount(8), and what docs/SYSTEMS.md says of /etc/fstab. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { untilEnded } from '../fixtures/ended-process.ts';
import { HelperNamespace } from '../fixtures/helper-namespace.ts';
import { runProgram } from '../fixtures/mount-tools.ts';
import { canMount, isRoot, Scene } from '../fixtures/real-mount.ts';

/** `nobody`. */
const UID = 65_534;

async function whyNot(): Promise<string | undefined> {
  if (!isRoot) return 'needs root';
  if (!canMount) return 'needs /dev/fuse';
  for (const tool of ['unshare', 'nsenter', 'mount', 'umount', 'findmnt']) {
    const { code } = await runProgram('sh', ['-c', `command -v ${tool}`]);
    if (code !== 0) return `needs ${tool}`;
  }
  return undefined;
}

const why = await whyNot();
const suffix = why === undefined ? '' : ` (skipped: ${why})`;

/** Where root finds alice's login: by options alone. */
function places({ user }: Scene): string {
  const { WIRE_CONFIG, WIRE_STATE_DIR, WIRE_RUNTIME_DIR, WIRE_KEY_FILE } = user.environment;
  return [
    `config=${WIRE_CONFIG ?? ''},state_dir=${WIRE_STATE_DIR ?? ''}`,
    `runtime_dir=${WIRE_RUNTIME_DIR ?? ''},key_file=${WIRE_KEY_FILE ?? ''}`,
  ].join(',');
}

function store({ playground }: Scene): string {
  const { endpoint, audience, role } = playground;
  return `endpoint=${endpoint},audience=${audience},role=${role}`;
}

/** A namespace where the helper is installed as docs/SYSTEMS.md says. */
async function namespace({ user, signal }: Scene, prepare = ':'): Promise<HelperNamespace> {
  const install = await example('sh', '/sbin/mount.wire');
  return await HelperNamespace.open(user.folder, `${install}\n${prepare}`, signal);
}

/** The only block of `language` in docs/SYSTEMS.md whose text holds `word`. */
async function example(language: string, word: string): Promise<string> {
  const page = await readFile('docs/SYSTEMS.md', 'utf8');
  const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].filter(
    ([, of, text = '']) => of === language && text.includes(word),
  );
  expect({ word, count: blocks.length }).toEqual({ word, count: 1 });
  return blocks[0]?.[2] ?? '';
}

describe.skipIf(why !== undefined)(`mount -t wire${suffix}`, () => {
  it('returns when the mount answers; what was written is in the bucket; umount ends it', async () => {
    await using scene = await Scene.open();
    const { playground, user, signal } = scene;
    await scene.login();
    await using inside = await namespace(scene);
    const point = scene.place('mnt');
    await mkdir(point);
    const source = `s3://${playground.bucket}`;
    const options = `${places(scene)},${store(scene)},rw,_netdev,uid=1234,umask=077,nosuid,x-mine=1`;
    const mounted = await inside.run('mount', '-t', 'wire', source, point, '-o', options);
    expect(mounted).toEqual({ exitCode: 0, stdout: `Mounted ${source} at ${point}\n`, stderr: '' });
    const [pid = 0] = await scene.daemons();

    const seen = await inside.run('findmnt', '-n', '-o', 'SOURCE,FSTYPE', point);
    expect(seen.stdout.trim()).toMatch(new RegExp(`^${source} +fuse\\.wire$`));
    await inside.run('sh', '-c', 'printf text >"$0/file"', point);
    // The root is nobody's: it shows what the options say.
    expect((await inside.run('stat', '-c', '%u %a', point)).stdout).toBe('1234 700\n');
    const { s3, bucket } = playground;
    expect((await s3.foreign.getObject(bucket, 'file'))?.toString()).toBe('text');

    expect(await inside.run('umount', point)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    await untilEnded(pid, signal);
    expect(await inside.mounts(user.folder)).toEqual([]);
  });

  it('sends what a journal has accepted also when umount(8) comes at once', async () => {
    await using scene = await Scene.open();
    const { playground, user, signal } = scene;
    const { s3, bucket } = playground;
    await scene.login();
    await using inside = await namespace(scene);
    const point = scene.place('mnt');
    await mkdir(point);
    const options = `${places(scene)},${store(scene)},write_back`;
    const given = ['-t', 'wire', `s3://${bucket}`, point, '-o', options];
    expect(await inside.run('mount', ...given)).toMatchObject({ exitCode: 0, stderr: '' });
    const [pid = 0] = await scene.daemons();
    s3.faults.stallNext(20, 500, { operation: 'PutObject' });
    const script = 'cd "$0"; for i in $(seq 100); do echo $i >f$i; done; cd /; exec umount "$0"';
    expect(await inside.run('sh', '-c', script, point)).toMatchObject({ exitCode: 0, stderr: '' });
    await untilEnded(pid, signal);
    const keys = s3.foreign.objects(bucket).map(({ key }) => key);
    expect(keys).toHaveLength(100);
    expect((await user.wire(['recover'], signal)).stdout).toContain('Nothing is left behind');
  });

  it('mounts what fstab says, once, as docs/SYSTEMS.md shows it', async () => {
    await using scene = await Scene.open();
    const { playground, user, signal } = scene;
    await scene.login();
    await using inside = await namespace(scene);
    await mkdir(scene.place('mnt'));
    const { endpoint, audience, role, bucket } = playground;
    const config = `profiles:\n  lab: { endpoint: "${endpoint}", audience: ${audience}, role: ${role} }\n`;
    await writeFile(user.environment['WIRE_CONFIG'] ?? '', config, { mode: 0o600 });
    const shown = await example('text', 'profile=lab');
    let fstab = shown;
    const replaced: Readonly<Record<string, string>> = {
      's3://my-bucket': `s3://${bucket}`,
      '/mnt/data': scene.place('mnt'),
      'config=/etc/wire/config.yaml': places(scene).split(',').slice(0, 1).join(),
      'state_dir=/var/lib/wire': places(scene).split(',').slice(1, 3).join(','),
      'key_file=/etc/wire/key': places(scene).split(',').slice(3).join(),
    };
    for (const [name, place] of Object.entries(replaced)) {
      expect(shown).toContain(name);
      fstab = fstab.replaceAll(name, place);
    }
    const table = scene.place('fstab');
    await writeFile(table, fstab);
    expect(await inside.run('mount', '-a', '-T', table)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await inside.mounts(user.folder)).toEqual([scene.place('mnt')]);
    const daemons = await scene.daemons();
    expect(daemons).toHaveLength(1);
    expect(await inside.run('mount', '-a', '-T', table)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await inside.mounts(user.folder)).toEqual([scene.place('mnt')]);
    const write = await inside.run('touch', scene.place('mnt/no'));
    expect(write.stderr).toContain('Read-only file system');
    expect((await inside.run('umount', scene.place('mnt'))).exitCode).toBe(0);
    for (const pid of daemons) await untilEnded(pid, signal);
  });

  it('refuses by name what it does not know, and secrets without repeating them, with exit code 1', async () => {
    await using scene = await Scene.open();
    const { user } = scene;
    await using inside = await namespace(scene);
    const point = scene.place('mnt');
    await mkdir(point);
    for (const [options, said] of [
      ['endpiont=https://s3.example.org', /-o endpiont: .*is it endpoint\?/],
      ['refresh_token=hunter2', /-o refresh_token: .*token_file=FILE/],
    ] as const) {
      const given = ['-t', 'wire', 's3://data', point, '-o', `${places(scene)},${options}`];
      const { exitCode, stdout, stderr } = await inside.run('mount', ...given);
      expect(exitCode).toBe(1);
      expect(stderr).toMatch(said);
      expect(stdout + stderr).not.toContain('hunter2');
    }
    expect(await inside.mounts(user.folder)).toEqual([]);
  });

  it('mounts nothing with -f, and says with -v what it would do', async () => {
    await using scene = await Scene.open();
    await using inside = await namespace(scene);
    const point = scene.place('mnt');
    await mkdir(point);
    const flags = ['-f', '-v', '-t', 'wire', 's3://data', point];
    const { exitCode, stdout } = await inside.run('mount', ...flags, '-o', 'ro,cache=full');
    expect(exitCode).toBe(0);
    // mount(8) itself stops before the helper when it is told to fake.
    const helper = await inside.run('/sbin/mount.wire', 's3://data', point, '-fv', '-o', 'ro');
    const said = `wire mount s3://data ${point} --option=ro,fsname=s3://data\n`;
    expect({ ...helper, stderr: '' }).toEqual({ exitCode: 0, stdout: said, stderr: '' });
    expect(stdout).not.toContain('Mounted');
    expect(await inside.mounts(scene.user.folder)).toEqual([]);
  });

  it('fails with exit code 32 and the reason when nobody is logged in, and mounts nothing', async () => {
    await using scene = await Scene.open();
    await using inside = await namespace(scene);
    const point = scene.place('mnt');
    await mkdir(point);
    const options = `${places(scene)},${store(scene)}`;
    const given = ['-t', 'wire', 's3://data', point, '-o', options];
    const { exitCode, stderr } = await inside.run('mount', ...given);
    expect(exitCode).toBe(32);
    expect(stderr).toMatch(/^wire: cannot .*nobody is logged in/);
    expect(await inside.mounts(scene.user.folder)).toEqual([]);
  });

  it('mounts as another user, with the login of that user, when root says so', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    await scene.login();
    const node = scene.place('fuse-node');
    const prepare = `mknod ${node} c 10 229; chmod 666 ${node}; mount --bind ${node} /dev/fuse`;
    await using inside = await namespace(scene, prepare);
    const point = scene.place('mnt');
    await mkdir(point);
    const own = ['state', 'run', 'key', 'config.yaml', 'mnt', 'home'].map((name) =>
      scene.place(name),
    );
    await mkdir(scene.place('run'), { recursive: true, mode: 0o700 });
    await run('chown', ['-R', `${UID}:${UID}`, user.folder, ...own], signal);
    const options = `${places(scene)},${store(scene)},setuid=nobody`;
    const source = `s3://${playground.bucket}`;
    const mounted = await inside.run('mount', '-t', 'wire', source, point, '-o', options);
    expect(mounted).toMatchObject({ exitCode: 0, stderr: '' });
    const info = await inside.run('cat', '/proc/self/mountinfo');
    expect(info.stdout).toMatch(new RegExp(` ${point} .* fuse\\.wire .*user_id=${UID}\\b`));
    expect((await inside.run('umount', point)).exitCode).toBe(0);
  });
});
