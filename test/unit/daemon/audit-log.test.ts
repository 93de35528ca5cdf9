import {
  chmod,
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
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TokenSource } from '../../../src/auth/token-source.ts';
import { type Actor, AuditLog } from '../../../src/daemon/audit-log.ts';
import type { Change } from '../../../src/daemon/changes.ts';
import { LineFile } from '../../../src/daemon/line-file.ts';
import { withOwner } from '../../../src/daemon/token-owner.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { loadAddon } from '../../../src/lib/native-addon.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

const { signal } = new AbortController();
const change: Change = { action: 'put', bucket: 'b', key: 'k\n"', bytes: 3, outcome: 'done' };

let folder = '';
let path = '';
const warnings: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wire-audit-'));
  path = join(folder, 'audit.log');
  warnings.length = 0;
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function open(actor: () => Actor, file = path): AuditLog {
  const warn = (line: string): void => void warnings.push(line);
  return new AuditLog({ path: file, pid: 7, actor, clock: new FakeClock(0), log: silentLog, warn });
}

const alice = (): Actor => ({ issuer: 'https://iam', subject: 'alice', tokenSource: 'login' });

const linesOf = async (file: string): Promise<readonly unknown[]> => {
  const text = await readFile(file, 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
};

describe('the audit log', () => {
  it('has a line for each change: who, from which source, which object, what became of it', async () => {
    using audit = open(alice);
    audit.listener('/m')(change);
    audit.listener('/n')({ ...change, action: 'copy', from: 'j', outcome: 'exists', status: 412 });
    const who = { sub: 'alice', issuer: 'https://iam', source: 'login', pid: 7 };
    const time = '1970-01-01T00:00:00.000Z';
    const object = { bucket: 'b', key: 'k\n"', bytes: 3 };
    expect(await linesOf(path)).toEqual([
      { time, action: 'put', ...object, outcome: 'done', ...who, mount: '/m' },
      {
        time,
        action: 'copy',
        ...object,
        from: 'j',
        outcome: 'exists',
        status: 412,
        ...who,
        mount: '/n',
      },
    ]);
  });

  it('is for its owner alone, added to by the next process, and follows no link', async () => {
    await writeFile(path, '{"older":true}\n', { mode: 0o644 });
    await chmod(path, 0o644);
    {
      using audit = open(alice);
      audit.listener('/m')(change);
    }
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await linesOf(path)).toMatchObject([{ older: true }, { action: 'put' }]);
    await symlink(path, join(folder, 'link'));
    expect(() => open(alice, join(folder, 'link'))).toThrow(/ELOOP/);
  });

  it('names whoever the tokens are of by then, or nobody', async () => {
    const token = (sub: string): Secret =>
      new Secret(`h.${Buffer.from(JSON.stringify({ sub })).toString('base64url')}.signature`);
    const tokens = [token('alice'), token('bob'), new Secret('opaque-token')];
    const source: TokenSource = {
      accessToken: async () => {
        const next = tokens.shift() ?? new Secret('none-is-left');
        return await Promise.resolve({ token: next, expiresAtMs: undefined });
      },
    };
    const owned = withOwner(source);
    using audit = open(() => ({ ...alice(), subject: owned.subject }));
    for (let times = 0; times < 4; times += 1) {
      audit.listener('/m')(change);
      await owned.tokens.accessToken(0, signal);
    }
    const subjects = (await linesOf(path)).map((line) => (line as { sub: unknown }).sub);
    expect(subjects).toEqual([null, 'alice', 'bob', null]);
  });

  it('says once that a line cannot be written, counts, and lets the change be', async () => {
    // What is written to /dev/full finds no room (full(4)).
    using audit = open(alice, '/dev/full');
    for (let times = 0; times < 3; times += 1) audit.listener('/m')(change);
    expect(audit.failures).toBe(3);
    expect(warnings).toEqual([
      'changes are not in the audit log /dev/full: ENOSPC; they are made all the same',
    ]);
    await expect(readdir(folder)).resolves.toEqual([]);
  });
});

describe('a file of lines', () => {
  const limits = { maxBytes: 128 * 1024, older: 2 };
  const line = 'x'.repeat(1023);

  it('is renamed when it is full, and as many older ones are kept as it says', async () => {
    using file = new LineFile(path, limits);
    for (let at = 0; at < 600; at += 1) file.write(`${line.slice(6)}${String(at).padStart(6)}`);
    expect((await readdir(folder)).sort()).toEqual(['audit.log', 'audit.log.1', 'audit.log.2']);
    const kept = await Promise.all(
      ['audit.log.2', 'audit.log.1', 'audit.log'].map((name) =>
        readFile(join(folder, name), 'utf8'),
      ),
    );
    const numbers = kept
      .join('')
      .trimEnd()
      .split('\n')
      .map((text) => Number(text.slice(-6)));
    // Without a gap, up to the last one.
    expect(numbers).toEqual(numbers.map((_, at) => 600 - numbers.length + at));
    for (const text of kept)
      expect(text.length).toBeLessThanOrEqual(limits.maxBytes + line.length + 1);
  });

  it('loses no line of several writers while one of them renames it', async () => {
    const writers = Array.from({ length: 3 }, () => new LineFile(path, { ...limits, older: 50 }));
    for (let at = 0; at < 900; at += 1)
      writers[at % 3]?.write(`${line.slice(6)}${String(at).padStart(6)}`);
    for (const writer of writers) writer[Symbol.dispose]();
    const names = await readdir(folder);
    expect(names.length).toBeGreaterThan(3);
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    const numbers = texts
      .join('')
      .trimEnd()
      .split('\n')
      .map((text) => Number(text.slice(-6)));
    expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 900 }, (_, at) => at));
  });

  it('is renamed by one process at a time: who finds another at it goes on as it is', async () => {
    using file = new LineFile(path, limits);
    await truncate(path, limits.maxBytes + 1);
    const addon = loadAddon() as {
      lockFile(file: string): number;
      closeDescriptor(descriptor: number): void;
    };
    const lock = addon.lockFile(path);
    file.write('while another is at it');
    expect(await readdir(folder)).toEqual(['audit.log']);
    addon.closeDescriptor(lock);
    file.write('afterwards');
    expect(await readFile(path, 'utf8')).toBe('afterwards\n');
    expect(await readFile(`${path}.1`, 'utf8')).toContain('while another is at it\n');
  });

  it('goes on in a new file when somebody has taken the old one away', async () => {
    using file = new LineFile(path, limits);
    await rm(path);
    for (let at = 0; at < 100; at += 1) file.write(line);
    expect((await stat(path)).size).toBeGreaterThan(0);
  });
});
