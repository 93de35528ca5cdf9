/** Each server as institutes have it: behind nginx, over TLS, with a certificate of a CA of their own. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type NginxFront, startNginx } from '../../scripts/servers/nginx.ts';
import { install, nginx } from '../../scripts/servers/packages.ts';
import { MiB } from '../../src/lib/bytes.ts';
import { patternBytes } from '../fixtures/object-store-contract.ts';
import { describeServers, PATIENCE_MS, whyNoMounts } from './chosen-servers.ts';
import { ServerScene } from './server-scene.ts';

const quiet = (): void => undefined;
const whyNoNginx = await install(nginx, quiet, AbortSignal.timeout(PATIENCE_MS)).then(
  () => undefined,
  (error: unknown) => (error instanceof Error ? error.message : String(error)),
);

await describeServers('TLS', whyNoMounts ?? whyNoNginx, (name) => {
  let scene: ServerScene;
  let front: NginxFront;
  let endpoint: string;

  beforeAll(async () => {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    scene = await ServerScene.open(name, {}, signal);
    front = await startNginx(quiet, signal);
    endpoint = await front.before(scene.server.endpoint, signal);
    await scene.login();
  });
  afterAll(async () => {
    await front[Symbol.asyncDispose]();
    await scene[Symbol.asyncDispose]();
  });

  const mountFlags = (): readonly string[] => {
    const { audience, role } = scene.server;
    const flags = ['--endpoint', endpoint, '--audience', audience, '--mkdir', '--daemon'];
    return role === undefined ? flags : [...flags, '--role', role];
  };

  it('mounts through nginx with the CA of the server, whole files and in parts', async () => {
    const place = scene.place('tls');
    const source = `s3://${scene.bucket}/tls`;
    await scene.wire('mount', source, place, ...mountFlags(), '--ca', front.caFile);
    for (const length of [0, 5000, 20 * MiB]) {
      const content = patternBytes(length, length);
      await writeFile(join(place, `${length}`), content);
      expect((await readFile(join(place, `${length}`))).equals(content)).toBe(true);
      expect(content.equals(await scene.bytes(`tls/${length}`))).toBe(true);
    }
    await scene.wire('unmount', place);
  });

  it('does not trust a certificate whose CA it was not told', async () => {
    const source = `s3://${scene.bucket}/tls`;
    const refused = await scene.refusal(5, 'mount', source, scene.place('no'), ...mountFlags());
    expect(refused).toMatch(/^wire: [^\n]*certificate[^\n]*\n$/);
  });
});
