import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { findLeaks } from '../fixtures/leak-search.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';

/** All that an archive holds, by the name within its folder. */
async function unpacked(path: string, scene: Scene): Promise<ReadonlyMap<string, string>> {
  const folder = scene.place('unpacked');
  await mkdir(folder);
  await run('tar', ['-xzf', path, '-C', folder, '--strip-components=1'], scene.signal);
  const names = await readdir(folder);
  const texts = names.map(async (name): Promise<[string, string]> => {
    return [name, await readFile(join(folder, name), 'utf8')];
  });
  return new Map(await Promise.all(texts));
}

describe.skipIf(!canMount)('wire report', () => {
  it('puts what helps into one archive, private and without any secret of a real login', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground, store } = scene;
    await scene.login();
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint, '--log-level', 'trace');
    await writeFile(join(mountPoint, 'x'), 'y');
    const { iam, keys, root, issuer } = playground;
    const [access = ''] = iam
      .issuedSecrets()
      .flatMap(({ kind, value }) => (kind === 'access_token' ? [value] : []));
    // What a program that is no friend of redaction may have written there.
    const log = join(user.folder, 'state', 'wire.log');
    await writeFile(log, `Fatal: ${access}\n`, { flag: 'a' });
    const given = {
      IAM_CLIENT_SECRET: 'given-client-secret-0815',
      HTTPS_PROXY: 'http://me:proxy-password-1@127.0.0.1:9',
    };
    const words = user.commandLine([
      'report',
      `s3://${playground.bucket}`,
      ...store,
      '--issuer',
      issuer,
      '--json',
    ]);
    const [program = '', ...rest] = words;
    const { stdout, stderr } = await run(program, rest, signal, {
      ...{ cwd: user.folder, env: { ...user.environment, ...given } },
      allow: Array.from({ length: 255 }, (_, code) => code + 1),
    });
    const { path, files } = JSON.parse(stdout) as {
      path: string;
      files: readonly { name: string }[];
    };
    expect(path).toMatch(/\/wire-report-\d{8}-\d{6}\.tar\.gz$/);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const texts = await unpacked(path, scene);
    expect([...texts.keys()].sort()).toEqual(files.map(({ name }) => name).sort());
    await user.wire(['unmount', mountPoint], signal);

    const text = (name: string): string => texts.get(name) ?? '';
    expect(JSON.parse(text('doctor.json'))).toEqual(
      expect.arrayContaining([expect.objectContaining({ check: 'bucket', level: 'ok' })]),
    );
    expect(JSON.parse(text('status.json'))).toMatchObject({
      mounts: expect.arrayContaining([expect.objectContaining({ mountPoint })]) as unknown,
    });
    expect(JSON.parse(text('settings.json'))).toMatchObject({
      endpoint: { value: playground.endpoint, origin: 'flag' },
      region: { origin: 'default' },
    });
    expect(JSON.parse(text('environment.json'))).toMatchObject({
      IAM_CLIENT_SECRET: '[secret]',
      HTTPS_PROXY: '[secret]',
    });
    expect(text('mounts.txt')).toContain(` ${mountPoint} `);
    expect(text('wire.log')).toContain('"event":"ready"');
    expect(text('wire.log')).toMatch(/^Fatal: \[secret\]$/m);
    for (const { name } of files)
      expect(text('README.txt')).toContain(name === 'README.txt' ? 'wire report' : name);

    const secrets = [
      ...iam.issuedSecrets(),
      ...keys.issued.flatMap(({ secretAccessKey, sessionToken }) => [
        { kind: 'S3 secret key', value: secretAccessKey },
        { kind: 'S3 session token', value: sessionToken },
      ]),
      { kind: 'root key', value: root.secretAccessKey },
      { kind: 'client secret', value: given.IAM_CLIENT_SECRET },
      { kind: 'password', value: 'proxy-password-1' },
    ];
    expect(secrets.length).toBeGreaterThan(8);
    const traces = [...texts].map(([place, content]) => ({ place, text: content }));
    const whole = {
      place: 'the archive',
      text: gunzipSync(await readFile(path)).toString('latin1'),
    };
    expect(
      findLeaks(secrets, [...traces, whole, { place: 'output', text: stdout + stderr }]),
    ).toEqual([]);
    // The search finds what is there.
    expect(findLeaks(secrets, [{ place: 'here', text: `x ${access} y` }])).not.toEqual([]);
  });

  it('says where it is and what is in it, and takes no place that is taken', async () => {
    await using scene = await Scene.open();
    const { user, signal } = scene;
    const path = scene.place('mine.tar.gz');
    const { stdout } = await user.wire(['report', '--output', path], signal);
    expect(stdout).toMatch(new RegExp(`^${path} \\(.* KiB, readable by you alone\\) has:\n`));
    expect(stdout).toMatch(/^ {2}wire\.log +the end of .*\/state\/wire\.log$/m);
    expect(stdout).toContain(`tar -xzOf ${path} | less`);
    const before = await readFile(path);
    const again = await user.wire(['report', '-o', path], signal, { allow: [exitCodeOf.exists] });
    expect(again).toMatchObject({ exitCode: exitCodeOf.exists, stdout: '' });
    expect(again.stderr).toMatch(
      /^wire: cannot write .*: something is there already; name another place/,
    );
    expect((await readFile(path)).equals(before)).toBe(true);
    const nowhere = join(path, 'x.tar.gz');
    const refused = await user.wire(['report', '-o', nowhere], signal, {
      allow: [exitCodeOf.config],
    });
    expect(refused.stderr).toContain('ENOTDIR');
  });
});
