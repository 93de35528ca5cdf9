import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../scripts/demo/programs.ts';
import { Closers } from '../../src/lib/closers.ts';
import { exitCodeOf } from '../../src/lib/wire-error.ts';
import { wireCommand } from '../fixtures/real-mount.ts';

const signal = AbortSignal.timeout(100_000);

function hasShell(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A folder with the scripts, and `wire` on the PATH. */
class Shells implements AsyncDisposable {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #closers: Closers;

  private constructor(folder: string, closers: Closers) {
    this.folder = folder;
    this.#closers = closers;
    this.env = {
      HOME: folder,
      PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      WIRE_CONFIG: join(folder, 'config.yaml'),
      WIRE_STATE_DIR: join(folder, 'state'),
    };
  }

  static async open(...names: readonly string[]): Promise<Shells> {
    await using closers = new Closers();
    const folder = await mkdtemp(join(tmpdir(), 'wire-completion-'));
    closers.defer(async () => await rm(folder, { recursive: true, force: true }));
    const shells = new Shells(folder, closers.move());
    await mkdir(join(folder, 'bin'));
    const wire = `#!/bin/sh\nexec '${process.execPath}' '${wireCommand}' "$@"\n`;
    await writeFile(join(folder, 'bin', 'wire'), wire, { mode: 0o755 });
    await writeFile(join(folder, 'config.yaml'), 'profiles: { lab: {}, work: {} }\n');
    for (const name of names) {
      const { stdout } = await shells.run('wire', 'completion', name);
      await writeFile(shells.script(name), stdout);
    }
    return shells;
  }

  script(name: string): string {
    return join(this.folder, `wire.${name}`);
  }

  async run(program: string, ...args: readonly string[]): Promise<{ readonly stdout: string }> {
    return await run(program, args, signal, { env: this.env });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closers[Symbol.asyncDispose]();
  }
}

/** What bash offers for each line, as it splits lines itself. */
async function offeredByBash(
  shells: Shells,
  lines: readonly (readonly string[])[],
): Promise<readonly (readonly string[])[]> {
  const tries = lines.map((words) => {
    const quoted = words.map((word) => `'${word}'`).join(' ');
    return (
      `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; ` +
      `"$(complete -p wire | sed 's/.*-F \\([^ ]*\\).*/\\1/')"; printf '%s\\t' "\${COMPREPLY[@]}"; echo`
    );
  });
  const script = [`source '${shells.script('bash')}'`, ...tries].join('\n');
  const { stdout } = await shells.run('bash', '--norc', '--noprofile', '-c', script);
  return stdout
    .split('\n')
    .slice(0, lines.length)
    .map((line) => line.split('\t').filter((word) => word !== ''));
}

/** Commands and flags that the program's own help shows. */
async function helpWords(shells: Shells, path: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await shells.run('wire', ...path, '--help');
  const [before = '', after = ''] = stdout.split('\nCommands:\n');
  const flags = before.matchAll(/^ {2}(?:(-\w), )?(--[a-z-]+)/gm);
  const [commands = ''] = after.split('\n\n');
  const named = commands.matchAll(/^ {2}(\w+)(?:\|(\w+))?/gm);
  const found = [...flags, ...named].flatMap((match): (string | undefined)[] => match.slice(1));
  return found.filter((word) => word !== undefined);
}

describe('wire completion', () => {
  it('is accepted by each shell that is here, and refused for any other', async () => {
    await using shells = await Shells.open('bash', 'zsh', 'fish');
    const here = ['bash', 'zsh', 'fish'].filter(hasShell);
    for (const name of here) await shells.run(name, '-n', shells.script(name));
    expect(here).toContain('bash');
    const { exitCode, stderr } = await run('wire', ['completion', 'csh'], signal, {
      env: shells.env,
      allow: [exitCodeOf.usage],
    });
    expect(exitCode).toBe(exitCodeOf.usage);
    expect(stderr).toContain('bash, zsh, fish');
  });

  it.each([[[]], [['mount']], [['login']], [['cache']], [['cache', 'warm']], [['config', 'show']]])(
    'offers in bash every command and flag that `wire %j --help` shows',
    async (path) => {
      await using shells = await Shells.open('bash');
      const [commands = [], flags = []] = await offeredByBash(shells, [
        ['wire', ...path, ''],
        ['wire', ...path, '-'],
      ]);
      const shown = await helpWords(shells, path);
      expect(shown.length).toBeGreaterThan(1);
      expect([...commands, ...flags]).toEqual(expect.arrayContaining([...shown]));
    },
  );

  it('offers in bash what a value can be, wherever the flag stands', async () => {
    await using shells = await Shells.open('bash');
    const modes = ['off', 'minimal', 'writes', 'full'];
    const [first, ...more] = await offeredByBash(shells, [
      ['wire', 'mo'],
      ['wire', '--log-level', 'debug', 'unm'],
      ['wire', 'mount', '--cache', ''],
      ['wire', 'mount', '--cache', '='],
      ['wire', 'mount', 's3://b', '/m', '--cache', '=', 'm'],
      ['wire', 'mount', '--posix', '--read-o'],
      ['wire', 'umount', '--la'],
      ['wire', 'mount', '--profile', ''],
      ['wire', 'profile', 'show', 'w'],
      ['wire', 'completion', ''],
      ['wire', 'mount', '--region', ''],
      ['wire', 'config', 'edit', shells.script('ba')],
    ]);
    expect(first).toEqual(['mount']);
    expect(more).toEqual([
      ['unmount'],
      modes,
      modes,
      ['minimal'],
      ['--read-only'],
      ['--lazy'],
      ['lab', 'work'],
      ['work'],
      ['bash', 'zsh', 'fish'],
      [],
      [shells.script('bash')],
    ]);
  });

  it.skipIf(!hasShell('fish'))('offers the same in fish, with what it is for', async () => {
    await using shells = await Shells.open('fish');
    const offered = async (line: string): Promise<readonly string[]> => {
      const script = `source '${shells.script('fish')}'; complete -C '${line}'`;
      const { stdout } = await shells.run('fish', '--no-config', '-c', script);
      return stdout.trimEnd().split('\n');
    };
    expect(await offered('wire mo')).toEqual(['mount\tmake buckets appear as folders']);
    const values = (await offered('wire mount --cache ')).map((line) => line.split('\t')[0]);
    expect(values.toSorted()).toEqual(['full', 'minimal', 'off', 'writes']);
    expect((await offered('wire --log-level debug unm'))[0]).toMatch(/^unmount\t/);
    expect((await offered('wire config show --cache-d'))[0]).toMatch(/^--cache-dir\t/);
    const profiles = (await offered('wire mount --profile ')).map((line) => line.split('\t')[0]);
    expect(profiles).toEqual(['lab', 'work']);
  });

  it.skipIf(!hasShell('zsh'))('offers the same in zsh, with what it is for', async () => {
    await using shells = await Shells.open('zsh');
    const typed = async (line: string, until: string): Promise<string> => {
      const script = `
        zmodload zsh/zpty
        zpty z zsh -f -i
        zpty -w z 'autoload -U compinit; compinit -D -u; source ${shells.script('zsh')}; print READY=1'
        zpty -r -m z out '*READY=1*'
        zpty -w -n z $'${line}\\t'
        zpty -r -m z out '*${until}*'
        print -r -- "$out"
        zpty -d z`;
      return (await shells.run('zsh', '-f', '-c', script)).stdout;
    };
    expect(await typed('wire config ', 'display help')).toMatch(
      /show +-- each setting that holds.*\s+check +-- find everything/,
    );
    const modes = await typed('wire mount --cache ', 'writes');
    for (const mode of ['off', 'minimal', 'writes']) expect(modes).toContain(mode);
  });
});
