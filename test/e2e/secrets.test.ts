import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canMount, Scene } from '../fixtures/real-mount.ts';

/** First two parts of a JWS in its compact form (RFC 7515, section 7.1): every token here is one. */
const tokenPattern = /eyJ[\w-]{10,}\.[\w-]{10,}/;

describe.skipIf(!canMount)('a whole session at the most talkative log level', () => {
  it('shows no token or key in output, argv, environment, or any file', async () => {
    await using scene = await Scene.open({ iamDialect: 'indigo', storeDialect: 'minio' });
    const { user, signal, playground } = scene;
    const talk = ['--log-level', 'trace'];
    const said: string[] = [];
    const { issuer, audience } = playground;
    const keep = (line: string): void => void said.push(line);
    await user.login([issuer, '--audience', audience, ...talk], 'alice', keep, signal);
    const mountPoint = scene.place('bucket');
    await scene.mount(`s3://${playground.bucket}`, mountPoint, ...talk);
    await writeFile(join(mountPoint, 'x'), 'y');
    playground.sts.expireAll();
    await writeFile(join(mountPoint, 'z'), 'y');

    for (const pid of await scene.daemons()) {
      said.push(await readFile(`/proc/${pid}/cmdline`, 'latin1'));
      said.push(await readFile(`/proc/${pid}/environ`, 'latin1'));
    }
    for (const args of [['status'], ['status', '--json'], ['unmount', mountPoint], ['logout']]) {
      const { stdout, stderr } = await user.wire([...args, ...talk], signal);
      said.push(stdout, stderr);
    }
    const files = await readdir(user.folder, { recursive: true, withFileTypes: true });
    for (const file of files.filter((entry) => entry.isFile())) {
      said.push(await readFile(join(file.parentPath, file.name), 'latin1'));
    }
    const text = said.join('\n');
    expect(text.length).toBeGreaterThan(1000);
    expect(text).not.toMatch(tokenPattern);
    for (const key of playground.keys.issued) {
      expect(text).not.toContain(key.secretAccessKey);
      expect(text).not.toContain(key.sessionToken);
    }
    expect(playground.keys.issued.length).toBeGreaterThan(1);
  });
});
