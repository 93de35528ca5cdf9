import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { mountsBelow } from '../../scripts/demo/wire-user.ts';
import { approveInBrowser } from '../../src/demo/iam/browser.ts';
import { canMount, Scene } from '../fixtures/real-mount.ts';

/** Commands that the guide shows below `title`, with what a `\` carries over to the next line. */
function commandsBelow(guide: string, title: string): string {
  const [, below = ''] = guide.split(`\n${title}\n`);
  return (below.split('\n\n')[0] ?? '').replaceAll(/^ {2}/gm, '');
}

describe('npm run playground -- --help', () => {
  it('names the options with their values, and starts nothing', async () => {
    const command = ['build/scripts/playground.js', '--help'];
    const { stdout } = await run(process.execPath, command, AbortSignal.timeout(20_000));
    const words = [
      '--iam-dialect',
      'indigo',
      '--store-dialect',
      'rgw',
      '--access-token',
      '--lease',
    ];
    for (const word of words) expect(stdout).toContain(word);
    expect(stdout).not.toContain('http');
  });
});

describe.skipIf(!canMount)('npm run playground', () => {
  it('prints commands that work as they are', async () => {
    await using scene = await Scene.open();
    const { user, signal } = scene;
    const playground = spawn(process.execPath, ['build/scripts/playground.js'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      let guide = '';
      for await (const line of createInterface({ input: playground.stdout })) {
        guide += `${line}\n`;
        if (line === 'Ctrl-C stops it.') break;
      }
      const folder = /mount s3:\/\/\S+ (\S+)/.exec(guide)?.[1] ?? '';
      // The one change: a folder that vanishes with this test.
      const shown = guide.replaceAll(folder, scene.place('bucket'));

      let approving: Promise<void> | undefined;
      const login = commandsBelow(shown, 'Log in, as alice with any password:');
      await run('bash', ['-ec', login], signal, {
        env: user.environment,
        onStderr: (line) => {
          const [url, code = ''] = /https?:\/\/\S+user_code=(\S+)/.exec(line) ?? [];
          if (url === undefined) return;
          approving ??= approveInBrowser(url, decodeURIComponent(code), 'alice', 'any', signal);
        },
      });
      await approving;

      await run('bash', ['-ec', commandsBelow(shown, 'Make it misbehave:')], signal);
      const use = commandsBelow(shown, 'Mount, use, unmount:');
      expect(use.split('\n').length).toBeGreaterThan(4);
      const { stdout } = await run('bash', ['-ec', use], signal, { env: user.environment });
      expect(stdout).toContain('Unmounted');
      expect(await mountsBelow(user.folder)).toEqual([]);
    } finally {
      playground.kill('SIGINT');
      const [code] = (await once(playground, 'exit')) as [number | null];
      expect(code).toBe(0);
    }
  });
});
