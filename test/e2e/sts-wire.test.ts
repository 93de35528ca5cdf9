import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { approveInBrowser } from '../../src/demo/iam/browser.ts';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';
import {
  hubTokens,
  lineOf,
  sevenArguments,
  startStsWire,
  stsWire,
  usual,
} from './sts-wire-scene.ts';

describe.skipIf(!canMount)('sts-wire', () => {
  it('scenario 1: shows a code to who has no login, mounts, and unmounts at Ctrl-C', async () => {
    await using scene = await Scene.open();
    const { signal } = scene;
    const heard: string[] = [];
    const child = startStsWire(scene, sevenArguments(scene, 'my/mount'), heard);
    const exited = once(child, 'exit');
    const shown = await lineOf(heard, /user_code=/, signal);
    const [url = '', code = ''] = /https?:\/\/\S+user_code=(\S+)/.exec(shown) ?? [];
    await approveInBrowser(url, decodeURIComponent(code), 'alice', undefined, signal);
    const place = scene.place('my/mount');
    expect(await lineOf(heard, /Volume mounted/, signal)).toBe(`==> Volume mounted at ${place}`);
    await writeFile(join(place, 'file'), 'text');
    child.kill('SIGINT');
    expect(await exited).toEqual([0, null]);
    expect(await mountsBelow(scene.user.folder)).toEqual([]);
  });

  it('scenario 2: mounts with the tokens of a hub, and asks for no login', async () => {
    await using scene = await Scene.open();
    const place = scene.place('s3/alice');
    const tokens = await hubTokens(scene);
    const mounting = [...sevenArguments(scene, place), ...usual];
    const args = [...mounting, '--localCacheDir', 'cache', '--rcloneMountFlags', '--daemon'];
    await mkdir(scene.place('cache'));
    await writeFile(scene.place('cache/thesis'), 'mine');
    const { exitCode, stdout, stderr } = await stsWire(scene, args, tokens);
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 0,
      stdout: `==> Volume mounted at ${place}\n`,
      stderr: 'Not needed here: --tryRemount, --noDummyFileCheck (docs/MIGRATING.md)\n',
    });
    await writeFile(join(place, 'file'), 'from a notebook');
    expect(await readFile(join(place, 'file'), 'utf8')).toBe('from a notebook');
    expect(scene.playground.keys.issued.length).toBeGreaterThan(0);
    // Scenario 14: what else lies in the folder of the cache stays.
    expect(await readFile(scene.place('cache/thesis'), 'utf8')).toBe('mine');
    expect((await scene.user.wire(['unmount', place], scene.signal)).exitCode).toBe(0);
    const { s3, bucket } = scene.playground;
    expect((await s3.foreign.getObject(bucket, 'file'))?.toString()).toBe('from a notebook');
  });

  it('scenario 4: takes a file of sts-wire as it is', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { issuer, endpoint, role, audience, bucket } = scene.playground;
    const file = [
      `IAM_Server: ${issuer}`,
      'instance_name: test_instance',
      `s3_endpoint: ${endpoint}`,
      `rclone_remote_path: /${bucket}`,
      'local_mount_point: ./mounted',
      `role_name: ${role}`,
      `audience: ${audience}`,
      'IAMAuthURL: http://localhost',
      'refreshTokenRenew: 10',
      'noPassword: false',
    ];
    await writeFile(scene.place('config.yml'), file.join('\n'));
    const args = ['--rcloneMountFlags', '--daemon', '--config', 'config.yml'];
    const { exitCode, stdout } = await stsWire(scene, args);
    const place = scene.place('mounted');
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: `==> Volume mounted at ${place}\n`,
    });
    await writeFile(join(place, 'file'), 'text');
    expect(await readdir(place)).toContain('file');
    expect((await scene.user.wire(['unmount', place], scene.signal)).exitCode).toBe(0);
  });

  it('scenario 7: mounts nothing and says why when the store refuses the token', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const words = [...sevenArguments(scene, 'refused')];
    words[3] = 'no-such-role';
    const { exitCode, stdout, stderr } = await stsWire(scene, words);
    expect(exitCode).toBe(exitCodeOf['identity-refused']);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^wire: cannot .*AccessDenied/);
    expect(await mountsBelow(scene.user.folder)).toEqual([]);
  });

  it('scenario 11: is read-only also with mount flags', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const place = scene.place('read');
    const flags = ['--readOnly', '--rcloneMountFlags', '--attr-timeout 2s --daemon'];
    const mounted = await stsWire(scene, [...sevenArguments(scene, place), ...flags]);
    expect(mounted.exitCode).toBe(0);
    await expect(writeFile(join(place, 'no'), '')).rejects.toMatchObject({ code: 'EROFS' });
    expect((await scene.user.wire(['unmount', place], scene.signal)).exitCode).toBe(0);
  });

  it('scenario 13: says its version, and takes away the secrets that sts-wire has left', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const token = scene.place('.token');
    await writeFile(token, 'an old token');
    const version = await stsWire(scene, ['version']);
    expect(version.stdout).toMatch(/^wire +\d+\.\d+\.\d+\nnode/);
    const clean = await stsWire(scene, ['clean']);
    expect({ ...clean, stdout: clean.stdout.split('\n')[0] }).toMatchObject({
      exitCode: 0,
      stdout: `removed ${token}`,
    });
    const { stdout } = await scene.user.wire(['status', '--json'], scene.signal);
    expect(JSON.parse(stdout)).toMatchObject({ logins: [] });
  });

  it('refuses what it does not know in one line, whatever stands before it', async () => {
    await using scene = await Scene.open();
    for (const args of [
      ['--unknown', 'a'],
      ['one', 'two'],
      ['--rcloneMountFlags', '--rc'],
    ]) {
      const words = args[0] === '--rcloneMountFlags' ? sevenArguments(scene, 'm') : [];
      const { exitCode, stderr } = await stsWire(scene, [...words, ...args]);
      expect({ args, exitCode }).toEqual({ args, exitCode: exitCodeOf.usage });
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
  });
});
