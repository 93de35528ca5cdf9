import { describe, expect, it } from 'vitest';
import { FakeCli } from './fake-cli.ts';

/** What a mount was asked for, in a folder of its own. */
async function settingsOf(...flags: readonly string[]): Promise<Record<string, unknown>> {
  const cli = new FakeCli();
  const { code } = await cli.run('mount', ...flags, '--endpoint', 'https://s3.example');
  expect([flags, code]).toEqual([flags, 0]);
  expect(cli.mounts[0]?.mounts).toMatchObject([{ mountPoint: '/m' }]);
  return { ...cli.mounts[0]?.settings };
}

describe('where a mount tells what it does', () => {
  it.each([
    [['s3://b', '/m'], 'off'],
    [['--metrics', 's3://b', '/m'], 0],
    [['s3://b', '/m', '--metrics'], 0],
    [['--metrics', '9345', 's3://b', '/m'], 9345],
    [['--metrics', '127.0.0.1:9345', 's3://b', '/m'], 9345],
    [['--metrics=off', 's3://b', '/m'], 'off'],
  ])('mount %j serves metrics at %j', async (words, place) => {
    expect((await settingsOf(...words))['metrics']).toBe(place);
  });

  it('takes the name of a mount for no address', async () => {
    const { code, stderr } = await new FakeCli().run('mount', '--metrics', 'data2024', '/m');
    expect([code, stderr]).toEqual([2, expect.stringContaining('mount data2024: it is no mount')]);
  });

  it.each(['0.0.0.0:9345', 'evil.example:80', '99999'])(
    'serves metrics at no other place: %s',
    async (place) => {
      const { code, stderr } = await new FakeCli().run('mount', '--metrics', place, 's3://b', '/m');
      expect([code, stderr.includes('port of 127.0.0.1')]).toEqual([2, true]);
    },
  );

  it('counts paths from where it was started, and off is no path', async () => {
    const { accessLog, auditLog } = await settingsOf(
      ...['s3://b', '/m', '--access-log', 'a.log', '--audit-log', '~/b.log'],
    );
    expect([accessLog, auditLog]).toEqual(['/cwd/a.log', '/home/u/b.log']);
    expect((await settingsOf('s3://b', '/m', '--audit-log', 'off'))['auditLog']).toBe('off');
  });
});
