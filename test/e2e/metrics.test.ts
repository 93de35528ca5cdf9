import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/daemon/status.ts';
import { type Metrics, readMetrics } from '../fixtures/prometheus-text.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';

async function ask(
  options: RequestOptions,
): Promise<{ readonly status: number; readonly text: string }> {
  const asked = request({ path: '/metrics', agent: false, ...options });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return { status: answer.statusCode ?? 0, text };
}

function valueOf({ samples }: Metrics, name: string, labels: Record<string, string> = {}): number {
  const found = samples.find(
    (one) =>
      one.name === name && Object.entries(labels).every(([key, text]) => one.labels[key] === text),
  );
  return found?.value ?? Number.NaN;
}

describe.skipIf(!canMount)('metrics', () => {
  it('are told on the control socket, and on a port that was asked for, and show the work', async () => {
    await using scene = await Scene.open();
    await scene.login();
    const { user, signal, playground } = scene;
    const mount = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mount, '--metrics');
    const { stdout } = await user.wire(['status', '--json'], signal);
    const [serving] = (JSON.parse(stdout) as Status).processes ?? [];
    const url = new URL(serving?.metricsUrl ?? '');
    const { port } = url;
    const socketPath = join(user.folder, 'run', `daemon-${serving?.pid ?? 0}.sock`);

    await writeFile(join(mount, 'secret-thesis'), 'x'.repeat(1000));
    expect(await readFile(join(mount, 'secret-thesis'), 'utf8')).toHaveLength(1000);
    const onPort = await ask({ host: '127.0.0.1', port });
    const onSocket = await ask({ socketPath });
    for (const { status, text } of [onPort, onSocket]) {
      expect(status).toBe(200);
      const told = readMetrics(text);
      expect(valueOf(told, 'wire_mounts')).toBe(1);
      expect(valueOf(told, 'wire_mount_ready', { mount })).toBe(1);
      expect(valueOf(told, 'wire_fuse_bytes_total', { mount, direction: 'written' })).toBe(1000);
      expect(valueOf(told, 'wire_store_bytes_total', { mount, direction: 'sent' })).toBe(1000);
      const puts = { mount, request: 'put' };
      expect(valueOf(told, 'wire_store_request_duration_seconds_count', puts)).toBeGreaterThan(0);
      const ends = valueOf(told, 'wire_credentials_expiry_timestamp_seconds', { mount });
      expect(ends * 1000).toBeGreaterThan(Date.now());
      // Every user of the machine can read it: no names of objects or people, no secrets.
      expect(text).not.toMatch(/secret-thesis|alice|eyJ|a11ce/);
    }
    const foreign = { host: '127.0.0.1', port, headers: { host: 'evil.example' } };
    expect((await ask(foreign)).status).toBe(403);
    expect((await ask({ host: '127.0.0.1', port, headers: { origin: 'null' } })).status).toBe(403);
    await user.wire(['unmount', mount], signal);
    await expect(ask({ host: '127.0.0.1', port })).rejects.toThrow();

    // On no port unless somebody asks; one that is taken is told before mounting.
    await scene.mount(`s3://${playground.bucket}`, mount);
    const quiet = await user.wire(['status', '--json'], signal);
    expect((JSON.parse(quiet.stdout) as Status).processes?.[0]).not.toHaveProperty('metricsUrl');
    const { port: taken } = new URL(playground.endpoint);
    const args = [
      'mount',
      `s3://${playground.bucket}`,
      scene.place('other'),
      ...scene.store,
      '--mkdir',
    ];
    const refused = await user.wire([...args, '--metrics', taken], signal, { allow: [6] });
    expect(refused.stderr).toContain(`cannot serve metrics on 127.0.0.1:${taken}: EADDRINUSE`);
    const open = await user.wire([...args, '--metrics', '0.0.0.0:9345'], signal, { allow: [2] });
    expect(open.stderr).toContain('port of 127.0.0.1');
    await user.wire(['unmount', mount], signal);
  });
});
