import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { canMount, exists, Scene, wireCommand } from '../fixtures/real-mount.ts';

interface Block {
  readonly language: string;
  readonly text: string;
}

/** Code blocks below the heading `title`, up to the next heading of any level. */
async function blocksBelow(title: string): Promise<readonly Block[]> {
  const readme = await readFile('README.md', 'utf8');
  const section = readme.split(/^(?=#{2,4} )/m).find((part) => part.split('\n')[0] === title);
  const found = (section ?? '').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm);
  return [...found].map(([, language = '', text = '']) => ({ language, text }));
}

async function onlyBlock(title: string, language: string): Promise<string> {
  const blocks = (await blocksBelow(title)).filter((block) => block.language === language);
  expect({ title, count: blocks.length }).toEqual({ title, count: 1 });
  return blocks[0]?.text ?? '';
}

/** Puts the playground in the place of the README's example. Every name must have been there. */
function atPlayground(text: string, { playground }: Scene, names: readonly string[]): string {
  const places: Readonly<Record<string, string>> = {
    'https://iam.example.org/': playground.issuer,
    'https://rgw.example.org': playground.endpoint,
    'my-bucket': playground.bucket,
    IAMaccess: playground.role,
    'audience object': `audience ${playground.audience}`,
    'audience: object': `audience: ${playground.audience}`,
  };
  let replaced = text;
  for (const name of names) {
    expect(text).toContain(name);
    replaced = replaced.replaceAll(name, places[name] ?? name);
  }
  expect(replaced).not.toContain('example.org');
  return replaced;
}

/** Runs a block as a person would type it, with `wire` on the PATH; alice approves a login. */
async function type(script: string, scene: Scene): Promise<string> {
  const { user, signal, playground } = scene;
  const bin = scene.place('bin');
  await mkdir(bin, { recursive: true });
  const wire = join(bin, 'wire');
  await writeFile(wire, `#!/bin/sh\nexec '${process.execPath}' '${wireCommand}' "$@"\n`);
  await chmod(wire, 0o755);
  let approving: Promise<void> | undefined;
  const { stdout, stderr } = await run('bash', ['-euo', 'pipefail', '-c', script], signal, {
    env: { ...user.environment, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
    onStderr: (line) => {
      const url = /https?:\/\/\S+user_code=\S+/.exec(line);
      if (url !== null) approving ??= playground.iam.approve(url[0], 'alice', signal);
    },
  });
  await approving;
  return stdout + stderr;
}

describe('the README', () => {
  it('shows only commands that there are, and all of them', async () => {
    const readme = await readFile('README.md', 'utf8');
    const listed = [...readme.matchAll(/^\| `wire (\w+)/gm)].map(([, name]) => name);
    expect(listed).toEqual(await commands());
  });

  it.each([
    'login',
    'mount',
    'unmount',
    'status',
    'ui',
    'list',
    'recover',
    'cache',
    'whoami',
    'doctor',
    'report',
    'logs',
    'config',
    'profile',
    'token',
    'credentials',
    'env',
    'logout',
    'completion',
    'version',
  ])(
    'says that `wire COMMAND --help` has examples, and %s has, of flags it knows',
    async (name) => {
      expect(await commands()).toContain(name);
      const help = await wireHelp(name, '--help');
      const [before = '', examples = ''] = help.split('\nExamples:\n');
      const lines = (examples.split('\n\n')[0] ?? '').trimEnd().split('\n');
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) {
        expect(line).toMatch(new RegExp(`^ {2}.*\\bwire ${name}\\b`));
        const flags = [...line.matchAll(/ (--[a-z-]+)/g)].map(([, flag = '']) => flag);
        for (const flag of flags) expect(before).toContain(`  ${flag}`);
      }
    },
  );

  describe.skipIf(!canMount)('on a real mount', () => {
    it('works as it says under "Use it"', async () => {
      await using scene = await Scene.open();
      const names = ['https://iam.example.org/', 'https://rgw.example.org', 'my-bucket'];
      const text = await onlyBlock('## Use it', 'sh');
      const said = await type(
        atPlayground(text, scene, [...names, 'IAMaccess', 'audience object']),
        scene,
      );
      const mountPoint = join(scene.user.environment['HOME'] ?? '', 'bucket');
      expect(said).toContain(
        `Mounted s3://${scene.playground.bucket}/some/prefix/ at ${mountPoint}`,
      );
      expect(said).toContain(`${mountPoint}: ready`);
      expect(said).toContain(`Unmounted ${mountPoint}`);
      expect(said).toContain('Logged out');
      expect(await mountsBelow(scene.user.folder)).toEqual([]);
      expect(await exists(mountPoint)).toBe(false);
    });

    it('works as it says under "Other programs"', async () => {
      await using scene = await Scene.open();
      await scene.login();
      const names = ['https://rgw.example.org', 'my-bucket', 'IAMaccess', 'audience object'];
      const block = await onlyBlock('### Other programs', 'sh');
      const said = await type(atPlayground(block, scene, names), scene);
      expect(said).toContain('alice');
    });

    it('works as it says under "Profiles"', async () => {
      await using scene = await Scene.open();
      const names = ['https://iam.example.org/', 'https://rgw.example.org', 'my-bucket'];
      const profile = await onlyBlock('### Profiles', 'yaml');
      const config = atPlayground(profile, scene, [...names, 'IAMaccess', 'audience: object']);
      await writeFile(scene.user.environment['WIRE_CONFIG'] ?? '', config);
      const said = await type(await onlyBlock('### Profiles', 'sh'), scene);
      const mountPoint = join(scene.user.environment['HOME'] ?? '', 'data');
      expect(said).toContain(`Mounted s3://${scene.playground.bucket} at ${mountPoint}`);
      expect(await mountsBelow(scene.user.folder)).toEqual([mountPoint]);
      await type(`echo hello > ~/data/x; cat ~/data/x; wire unmount ~/data; wire logout`, scene);
      expect(await mountsBelow(scene.user.folder)).toEqual([]);
    });

    it('works as it says under "Writing"', async () => {
      await using scene = await Scene.open();
      const names = ['https://iam.example.org/', 'https://rgw.example.org', 'my-bucket'];
      const profile = await onlyBlock('### Profiles', 'yaml');
      const config = atPlayground(profile, scene, [...names, 'IAMaccess', 'audience: object']);
      await writeFile(scene.user.environment['WIRE_CONFIG'] ?? '', config);
      await type('wire login --profile lab', scene);
      const block = await onlyBlock('### Writing', 'sh');
      const said = await type(atPlayground(block, scene, ['my-bucket']), scene);
      expect(said).toContain('Unmounted');
      expect(said).toContain('Nothing is left behind');
      await type('wire mount data --profile lab --mkdir --daemon', scene);
      expect(await type('cat ~/data/greeting; wire unmount ~/data', scene)).toContain('hello');
      expect(await mountsBelow(scene.user.folder)).toEqual([]);
    });

    it('works as it says under "Reading faster"', async () => {
      await using scene = await Scene.open();
      const names = ['https://iam.example.org/', 'https://rgw.example.org', 'my-bucket'];
      const profile = await onlyBlock('### Profiles', 'yaml');
      const config = atPlayground(profile, scene, [...names, 'IAMaccess', 'audience: object']);
      await writeFile(scene.user.environment['WIRE_CONFIG'] ?? '', config);
      await type('wire login --profile lab; wire mount data --profile lab --mkdir --daemon', scene);
      await type('echo hello > ~/data/x; wire unmount ~/data', scene);
      const block = await onlyBlock('### Reading faster', 'sh');
      const said = await type(atPlayground(block, scene, ['my-bucket']), scene);
      expect(said).toContain('On the local disk: 1 file');
      expect(said).toContain('of 10.0 GiB in 1 object');
      expect(await mountsBelow(scene.user.folder)).toEqual([]);
    });
  });
});

async function wireHelp(...args: readonly string[]): Promise<string> {
  const signal = AbortSignal.timeout(30_000);
  return (await run(process.execPath, [wireCommand, ...args], signal)).stdout;
}

/** Names of the commands, as `wire --help` lists them. */
async function commands(): Promise<readonly string[]> {
  const [, list = ''] = (await wireHelp('--help')).split('\nCommands:\n');
  const names = [...list.matchAll(/^ {2}(\w+)/gm)].map(([, name = '']) => name);
  return names.filter((name) => name !== 'help' && name !== 'wire');
}
