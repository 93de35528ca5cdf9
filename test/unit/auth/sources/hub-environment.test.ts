import { chmod, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type HubFacts, lookForHub } from '../../../../src/auth/sources/hub-environment.ts';
import type { Finding, Wanted } from '../../../../src/auth/sources/source.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import { FakeIssuer, type Seen } from '../../../fixtures/fake-issuer.ts';
import { Folder, found, jwt, never, refusal, reveal } from './source-bench.ts';

let folder: Folder;
let issuer: FakeIssuer;
/** As a provider that rotates sees it: the one refresh token that is good. */
let live = '';
let reuses = 0;

beforeEach(async () => {
  folder = await Folder.make();
  issuer = await FakeIssuer.start();
  live = issuer.secret('refresh-of-the-hub');
  reuses = 0;
  issuer.always('refresh', (seen: Seen) => {
    if (seen.form.get('refresh_token') !== live) {
      reuses += 1;
      return { status: 401, json: { error: 'invalid_token', error_description: seen.body } };
    }
    live = issuer.secret('refresh');
    const scope = seen.form.get('scope') ?? 'openid offline_access wlcg';
    return issuer.tokens({ refresh_token: live, scope });
  });
});
afterEach(async () => {
  await issuer[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const environment = (over: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  IAM_SERVER: `${issuer.url}/`,
  IAM_CLIENT_ID: 'hub-client',
  IAM_CLIENT_SECRET: 'secret-of-the-hub-client',
  ACCESS_TOKEN: jwt({ iss: issuer.url }),
  REFRESH_TOKEN: live,
  ...over,
});

const without = (...names: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(environment()).filter(([name]) => !names.includes(name)));

const facts = (over: Partial<HubFacts> = {}): HubFacts => ({
  environment: environment(),
  stateDir: folder.at('state'),
  clock: systemClock,
  log: silentLog,
  http: {},
  ...over,
});

const look = async (over: Partial<HubFacts> = {}, wanted: Wanted = {}): Promise<Finding> =>
  await lookForHub(facts(over), wanted, never);

describe("the hub's environment as a source", () => {
  it('refreshes before anything else: ACCESS_TOKEN may have died before the start', async () => {
    const given = environment();
    const source = found(await look({ environment: given }, { audience: 'object' }));
    expect(source).toMatchObject({ issuer: issuer.url, fixed: false, notes: [] });
    expect(await reveal(source)).not.toBe(given['ACCESS_TOKEN']);
    const [refresh] = issuer.of('refresh');
    expect(refresh?.form.get('audience')).toBe('object');
    expect(refresh?.form.has('scope')).toBe(false);
    const sent = refresh?.headers.authorization?.replace('Basic ', '') ?? '';
    // Each part is form-encoded first (RFC 6749 section 2.3.1).
    const basic = decodeURIComponent(Buffer.from(sent, 'base64').toString('utf8'));
    expect(basic).toBe('hub-client:secret-of-the-hub-client');
  });

  it('lets later processes go on with the rotated token, and take the live access token', async () => {
    const given = environment();
    const first = await reveal(found(await look({ environment: given })));
    const second = await reveal(found(await look({ environment: given })));
    expect(second).toBe(first);
    const third = await reveal(found(await look({ environment: given }, { audience: 'other' })));
    expect(third).not.toBe(first);
    expect(reuses).toBe(0);
    expect(issuer.of('refresh').length).toBe(2);
    // What was granted is known by now, and asked for again.
    expect(issuer.of('refresh')[1]?.form.get('scope')).toBe('openid offline_access wlcg');
  });

  it('is shared by eight processes that rotate at once, without one reuse', async () => {
    const given = environment();
    const process = async (_: unknown, n: number): Promise<void> => {
      for (const round of [1, 2, 3]) {
        const audience = `audience-${n}-${round}`; // another audience each: nothing to share
        await reveal(found(await look({ environment: given }, { audience })));
      }
    };
    await Promise.all(Array.from({ length: 8 }, process));
    expect(issuer.of('refresh').length).toBe(24);
    expect(reuses).toBe(0);
  });

  it('a narrower token is never given to who asked for all', async () => {
    const given = environment();
    const narrow = found(await look({ environment: given }, { scopes: ['openid'] }));
    const narrowed = await reveal(narrow);
    const whole = await reveal(found(await look({ environment: given })));
    expect(whole).not.toBe(narrowed);
    const scopes = issuer.of('refresh').map((seen) => seen.form.get('scope'));
    expect(scopes).toEqual(['openid', null]);
  });

  it('keeps nothing readable on disk, under a key that only the environment gives', async () => {
    const given = environment();
    await reveal(found(await look({ environment: given })));
    const names = await readdir(folder.at('state'), { recursive: true });
    const files = names.filter((name) => name.endsWith('.sealed'));
    expect(files.length).toBe(1);
    const content = await readFile(folder.at(`state/${files[0] ?? ''}`), 'utf8');
    for (const secret of [...issuer.secrets, 'secret-of-the-hub-client']) {
      expect(content + names.join()).not.toContain(secret);
    }
    // Another session has another file, whatever is there.
    live = issuer.secret('refresh-of-another-session');
    await reveal(found(await look()));
    const later = await readdir(folder.at('state/hub'));
    expect(later.filter((name) => name.endsWith('.sealed')).length).toBe(2);
    expect(reuses).toBe(0);
  });

  it('removes what sessions of months ago have left', async () => {
    await mkdir(folder.at('state/hub'), { recursive: true, mode: 0o700 });
    await chmod(folder.at('state'), 0o700);
    for (const [name, days] of [
      ['old', 61],
      ['recent', 59],
    ] as const) {
      const file = folder.at(`state/hub/${name}.sealed`);
      await writeFile(file, '', { mode: 0o600 });
      const then = Date.now() / 1000 - days * 86_400;
      await utimes(file, then, then);
    }
    await look();
    const left = await readdir(folder.at('state/hub'));
    expect(left).toContain('recent.sealed');
    expect(left).not.toContain('old.sealed');
  });

  it('works without a place to write to, for one process, and says so', async () => {
    await writeFile(folder.at('file'), '');
    const source = found(await look({ stateDir: folder.at('file/state') }));
    expect(source.notes.join()).toContain('ends with this process');
    await reveal(source);
    expect((await source.grant?.(never))?.scopes).toEqual(['openid', 'offline_access', 'wlcg']);
  });

  it('a state folder that others may use is an error', async () => {
    await mkdir(folder.at('state'));
    await chmod(folder.at('state'), 0o777);
    expect((await refusal(look(), live)).kind).toBe('config');
  });

  it('a dead refresh token sends the person back to the hub, and shows nothing', async () => {
    const spent = environment({ REFRESH_TOKEN: 'spent-refresh-token' });
    const error = await refusal(
      reveal(found(await look({ environment: spent }))),
      'spent-refresh-token',
      'secret-of-the-hub-client',
      ...issuer.secrets,
    );
    expect(error.kind).toBe('login-expired');
    expect(error.toLine()).toContain('start your server anew from the hub, or log in again with');
  });

  it('a public client needs no secret, and --issuer will do for IAM_SERVER', async () => {
    const given = without('IAM_SERVER', 'IAM_CLIENT_SECRET');
    const source = found(await look({ environment: given }, { issuer: issuer.url }));
    await reveal(source);
    expect(issuer.of('refresh')[0]?.form.get('client_id')).toBe('hub-client');
  });

  it('says what the hub left out', async () => {
    const noClient = await refusal(look({ environment: without('IAM_CLIENT_ID') }));
    expect(noClient.toLine()).toContain('IAM_CLIENT_ID is not set');
    const noServer = await refusal(look({ environment: without('IAM_SERVER') }));
    expect(noServer.toLine()).toContain('IAM_SERVER is not set; set it, or say --issuer URL');
  });

  it('sends a refresh token to no server in clear', async () => {
    const clear = environment({ IAM_SERVER: 'http://iam.example.org' });
    expect((await refusal(look({ environment: clear }), live)).kind).toBe('config');
  });

  it('with ACCESS_TOKEN alone uses it as it is', async () => {
    const given = without('REFRESH_TOKEN');
    const source = found(await look({ environment: given }));
    expect(source).toMatchObject({ place: 'ACCESS_TOKEN', fixed: true });
    expect(await reveal(source)).toBe(given['ACCESS_TOKEN']);
    expect(issuer.seen).toEqual([]);
  });

  it("tokens of such names without any of IAM's are another program's", async () => {
    const others = { ACCESS_TOKEN: jwt(), REFRESH_TOKEN: 'of-another-program' };
    expect(await look({ environment: others })).toMatchObject({ there: false });
    expect(await look({ environment: { IAM_SERVER: issuer.url } })).toMatchObject({ there: false });
  });
});
