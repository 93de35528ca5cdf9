import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rmdir,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';

import { setImmediate as turn } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { lookForMytoken, type MytokenFacts } from '../../../../src/auth/sources/mytoken.ts';
import type { Finding, Wanted } from '../../../../src/auth/sources/source.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import { FakeClock } from '../../../fixtures/fake-clock.ts';
import { FakeMytokenServer } from '../../../fixtures/fake-mytoken.ts';
import { Folder, found, jwt, refusal, reveal } from './source-bench.ts';

const { signal } = new AbortController();
let folder: Folder;
let server: FakeMytokenServer;
let first = '';

beforeEach(async () => {
  folder = await Folder.make();
  server = await FakeMytokenServer.start();
  first = server.issue();
  await writeFile(folder.at('mytoken'), `${first}\n`, { mode: 0o600 });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const facts = (over: Partial<MytokenFacts> = {}): MytokenFacts => ({
  server: server.url,
  file: folder.at('mytoken'),
  clock: systemClock,
  log: silentLog,
  http: {},
  ...over,
});

const look = async (over: Partial<MytokenFacts> = {}, wanted: Wanted = {}): Promise<Finding> =>
  await lookForMytoken(facts(over), wanted);

const stored = async (): Promise<string> => (await readFile(folder.at('mytoken'), 'utf8')).trim();

describe('a mytoken as a source', () => {
  it('is traded for an access token with audience and scopes', async () => {
    server.rotate = false;
    const source = found(await look({}, { audience: 'object', scopes: ['openid', 'a'] }));
    await reveal(source);
    expect(server.asked).toEqual([
      {
        grant_type: 'mytoken',
        mytoken: first,
        comment: 'wire',
        audience: 'object',
        scope: 'openid a',
      },
    ]);
    expect(await stored()).toBe(first);
  });

  it('takes a life that no calendar has for none: its end could not be printed', async () => {
    server.expiresIn = 1e15;
    const source = found(await look());
    expect((await source.tokens.accessToken(0, signal)).expiresAtMs).toBeUndefined();
  });

  it('is used once as long as its access token is lively: uses may be counted', async () => {
    const source = found(await look());
    const tokens = await Promise.all([reveal(source), reveal(source), reveal(source)]);
    tokens.push(await reveal(source));
    expect(new Set(tokens).size).toBe(1);
    expect(server.asked.length).toBe(1);
  });

  it('finds its server by itself where it names one', async () => {
    const source = found(await look({ server: undefined }));
    await reveal(source);
    expect(server.asked.length).toBe(1);
  });

  it('asks for the server where it names none, and for the file', async () => {
    await writeFile(folder.at('mytoken'), 'short-token-123');
    expect((await refusal(look({ server: undefined }))).toLine()).toContain('--mytoken-server URL');
    expect((await refusal(look({ file: undefined }))).toLine()).toContain('--mytoken-file FILE');
    expect(await look({ server: undefined, file: undefined })).toMatchObject({ there: false });
  });

  it('has its successor in the file, 0600 and whole, before the access token is handed out', async () => {
    const atAnswer: string[] = [];
    server.beforeAnswer = async () => void atAnswer.push(await stored());
    const source = found(await look());
    await reveal(source);
    const successor = await stored();
    expect(atAnswer).toEqual([first]);
    expect(successor).not.toBe(first);
    expect(server.isLive(successor)).toBe(true);
    expect((await stat(folder.at('mytoken'))).mode & 0o777).toBe(0o600);
    expect(await readdir(folder.path)).toEqual(['mytoken']);
  });

  it('rotates for eight users of one file without ever being used twice', async () => {
    const user = async (): Promise<void> => {
      // A new source each time: nothing is remembered but what is in the file.
      for (let round = 0; round < 5; round += 1) await reveal(found(await look()));
    };
    await Promise.all(Array.from({ length: 8 }, user));
    expect(server.asked.length).toBe(40);
    expect(server.reuses).toBe(0);
    expect(server.isLive(await stored())).toBe(true);
  });

  it('keeps a successor that it could not write, and writes it before anything else', async () => {
    const source = found(await look());
    // Nothing can be renamed over a folder.
    server.beforeAnswer = async () => {
      await unlink(folder.at('mytoken'));
      await mkdir(folder.at('mytoken'));
    };
    const error = await refusal(reveal(source), first);
    expect(error.kind).toBe('unavailable');
    expect(error.toLine()).toContain('cannot be written to (EISDIR)');
    server.beforeAnswer = async () => await Promise.resolve();
    await rmdir(folder.at('mytoken'));
    expect(await reveal(source)).not.toBe('');
    expect(server.reuses).toBe(0);
    expect(server.isLive(await stored())).toBe(true);
  });

  it('whose successor is on its way is not left behind by who gives up', async () => {
    const source = found(await look());
    const giveUp = new AbortController();
    server.beforeAnswer = async () => {
      giveUp.abort(new Error('Ctrl-C'));
      await turn(); // the answer leaves when the caller has been told
    };
    await expect(source.tokens.accessToken(0, giveUp.signal)).rejects.toThrow('Ctrl-C');
    expect(await stored()).not.toBe(first);
    expect(server.isLive(await stored())).toBe(true);
  });

  it('removes what a process left that was killed while it wrote', async () => {
    await writeFile(folder.at('mytoken.0123456789abcdef.tmp'), server.issue(), { mode: 0o600 });
    await reveal(found(await look()));
    expect(await readdir(folder.path)).toEqual(['mytoken']);
  });

  it('that was changed by hand counts from then on', async () => {
    server.rotate = false;
    const clock = new FakeClock(Date.now());
    const source = found(await look({ clock }));
    await reveal(source);
    const other = server.issue();
    await writeFile(folder.at('mytoken'), other);
    await clock.advance(299_000);
    await reveal(source);
    expect(server.asked.map(({ mytoken }) => mytoken)).toEqual([first, other]);
  });

  it('that is dead says so, and where to get another, without being shown', async () => {
    const dead = jwt({ iss: server.url, jti: 'dead' });
    await writeFile(folder.at('mytoken'), dead);
    const error = await refusal(reveal(found(await look())), dead);
    expect(error.kind).toBe('login-expired');
    expect(error.toLine()).toContain('get a new mytoken there');
    expect(await stored()).toBe(dead);
  });

  it('whose restrictions forbid this is refused, not called dead', async () => {
    server.refusals.push({ status: 403, body: '{"error":"usage_restricted"}' });
    const error = await refusal(reveal(found(await look())), first);
    expect(error.kind).toBe('identity-refused');
    expect(error.toLine()).toContain('usage_restricted');
  });

  it('outlasts a server that is down', async () => {
    server.refusals.push({ status: 503, body: '<html><title>Down</title></html>' });
    const source = found(await look());
    expect((await refusal(reveal(source), first)).kind).toBe('unavailable');
    expect(await reveal(source)).not.toBe('');
  });

  it('in a file that others may read, or behind a link, is refused', async () => {
    await chmod(folder.at('mytoken'), 0o640);
    expect((await refusal(look(), first)).toLine()).toContain('others may use it');
    await chmod(folder.at('mytoken'), 0o600);
    await symlink(folder.at('mytoken'), folder.at('link'));
    const error = await refusal(look({ file: folder.at('link') }), first);
    expect(error.toLine()).toContain('symbolic link');
  });

  it('is sent to no host but its server, unless that is allowed', async () => {
    server.endpoint = 'https://elsewhere.example/token';
    const error = await refusal(reveal(found(await look())), first);
    expect(error.kind).toBe('config');
    expect(error.toLine()).toContain('on another host, elsewhere.example');
    server.endpoint = 'http://169.254.169.254/token';
    expect((await refusal(reveal(found(await look())), first)).kind).toBe('config');
    server.endpoint = `http://localhost:${new URL(server.url).port}/api/v0/token/access`;
    const allowed = { http: { endpointHosts: [new URL(server.endpoint).host] } };
    expect(await reveal(found(await look(allowed)))).not.toBe('');
    expect(server.asked.length).toBe(1);
  });

  it('is told plainly when the server is none', async () => {
    server.endpoint = undefined;
    const error = await refusal(reveal(found(await look())), first);
    expect(error.kind).toBe('config');
    expect(error.toLine()).toContain('check the address of the mytoken server');
  });
});
