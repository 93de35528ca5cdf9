import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  type FileFacts,
  lookForTokenFile,
  lookForWebIdentity,
} from '../../../../src/auth/sources/named-file.ts';
import type { Finding } from '../../../../src/auth/sources/source.ts';
import { tokenIn } from '../../../../src/auth/sources/token-text.ts';
import { lookForWlcgToken } from '../../../../src/auth/sources/wlcg.ts';
import { FakeClock } from '../../../fixtures/fake-clock.ts';
import { euid, Folder, found, jwt, refusal, reveal } from './source-bench.ts';

const isRoot = euid === 0;
let folder: Folder;
let clock: FakeClock;

beforeEach(async () => {
  folder = await Folder.make();
  clock = new FakeClock(Date.now());
});
afterEach(async () => await folder[Symbol.asyncDispose]());

const facts = (environment: FileFacts['environment'] = {}): FileFacts => ({
  environment,
  euid,
  clock,
});

describe('a token in a text', () => {
  it('is found between the spaces of C, and nothing else counts as space', () => {
    expect(tokenIn(' \t\n\v\f\rabc.def\r\n', 'X')?.reveal()).toBe('abc.def');
    expect(() => tokenIn('\u00a0abc', 'X')).toThrow('no token');
    expect(() => tokenIn('\ufeffabc', 'X')).toThrow('no token');
  });

  it('is not there in an empty or blank text', () => {
    expect(tokenIn('', 'X')).toBeUndefined();
    expect(tokenIn(' \n\t', 'X')).toBeUndefined();
  });

  it('is refused when it is several lines, quoted, a header or a page, without being shown', () => {
    for (const text of ['abcdef\nghijkl', '"abcdef"', 'Bearer abcdef', '<html>', 'abc=d', 'é']) {
      expect(() => tokenIn(text, 'X')).toThrow(
        'cannot use the token in X: that is no token: it holds characters that tokens do not have',
      );
    }
  });

  it('survives whatever spaces are put around it', () => {
    const spaces = fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\v', '\f', '\r') });
    const tokens = fc.stringMatching(/^[A-Za-z0-9._~+/-]+={0,2}$/);
    fc.assert(
      fc.property(spaces, tokens, spaces, (before, token, after) => {
        expect(tokenIn(`${before}${token}${after}`, 'X')?.reveal()).toBe(token);
      }),
    );
  });
});

describe('a named token file', () => {
  const look = async (path: string): Promise<Finding> => await lookForTokenFile(path, facts());

  it('gives its token, whose issuer and end it tells', async () => {
    const file = folder.at('token');
    const token = jwt();
    await writeFile(file, `${token}\n`, { mode: 0o600 });
    const source = found(await look(file));
    expect(source).toMatchObject({
      place: `the file ${file}`,
      issuer: 'https://iam.example/',
      fixed: true,
      notes: [],
    });
    expect(await reveal(source)).toBe(token);
  });

  it('is read again when it changes, in place or by a rename', async () => {
    const file = folder.at('token');
    const [first, second, third] = [jwt({ n: 1 }), jwt({ n: 2 }), jwt({ n: 3 })];
    await writeFile(file, first);
    const source = found(await look(file));
    expect(await reveal(source)).toBe(first);
    await writeFile(file, second);
    expect(await reveal(source)).toBe(second);
    await writeFile(folder.at('beside'), third);
    await rename(folder.at('beside'), file);
    expect(await reveal(source)).toBe(third);
  });

  it('may be a link, as Kubernetes projects tokens', async () => {
    const token = jwt();
    await mkdir(folder.at('data'));
    await writeFile(folder.at('data/token'), token, { mode: 0o600 });
    await symlink(folder.at('data'), folder.at('..data'));
    await symlink('..data/token', folder.at('token'));
    expect(await reveal(found(await look(folder.at('token'))))).toBe(token);
  });

  it('that others may read is used, and said', async () => {
    const file = folder.at('token');
    await writeFile(file, jwt());
    await chmod(file, 0o644);
    expect(found(await look(file)).notes).toEqual([
      `others on this machine may use ${file}: chmod 600 it`,
    ]);
  });

  it('that is missing, empty, a folder or a pipe is an error that says so', async () => {
    const missing = await refusal(look(folder.at('none')));
    expect(missing).toMatchObject({ kind: 'config' });
    expect(missing.toLine()).toContain('there is no such file');
    await writeFile(folder.at('empty'), ' \n');
    expect((await refusal(look(folder.at('empty')))).toLine()).toContain('it is empty');
    expect((await refusal(look(folder.path))).toLine()).toContain('not a plain file');
    await promisify(execFile)('mkfifo', [folder.at('pipe')]);
    expect((await refusal(look(folder.at('pipe')))).toLine()).toContain('not a plain file');
  });

  it('that holds no token is an error that does not show what it holds', async () => {
    await writeFile(folder.at('page'), 'password: hunter2hunter2');
    const error = await refusal(look(folder.at('page')), 'hunter2');
    expect(error.kind).toBe('config');
  });

  it('with an expired token says since when, and heals with a fresh one', async () => {
    const file = folder.at('token');
    const expired = jwt({ exp: Math.floor(clock.now() / 1000) - 300 });
    await writeFile(file, expired);
    const source = found(await look(file));
    const error = await refusal(reveal(source), expired);
    expect(error.kind).toBe('login-expired');
    expect(error.toLine()).toMatch(
      /it expired [56] min ago by the clock of this machine; have a fresh/,
    );
    const fresh = jwt();
    await writeFile(file, fresh);
    expect(await reveal(source)).toBe(fresh);
  });

  it('that is taken away later ends the login, until it is back', async () => {
    const file = folder.at('token');
    await writeFile(file, jwt());
    const source = found(await look(file));
    await unlink(file);
    expect(await refusal(reveal(source))).toMatchObject({ kind: 'login-expired' });
    await writeFile(file, jwt());
    expect(await reveal(source)).not.toBe('');
  });

  it('with an opaque token gives it without an end and without an issuer', async () => {
    const file = folder.at('token');
    await writeFile(file, 'opaque-token-123', { mode: 0o600 });
    const source = found(await look(file));
    expect(source.issuer).toBeUndefined();
    const { expiresAtMs } = await source.tokens.accessToken(0, new AbortController().signal);
    expect(expiresAtMs).toBeUndefined();
  });

  it('is not there when nobody named one', async () => {
    expect(await lookForTokenFile(undefined, facts())).toMatchObject({ there: false });
  });
});

describe('the web identity of AWS', () => {
  it('gives the token with its role and session name', async () => {
    const file = folder.at('token');
    const token = jwt();
    await writeFile(file, token);
    const source = found(
      await lookForWebIdentity(
        facts({
          AWS_WEB_IDENTITY_TOKEN_FILE: file,
          AWS_ROLE_ARN: 'arn:aws:iam::1:role/r',
          AWS_ROLE_SESSION_NAME: 'pod',
        }),
      ),
    );
    expect(source).toMatchObject({ role: 'arn:aws:iam::1:role/r', sessionName: 'pod' });
    expect(await reveal(source)).toBe(token);
  });

  it('is not there without its variable, and an error when its file is not there', async () => {
    expect(await lookForWebIdentity(facts({ AWS_WEB_IDENTITY_TOKEN_FILE: '' }))).toMatchObject({
      there: false,
    });
    const environment = { AWS_WEB_IDENTITY_TOKEN_FILE: folder.at('none') };
    const error = await refusal(lookForWebIdentity(facts(environment)));
    expect(error.toLine()).toContain('AWS_WEB_IDENTITY_TOKEN_FILE');
  });
});

describe('WLCG bearer token discovery', () => {
  const name = `bt_u${euid}`;
  let run = '';
  let shared = '';

  beforeEach(async () => {
    run = folder.at('run');
    shared = folder.at('tmp');
    await mkdir(run, { mode: 0o700 });
    await mkdir(shared);
    await chmod(shared, 0o1777);
  });

  const look = async (environment: FileFacts['environment'] = {}): Promise<Finding> =>
    await lookForWlcgToken({ ...facts(environment), sharedFolder: shared });

  it('takes BEARER_TOKEN, then BEARER_TOKEN_FILE, then XDG_RUNTIME_DIR, then /tmp', async () => {
    const [variable, named, own, common] = ['v', 'n', 'o', 'c'].map((n) => jwt({ n }));
    await writeFile(folder.at('named'), named ?? '', { mode: 0o600 });
    await writeFile(`${run}/${name}`, own ?? '', { mode: 0o600 });
    await writeFile(`${shared}/${name}`, common ?? '', { mode: 0o600 });
    const all = {
      BEARER_TOKEN: variable,
      BEARER_TOKEN_FILE: folder.at('named'),
      XDG_RUNTIME_DIR: run,
    };
    expect(await reveal(found(await look(all)))).toBe(variable);
    expect(await reveal(found(await look({ ...all, BEARER_TOKEN: '' })))).toBe(named);
    expect(await reveal(found(await look({ XDG_RUNTIME_DIR: run })))).toBe(own);
    expect(await reveal(found(await look({})))).toBe(common);
  });

  it('passes over what is empty or blank', async () => {
    await writeFile(folder.at('named'), ' \n', { mode: 0o600 });
    await writeFile(`${run}/${name}`, '', { mode: 0o600 });
    const token = jwt();
    await writeFile(`${shared}/${name}`, token, { mode: 0o600 });
    const blank = {
      BEARER_TOKEN: ' \t',
      BEARER_TOKEN_FILE: folder.at('named'),
      XDG_RUNTIME_DIR: run,
    };
    expect(await reveal(found(await look(blank)))).toBe(token);
  });

  it('says where it looked when there is nothing', async () => {
    const finding = await look({ XDG_RUNTIME_DIR: run });
    expect(finding).toEqual({
      there: false,
      why: `no token in BEARER_TOKEN, BEARER_TOKEN_FILE, ${run}/${name}, ${shared}/${name}`,
    });
  });

  it('is an error where a place holds no token, and does not show it', async () => {
    expect((await refusal(look({ BEARER_TOKEN: 'not a token' }), 'not a token')).kind).toBe(
      'config',
    );
    await writeFile(`${run}/${name}`, 'two words', { mode: 0o600 });
    expect((await refusal(look({ XDG_RUNTIME_DIR: run }), 'two words')).kind).toBe('config');
  });

  it('is an error where BEARER_TOKEN_FILE names nothing: the next place may be somebody else', async () => {
    await writeFile(`${shared}/${name}`, jwt(), { mode: 0o600 });
    const error = await refusal(look({ BEARER_TOKEN_FILE: folder.at('none') }));
    expect(error.toLine()).toContain('BEARER_TOKEN_FILE names it, but there is no such file');
  });

  it('follows no link in /tmp', async () => {
    await writeFile(folder.at('elsewhere'), jwt(), { mode: 0o600 });
    await symlink(folder.at('elsewhere'), `${shared}/${name}`);
    expect((await refusal(look())).toLine()).toContain('it is a symbolic link');
  });

  it('takes nothing in /tmp that others may read or write', async () => {
    await writeFile(`${shared}/${name}`, jwt(), { mode: 0o600 });
    for (const mode of [0o640, 0o604, 0o620, 0o602]) {
      await chmod(`${shared}/${name}`, mode);
      const error = await refusal(look());
      expect(error.toLine()).toContain(`others may use it (mode ${mode.toString(8)})`);
    }
  });

  it.skipIf(!isRoot)(
    'takes nothing in /tmp or XDG_RUNTIME_DIR that another user owns',
    async () => {
      for (const [place, environment] of [
        [shared, {}],
        [run, { XDG_RUNTIME_DIR: run }],
      ] as const) {
        const file = `${place}/${name}`;
        await writeFile(file, jwt(), { mode: 0o600 });
        await chown(file, 65_534, 65_534);
        expect((await refusal(look(environment))).toLine()).toContain('it belongs to uid 65534');
        await rm(file);
      }
    },
  );

  it('searches anew at each need', async () => {
    const [own, common] = [jwt({ n: 'own' }), jwt({ n: 'common' })];
    await writeFile(`${shared}/${name}`, common, { mode: 0o600 });
    const source = found(await look({ XDG_RUNTIME_DIR: run }));
    expect(await reveal(source)).toBe(common);
    await writeFile(`${run}/${name}`, own, { mode: 0o600 });
    expect(await reveal(source)).toBe(own);
  });
});
