import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NotedIntent } from '../../../../src/fs/journal/intents.ts';
import { Journal } from '../../../../src/fs/journal/journal.ts';
import { type LoadedJournal, loadJournal } from '../../../../src/fs/journal/loaded-journal.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import { compileTo } from '../../../fixtures/compiled.ts';
import { FakeClock } from '../../../fixtures/fake-clock.ts';
import { contentOf, KEPT_EACH, ownLife, saveIntent } from '../../../fixtures/journal-intents.ts';

const MiB = 1024 * 1024;
const PROGRAM = 'test/fixtures/journal-process.ts';
/** Of kills, in each mode. */
const ROUNDS = 8;

let folder = '';
let clock = new FakeClock();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wire-journal-test-'));
  clock = new FakeClock();
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

function open(durable = false): Journal {
  return new Journal({ folder, life: ownLife, durable, clock, log: silentLog });
}

async function load(boot = 'first'): Promise<LoadedJournal> {
  const loaded = await loadJournal({ folder, boot, durable: false, clock, log: silentLog });
  if (loaded === undefined) throw new Error('no journal');
  return loaded;
}

/** What the next mount finds: key, content, doubt. The process of `journal` has ended, as it were. */
async function left(boot?: string): Promise<readonly (readonly [string, string, unknown])[]> {
  const loaded = await load(boot);
  const found = [];
  for (const { noted, doubt } of loaded.intents) {
    const content = Buffer.from(await noted.content()).toString();
    found.push([keyOf(noted), content, doubt] as const);
  }
  return found;
}

function keyOf({ intent }: NotedIntent): string {
  return intent.kind === 'move' ? intent.from : intent.key;
}

async function files(): Promise<readonly string[]> {
  return (await readdir(folder)).sort();
}

describe('the journal', () => {
  it('finds what was noted and not forgotten', async () => {
    for (const durable of [false, true]) {
      await rm(folder, { recursive: true, force: true });
      const journal = open(durable);
      await journal.note(saveIntent('a'), [Buffer.from('on'), Buffer.from('e')]);
      const gone = await journal.note(saveIntent('b'), [Buffer.from('two')]);
      await journal.note({ kind: 'delete', bucket: 'b', key: 'c', etag: '"e"' });
      await gone.forget();
      await gone.forget();
      expect(await left()).toEqual([
        ['a', 'one', undefined],
        ['c', '', undefined],
      ]);
      await journal[Symbol.asyncDispose]();
    }
  });

  it('finds the last change, with its own content or that of before', async () => {
    const journal = open();
    const moved = await journal.note(saveIntent('a'), [Buffer.from('content')]);
    await moved.change(saveIntent('b'));
    const rewritten = await journal.note(saveIntent('c'), [Buffer.from('old')]);
    await rewritten.change(saveIntent('c', { bytes: 3 }), [Buffer.from('new')]);
    expect(Buffer.from(await moved.content()).toString()).toBe('content');
    expect(await left()).toEqual([
      ['b', 'content', undefined],
      ['c', 'new', undefined],
    ]);
    await journal[Symbol.asyncDispose]();
  });

  it('leaves no file when nothing is promised any more', async () => {
    const journal = open();
    const noted = await journal.note(saveIntent('a'), contentOf(1));
    expect(await files()).toHaveLength(1);
    await noted.forget();
    await journal[Symbol.asyncDispose]();
    expect(await files()).toEqual([]);
  });

  it('goes on where the life before has ended', async () => {
    const first = open();
    await first.note(saveIntent('a'), [Buffer.from('1')]);
    await first.note(saveIntent('b'), [Buffer.from('2')]);
    await first[Symbol.asyncDispose]();
    const second = await load();
    expect(second.life).toMatchObject(ownLife);
    await second.intents[0]?.noted.forget();
    await second.intents[1]?.noted.change(saveIntent('c'));
    await second.journal[Symbol.asyncDispose]();
    const third = await load();
    expect(third.intents.map(({ noted }) => keyOf(noted))).toEqual(['c']);
    expect(Buffer.from((await third.intents[0]?.noted.content()) ?? []).toString()).toBe('2');
    await third.intents[0]?.noted.forget();
    await third.journal[Symbol.asyncDispose]();
    expect(await files()).toEqual([]);
  });

  it('finds a change of what has no bytes of its own after the file of its note is gone', async () => {
    const content = { file: 'staged' };
    const first = open();
    await first.note(saveIntent('a', { content }));
    await first[Symbol.asyncDispose]();
    const second = await load();
    await second.intents[0]?.noted.change(saveIntent('b', { content }));
    await second.journal[Symbol.asyncDispose]();
    expect(await left()).toEqual([['b', '', undefined]]);
  });

  it('takes no more room than twice what it holds, and some files', async () => {
    const journal = open(true);
    const piece = Buffer.alloc(MiB, 7);
    const kept: NotedIntent[] = [];
    for (let at = 0; at < 400; at += 1) {
      const noted = await journal.note(saveIntent(`key-${at}`), [piece.subarray(0, MiB - at)]);
      if (at % 40 === 0) kept.push(noted);
      else await noted.forget();
    }
    expect((await files()).length).toBeLessThanOrEqual(8);
    const loaded = await load();
    expect(loaded.intents.map(({ noted }) => keyOf(noted)).sort()).toEqual(kept.map(keyOf).sort());
    for (const { noted } of loaded.intents) {
      const at = Number(keyOf(noted).slice(4));
      expect(Buffer.compare(await noted.content(), piece.subarray(0, MiB - at))).toBe(0);
    }
    await journal[Symbol.asyncDispose]();
  });

  it('shares one sync of the disk among those who wait', async () => {
    const journal = open(true);
    const notes = Array.from({ length: 100 }, async (_, at) => {
      await journal.note(saveIntent(`key-${at}`), contentOf(at));
    });
    await Promise.all(notes);
    expect(await left()).toHaveLength(100);
    await journal[Symbol.asyncDispose]();
  });
});

describe('a journal that was cut or damaged', () => {
  async function threeNotes(): Promise<string> {
    const journal = open();
    for (const key of ['a', 'b', 'c']) await journal.note(saveIntent(key), [Buffer.from(key)]);
    await journal[Symbol.asyncDispose]();
    const [name = ''] = await files();
    return join(folder, name);
  }

  it('is good up to where it was cut, wherever that is', async () => {
    const path = await threeNotes();
    const whole = await readFile(path);
    const seen = new Set<number>();
    for (let bytes = whole.length; bytes > 32; bytes -= 7) {
      await truncate(path, bytes);
      const loaded = await loadJournal({
        ...{ folder, boot: 'first', durable: false, clock, log: silentLog },
      });
      const keys = loaded?.intents.map(({ noted }) => keyOf(noted)) ?? [];
      expect(['a', 'b', 'c'].slice(0, keys.length)).toEqual(keys);
      expect(loaded?.intents.every(({ doubt }) => doubt === undefined) ?? true).toBe(true);
      expect(loaded?.damaged ?? []).toEqual([]);
      seen.add(keys.length);
    }
    expect(seen).toEqual(new Set([3, 2, 1, 0]));
  });

  it('makes earlier notes doubtful, keeps later ones, and stays on the disk', async () => {
    const path = await threeNotes();
    const whole = await readFile(path);
    // In the middle of the record of b.
    const at = whole.indexOf('"key":"b"');
    whole[at] = 0;
    await writeFile(path, whole);
    expect(await left()).toEqual([
      ['a', 'a', 'damaged'],
      ['c', 'c', undefined],
    ]);
    const loaded = await load();
    expect(loaded.damaged).toEqual([path]);
    for (const { noted } of loaded.intents) await noted.forget();
    await loaded.journal[Symbol.asyncDispose]();
    expect((await readFile(path)).equals(whole)).toBe(true);
  });

  it('leaves files of another kind as they are', async () => {
    const path = join(folder, 'journal-00000001.log');
    await writeFile(path, 'wire journal 2\n\0 of a later version');
    const options = { folder, boot: '', durable: false, clock, log: silentLog };
    expect(await loadJournal(options)).toBeUndefined();
    expect(await readFile(path, 'utf8')).toContain('later version');
  });

  it('takes nothing for a record that content was made to look like', async () => {
    const path = await threeNotes();
    const whole = await readFile(path);
    const journal = open();
    // All of another journal, as the content of a file.
    await rm(path);
    await journal.note(saveIntent('outer'), [whole]);
    await journal[Symbol.asyncDispose]();
    const [name = ''] = await files();
    await appendFile(join(folder, name), whole);
    expect((await left()).map(([key]) => key)).toEqual(['outer']);
  });
});

describe('content in a file of the folder', () => {
  const inFile = saveIntent('a', { content: { file: 'staged-1' } });

  it('is in doubt after the machine went down, until it has reached the disk', async () => {
    await writeFile(join(folder, 'staged-1'), 'abcd');
    const journal = open();
    await journal.note(inFile);
    expect((await left('first')).map(([, , doubt]) => doubt)).toEqual([undefined]);
    expect((await left('second')).map(([, , doubt]) => doubt)).toEqual(['unsettled']);
    await clock.advance(500);
    await journal[Symbol.asyncDispose]();
    expect((await left('second')).map(([, , doubt]) => doubt)).toEqual([undefined]);
  });

  it('is on the disk when a durable note is promised', async () => {
    await writeFile(join(folder, 'staged-1'), 'abcd');
    const journal = open(true);
    await journal.note(inFile);
    expect((await left('second')).map(([, , doubt]) => doubt)).toEqual([undefined]);
    await journal[Symbol.asyncDispose]();
    await rm(join(folder, 'staged-1'));
  });

  it('is not brought back by a change that was under way when it was forgotten', async () => {
    await writeFile(join(folder, 'staged-1'), 'abcd');
    const journal = open(true);
    const noted = await journal.note(inFile);
    const changed = noted.change({ ...inFile, bytes: 3 });
    await noted.forget();
    await changed;
    expect(await left()).toEqual([]);
    await journal[Symbol.asyncDispose]();
    expect(await files()).toEqual(['staged-1']);
  });

  it('is not promised when it is not there', async () => {
    const journal = open(true);
    await expect(journal.note(inFile)).rejects.toMatchObject({ code: 'ENOENT' });
    await journal[Symbol.asyncDispose]();
    expect(await files()).toEqual([]);
  });
});

describe('kill -9 of a process that notes intents', () => {
  let code = '';
  beforeEach(async () => {
    code = await mkdtemp(join(tmpdir(), 'wire-journal-code-'));
    const own = ['src/fs/journal', 'src/fs/background.ts', 'src/lib'];
    await compileTo(code, [...own, PROGRAM, 'test/fixtures/journal-intents.ts']);
  });
  afterEach(async () => await rm(code, { recursive: true, force: true }));

  it('loses no note that was promised, and brings back none that was forgotten', async () => {
    for (const mode of ['on', 'durable']) {
      for (let round = 0; round < ROUNDS; round += 1) {
        await rm(folder, { recursive: true, force: true });
        // Another moment in each round.
        await compare(await killedAfter(mode, 200 + round * 3777));
      }
    }
  }, 60_000);

  /** What the process had told when it was killed, at `bytes` or a little later. */
  async function killedAfter(mode: string, bytes: number): Promise<string> {
    const script = join(code, PROGRAM.replace(/ts$/, 'js'));
    const child = spawn(process.execPath, [script, folder, mode], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'close');
    let told = '';
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      told += text;
      if (told.length > bytes) child.kill('SIGKILL');
    });
    await ended;
    return told;
  }

  async function compare(told: string): Promise<void> {
    const lines = told.split('\n').slice(0, -1).map(Number);
    const forgotten = new Set(lines.filter((at) => at < 0).map((at) => -at));
    const promised = lines.filter((at) => at > 0);
    expect(promised.length).toBeGreaterThan(10);
    const found = new Map<number, Uint8Array>();
    const { intents, damaged, journal } = await load();
    for (const { noted } of intents)
      found.set(Number(keyOf(noted).slice(4)), await noted.content());
    await journal[Symbol.asyncDispose]();
    expect(damaged).toEqual([]);
    expect(promised.filter((at) => at % KEPT_EACH === 0 && !found.has(at))).toEqual([]);
    expect([...forgotten].filter((at) => found.has(at))).toEqual([]);
    for (const [at, content] of found) {
      expect(Buffer.compare(content, Buffer.concat(contentOf(at)))).toBe(0);
    }
  }
});
