import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openVault, type VaultOptions } from '../../../src/auth/open-vault.ts';
import { ensurePrivateFolder, replacePrivateFile } from '../../../src/auth/private-file.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { compileTo } from '../../fixtures/compiled.ts';

const signal = new AbortController().signal;
const isRoot = process.geteuid?.() === 0;
let folder: string;
let stateDir: string;
let file: string;
let keyFile: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'wire-vault-'));
  stateDir = path.join(folder, 'state');
  file = path.join(stateDir, 'logins.sealed');
  keyFile = path.join(folder, 'key');
  await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function open(over: Partial<VaultOptions> = {}) {
  const base = { stateDir, keyFile, insecureStorage: false, log: silentLog, clock: systemClock };
  return await openVault({ ...base, ...over }, signal);
}

const loginOf = (number: number) => {
  return { issuer: 'https://iam.example', client: { id: `client-${number}` } };
};

const storedNumber = async (): Promise<number> => {
  const login = await (await open()).vault.load('https://iam.example', signal);
  return Number(login?.client.id.split('-')[1] ?? -1);
};

describe('a vault whose process is killed while it saves', () => {
  /** Kills come at another moment of the save each time. */
  const ROUNDS = 12;

  it('opens afterwards, with all that was said to be saved, and is tidied up', async () => {
    const compiled = path.join(folder, 'compiled');
    const script = 'test/fixtures/vault-process.ts';
    await compileTo(compiled, ['src/lib', 'src/auth', 'src/net', script]);
    const program = path.join(compiled, script.replace(/ts$/, 'js'));
    let next = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const said = await killedAfter(program, next, 1 + (round % 4), round);
      const stored = await storedNumber();
      expect(stored).toBeGreaterThanOrEqual(said);
      expect(stored).toBeLessThanOrEqual(said + 1);
      next = stored + 1;
    }
    await (await open()).vault.save(loginOf(next), signal);
    expect(await storedNumber()).toBe(next);
    expect(await readdir(stateDir)).toEqual(['logins.sealed']);
  }, 60_000);

  /** The last number the process said before it was killed, `turns` turns of our loop later. */
  async function killedAfter(
    program: string,
    from: number,
    saves: number,
    turns: number,
  ): Promise<number> {
    const args = [program, stateDir, keyFile, `${from}`];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const gone = new Promise((resolve) => child.once('close', resolve));
    let last = from - 1;
    try {
      let heard = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        last = Number(line);
        heard += 1;
        if (heard !== saves) continue;
        for (let turn = 0; turn < turns * 40; turn++) await new Promise(setImmediate);
        child.kill('SIGKILL');
      }
    } finally {
      child.kill('SIGKILL');
      await gone;
    }
    return last;
  }
});

describe('what a killed save left beside the vault', () => {
  it('is removed at the next opening, and nothing else is', async () => {
    await open();
    const leftover = 'logins.sealed.0123456789abcdef.tmp';
    const others = ['logins.sealed.backup', 'notes.0123456789abcdef.tmp', 'logins.sealed.x.tmp'];
    for (const name of [leftover, ...others]) {
      await writeFile(path.join(stateDir, name), 'x', { mode: 0o600 });
    }
    await open();
    expect((await readdir(stateDir)).toSorted()).toEqual(['logins.sealed', ...others].toSorted());
  });
});

describe('what a killed save left beside a vault that is open for long', () => {
  it('is removed by the next save', async () => {
    const { vault } = await open();
    const leftover = 'logins.sealed.0123456789abcdef.tmp';
    await writeFile(path.join(stateDir, leftover), 'x', { mode: 0o600 });
    await vault.save(loginOf(1), signal);
    expect(await readdir(stateDir)).toEqual(['logins.sealed']);
    expect(await storedNumber()).toBe(1);
  });
});

describe('a full disk', () => {
  it.skipIf(!isRoot)(
    'is told as such, loses nothing, and is over as soon as there is room (root: mounts a tmpfs)',
    async () => {
      await mkdir(stateDir, { mode: 0o700 });
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', stateDir]);
      try {
        const { vault } = await open();
        await vault.save(loginOf(1), signal);
        const filler = path.join(stateDir, 'filler');
        await expect(writeFile(filler, Buffer.alloc(2 ** 20))).rejects.toThrow('ENOSPC');
        // With no room at all the lock fails, with a page of it the file beside the vault.
        for (const leftBytes of [0, 4096]) {
          await truncate(filler, (await stat(filler)).size - leftBytes);
          const failure: unknown = await vault.save(loginOf(2), signal).catch((e: unknown) => e);
          expect(failure).toMatchObject({ kind: 'config', facts: { answered: 'ENOSPC' } });
          expect((failure as Error).message).toContain(leftBytes === 0 ? 'lock' : 'save the login');
          expect((await vault.load('https://iam.example', signal))?.client.id).toBe('client-1');
          expect((await readdir(stateDir)).toSorted()).toEqual(['filler', 'logins.sealed']);
        }
        await rm(filler);
        await vault.save(loginOf(3), signal);
        expect(await storedNumber()).toBe(3);
      } finally {
        execFileSync('umount', ['-l', stateDir]);
      }
    },
    10_000,
  );
});

describe('private files', () => {
  it.skipIf(!isRoot)('of somebody else are refused, not taken over (as root)', async () => {
    await open();
    await chown(file, 65534, 65534);
    await expect(open()).rejects.toThrow(/another user/);
    await chown(file, 0, 0);
    await chown(stateDir, 65534, 65534);
    await expect(open()).rejects.toThrow(/another user/);
  });

  it('are replaced, not written into: another name of the old one keeps the old content', async () => {
    const { vault } = await open();
    await vault.save(loginOf(1), signal);
    const before = await readFile(file);
    const other = path.join(folder, 'other-name');
    await link(file, other);
    await vault.save(loginOf(2), signal);
    expect(await readFile(other)).toEqual(before);
    expect((await stat(file)).nlink).toBe(1);
    expect(await storedNumber()).toBe(2);
  });

  it('that are no plain files are refused without waiting for them', async () => {
    await ensurePrivateFolder(stateDir);
    execFileSync('mkfifo', ['-m', '600', file]);
    await expect(open()).rejects.toThrow(/not a plain file/);
    await rm(file);
    await mkdir(file, { mode: 0o700 });
    await expect(open()).rejects.toMatchObject({ kind: 'config' });
  });

  it('are made under a name that nobody can plant a link at', async () => {
    await ensurePrivateFolder(stateDir);
    const victim = path.join(folder, 'victim');
    await writeFile(victim, 'mine');
    await symlink(victim, file);
    await replacePrivateFile(file, 'new');
    expect(await readFile(victim, 'utf8')).toBe('mine');
    expect(await readFile(file, 'utf8')).toBe('new');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });
});
