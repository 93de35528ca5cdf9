import { describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { Scene } from '../fixtures/real-mount.ts';

interface Listed {
  readonly endpoint: string;
  readonly buckets: readonly {
    readonly name: string;
    readonly source: string;
    readonly created: string | null;
  }[];
}

describe('wire list', () => {
  it('shows the buckets that there are, as words for wire mount and for programs', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { user, playground, signal } = scene;
    const plain = await user.wire(['list', ...scene.store], signal);
    expect(plain.stdout.split('\n')).toContain(`s3://${playground.bucket}`);
    const { stdout } = await user.wire(['list', '--json', ...scene.store], signal);
    const { endpoint, buckets } = JSON.parse(stdout) as Listed;
    expect(endpoint).toBe(playground.endpoint);
    expect(buckets.map(({ source }) => source)).toEqual(plain.stdout.trimEnd().split('\n'));
    expect(buckets.map(({ name }) => name)).toEqual(buckets.map(({ name }) => name).toSorted());
    for (const { created } of buckets) expect(Date.parse(created ?? '')).toBeGreaterThan(0);
  });

  it('says what is missing: an endpoint, a login, a server', async () => {
    await using scene = await Scene.open();
    const { user, signal, playground } = scene;
    const allow = Object.values(exitCodeOf);
    const stranger = await user.wire(['list', ...scene.store], signal, { allow });
    expect(stranger).toMatchObject({ exitCode: exitCodeOf['login-expired'], stdout: '' });
    expect(stranger.stderr).toMatch(/wire login/);
    await scene.login();
    const nowhere = await user.wire(['list'], signal, { allow });
    expect(nowhere).toMatchObject({ exitCode: exitCodeOf.usage, stdout: '' });
    expect(nowhere.stderr).toMatch(/cannot list buckets: no S3 endpoint is known; .*--endpoint/);
    const { audience, role } = playground;
    const closed = ['list', '--endpoint', 'http://127.0.0.1:1', '--role', role];
    const silent = await user.wire([...closed, '--audience', audience], signal, { allow });
    expect(silent).toMatchObject({ exitCode: exitCodeOf.unreachable, stdout: '' });
    expect(silent.stderr).toContain('127.0.0.1:1');
  });
});
