import { readFile, stat } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { HostRefusal } from '../../../../src/daemon/ui/page-host.ts';
import { WireError } from '../../../../src/lib/wire-error.ts';
import { exists } from '../../../fixtures/real-mount.ts';
import { statusWith } from './fake-host.ts';
import { PageBench } from './page-bench.ts';

/** A promise that a test settles. */
function held<T>(): { readonly promise: Promise<T>; readonly settle: (value: T) => void } {
  let settle: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

describe('a page', () => {
  it('lies behind a private file, which is gone once a browser came', async () => {
    await using page = await PageBench.start();
    const { file, url } = page.served;
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, 'utf8')).toContain(`content="0;url=${url}"`);
    await page.enter();
    expect(await exists(file)).toBe(false);
  });

  it('takes that file away when nobody came', async () => {
    const page = await PageBench.start();
    const { file } = page.served;
    page.stop();
    expect(await page.ended).toBe('stopped');
    expect(await exists(file)).toBe(false);
    await page[Symbol.asyncDispose]();
  });

  it('ends when nobody has looked for a while, and not while somebody does', async () => {
    await using page = await PageBench.open();
    const hangUp = await page.watch();
    await page.clock.sleeper();
    await page.clock.advance(120_000);
    hangUp();
    // The server hears of it.
    await expect.poll(async () => (await page.ask({ path: '/profiles' })).status).toBe(200);
    await page.clock.advance(50_000);
    expect(await page.ask({ path: '/profiles' })).toMatchObject({ status: 200 });
    await page.clock.advance(50_000);
    expect(await page.ask({ path: '/profiles' })).toMatchObject({ status: 200 });
    await page.clock.advance(65_000);
    expect(await page.ended).toBe('idle');
  });

  it('is not kept up by strangers', async () => {
    await using page = await PageBench.start();
    await page.clock.sleeper();
    for (let time = 0; time < 4; time += 1) {
      await page.ask();
      await page.ask({ path: '/news' });
      await page.clock.advance(16_000);
    }
    expect(await page.ended).toBe('idle');
  });

  it('goes on while something is under way', async () => {
    await using page = await PageBench.open();
    const work = held<readonly string[]>();
    page.host.work = async () => await work.promise;
    const answer = page.post('/mount', { source: 's3://b', mountPoint: '/n' });
    await expect.poll(() => page.host.asked.length).toBe(1);
    await page.clock.advance(300_000);
    work.settle(['Mounted']);
    expect(JSON.parse((await answer).text)).toEqual({ lines: ['Mounted'] });
    await page.clock.advance(70_000);
    expect(await page.ended).toBe('idle');
  });

  it('ends on the page, after it has said so', async () => {
    await using page = await PageBench.open();
    expect(await page.post('/end')).toMatchObject({ status: 200, text: '{}' });
    expect(await page.ended).toBe('closed');
  });

  it('stops what it has under way when it ends, and waits for that', async () => {
    await using page = await PageBench.open();
    const seen: string[] = [];
    page.host.work = async (_, signal) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      seen.push('stopped');
      throw signal.reason;
    };
    const answer = page.post('/unmount', { mountPoint: '/m' }).catch(() => 'cut off');
    await expect.poll(() => page.host.asked.length).toBe(1);
    page.stop();
    await page.ended;
    expect(seen).toEqual(['stopped']);
    await answer;
  });
});

describe('news of the page', () => {
  it('are the status as it is, with what is kept, and what was moved since the look before', async () => {
    await using page = await PageBench.open();
    await page.clock.sleeper();
    expect(await page.news(() => true)).toMatchObject({
      ...{ version: '1.2.3', cache: { folder: '/cache' } },
      samples: [{ mounts: {} }],
    });
    page.host.now = statusWith(5000);
    await page.clock.advance(1000);
    const { status, samples } = await page.news(() => true);
    expect(status).toEqual(JSON.parse(JSON.stringify(page.host.now)));
    expect(samples.map(({ mounts }) => mounts)).toEqual([{}, { '/m': [5000, 5000, 5000, 5000] }]);
  });

  it('look at logins and the cache now and then, and after everything that was done', async () => {
    await using page = await PageBench.open();
    await page.clock.sleeper();
    await page.clock.advance(28_000);
    expect(page.host.looks).toBe(1);
    await page.clock.advance(4000);
    expect(page.host.looks).toBe(2);
    await page.post('/refresh', { mountPoint: '/m' });
    await expect.poll(() => page.host.looks).toBe(3);
  });

  it('say why there is nothing new, and keep what was', async () => {
    await using page = await PageBench.open();
    await page.clock.sleeper();
    const facts = { tried: 'look', answered: 'others can enter it' };
    page.host.statusAgain = async () => await Promise.reject(new WireError('config', facts));
    const told = page.news(({ trouble }) => trouble !== undefined);
    await page.clock.advance(1000);
    expect(await told).toMatchObject({
      trouble: 'cannot look: others can enter it',
      status: { mounts: [{ mountPoint: '/m' }] },
    });
  });

  it('tell how far an unmount is, which is cancelled by its number', async () => {
    await using page = await PageBench.open();
    page.host.work = async (progress, signal) => {
      progress({ files: 2, bytes: 2048 });
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      throw signal.reason;
    };
    const answer = page.post('/unmount', { mountPoint: '/m' });
    const { underWay } = await page.news((news) => news.underWay[0]?.left !== undefined);
    expect(underWay).toEqual([
      { id: 1, what: 'unmount', place: '/m', left: { files: 2, bytes: 2048 } },
    ]);
    expect(await page.post('/unmount', { mountPoint: '/m' })).toMatchObject({ status: 422 });
    await page.post('/cancel', { id: 1 });
    expect(await answer).toMatchObject({ status: 422 });
    expect((await answer).text).toContain('cancelled');
  });
});

describe('what is asked on the page', () => {
  it('is handed on as it was typed, empty fields left out', async () => {
    await using page = await PageBench.open();
    const typed = { source: 's3://b', mountPoint: '~/b', endpoint: '', role: 'r', profile: '' };
    const more = { cache: 'full', writeBack: '', readOnly: true, makeFolder: true, other: 'x' };
    await page.post('/mount', { ...typed, ...more });
    await page.post('/mount', { profile: 'lab', names: ['a', 'b'] });
    await page.post('/unmount', { mountPoint: '/m', lazy: true });
    await page.post('/logout', { issuer: 'https://iam.example', forget: true });
    await page.post('/cache/clear');
    expect(page.host.asked).toEqual([
      [
        'mount',
        {
          ...{ source: 's3://b', mountPoint: '~/b', role: 'r', cache: 'full' },
          ...{ readOnly: true, makeFolder: true },
        },
      ],
      ['mount', { profile: 'lab', names: ['a', 'b'], readOnly: false, makeFolder: false }],
      ['unmount', '/m', true],
      ['logout', 'https://iam.example', true],
      ['clear'],
    ]);
  });

  it.each([
    ['/mount', { source: 7 }],
    ['/mount', { source: 's3://b\n--allow-other' }],
    ['/mount', { source: 'x'.repeat(5000) }],
    ['/mount', { names: 'a' }],
    ['/mount', { names: [{}] }],
    ['/mount', { readOnly: 'yes' }],
    ['/logout', {}],
    ['/logout', { issuer: '' }],
    ['/unmount', { mountPoint: '/home', lazy: true }],
    ['/refresh', { mountPoint: '/etc' }],
    ['/login', { issuer: ['https://iam.example'] }],
  ])('is refused when it is no form of the page: %s %j', async (path, body) => {
    await using page = await PageBench.open();
    await page.clock.sleeper();
    expect(await page.post(path, body)).toMatchObject({ status: 422 });
    expect(page.host.asked).toEqual([]);
  });

  it('is refused in the line that the command would print', async () => {
    await using page = await PageBench.open();
    const facts = { tried: 'unmount /m', answered: 'it is in use by vi (7)', next: 'close it' };
    page.host.work = async () => await Promise.reject(new WireError('mount-point', facts));
    expect(JSON.parse((await page.post('/unmount', { mountPoint: '/m' })).text)).toEqual({
      line: 'cannot unmount /m: it is in use by vi (7); close it',
      kind: 'mount-point',
    });
    const line = 'cannot mount s3://b: no login';
    page.host.work = async () => await Promise.reject(new HostRefusal(line));
    expect(JSON.parse((await page.post('/mount', { source: 's3://b' })).text)).toEqual({ line });
  });
});

const code = {
  ...{ userCode: 'ABCD-EFGH', verificationUri: 'https://iam.example/device', expiresAtMs: 9 },
  verificationUriComplete: 'https://iam.example/device?user_code=ABCD-EFGH',
};

describe('a login on the page', () => {
  it('shows code and picture, what goes wrong meanwhile, a new code, and its end', async () => {
    await using page = await PageBench.open();
    const steps = [held<undefined>(), held<undefined>(), held<undefined>()];
    page.host.login = async (events) => {
      events.code(code);
      await steps[0]?.promise;
      const facts = { tried: 'poll', answered: 'connection refused' };
      events.trouble?.(new WireError('unreachable', facts));
      await steps[1]?.promise;
      events.pending?.(1);
      events.restarted?.();
      events.note?.('no groups');
      events.code({ ...code, userCode: 'NEXT' });
      await steps[2]?.promise;
      return ['Logged in as alice'];
    };
    const asked = { issuer: 'https://iam.example', audience: 'x', scopes: '' };
    expect(await page.post('/login', asked)).toMatchObject({ status: 200 });
    expect(page.host.asked).toEqual([['login', { issuer: 'https://iam.example', audience: 'x' }]]);
    const first = await page.news(({ login }) => login?.state === 'waiting');
    expect(first.login).toMatchObject({ ...code, again: false, qr: { size: 46 } });
    expect(await page.post('/login', asked)).toMatchObject({ status: 422 });
    steps[0]?.settle(undefined);
    const troubled = await page.news(({ login }) => {
      return login?.state === 'waiting' && login.trouble !== undefined;
    });
    expect(troubled.login).toMatchObject({ trouble: 'cannot poll: connection refused' });
    steps[1]?.settle(undefined);
    const next = await page.news(({ login }) => {
      return login?.state === 'waiting' && login.userCode === 'NEXT';
    });
    expect(next.login).toMatchObject({ again: true, notes: ['no groups'] });
    expect(next.login).not.toHaveProperty('trouble');
    steps[2]?.settle(undefined);
    const end = await page.news(({ login }) => login?.state === 'done');
    expect(end.login).toMatchObject({ lines: ['Logged in as alice'], notes: ['no groups'] });
  });

  it('is cancelled, fails in a line, and is forgotten when that was read', async () => {
    await using page = await PageBench.open();
    page.host.login = async (events, signal) => {
      events.code(code);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      throw signal.reason;
    };
    await page.post('/login', { issuer: 'https://iam.example' });
    await page.post('/login/cancel');
    await page.news(({ login }) => login?.state === 'cancelled');
    const facts = { tried: 'log in', answered: 'denied' };
    page.host.login = async () => await Promise.reject(new WireError('login-denied', facts));
    await page.post('/login', { issuer: 'https://iam.example' });
    const { login } = await page.news((news) => news.login?.state === 'failed');
    expect(login).toMatchObject({ line: 'cannot log in: denied' });
    await page.post('/login/cancel');
    expect(await page.news(() => true)).not.toHaveProperty('login');
  });
});
