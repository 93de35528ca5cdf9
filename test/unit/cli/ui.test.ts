import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mountWords } from '../../../src/cli/ui-mount.ts';
import { FakeCli } from './fake-cli.ts';

const plain = { readOnly: false, makeFolder: false };

describe('a mount that is asked for on the page', () => {
  it('is wire mount --daemon with the words that one would type', () => {
    const asked = {
      ...{ source: 's3://b/p', mountPoint: '~/b', endpoint: 'https://s3.example', role: 'r' },
      ...{ issuer: 'https://iam.example', audience: 'a', region: 'here', cache: 'full' },
      ...{ stsEndpoint: 'https://sts.example', writeBack: 'on', profile: 'lab' },
    };
    const given = { ca: '/ca.pem', role: 'other' };
    expect(mountWords({ ...asked, readOnly: true, makeFolder: true }, given, '/home/u')).toEqual([
      ...['mount', '--daemon', '--mkdir', '--read-only', '--profile=lab', '--ca=/ca.pem'],
      ...['--role=r', '--issuer=https://iam.example', '--endpoint=https://s3.example'],
      ...['--audience=a', '--sts-endpoint=https://sts.example', '--region=here'],
      ...['--cache=full', '--write-back=on', '--', 's3://b/p', '/home/u/b'],
    ]);
  });

  it('takes nothing that is typed for a flag', () => {
    const source = '--allow-other';
    const words = mountWords({ ...plain, source, mountPoint: '/m', role: '--mkdir' }, {}, '/h');
    expect(words).toEqual(['mount', '--daemon', '--role=--mkdir', '--', source, '/m']);
  });

  it('is of the mounts that were chosen in a profile', () => {
    const words = mountWords({ ...plain, profile: 'lab', names: ['a', 'b'] }, {}, '/h');
    expect(words).toEqual(['mount', '--daemon', '--profile=lab', '--', 'a', 'b']);
  });

  it.each([
    [{}, 'cannot mount: nothing was named'],
    [{ mountPoint: '/m' }, 'cannot mount: nothing was named'],
    [{ source: 's3://b', mountPoint: 'data' }, 'cannot mount s3://b on data: the page'],
  ])('is refused where it says too little: %j', (asked, line) => {
    expect(() => mountWords({ ...plain, ...asked }, {}, '/h')).toThrow(line);
  });
});

describe('wire ui', () => {
  let folder = '';
  let cli = new FakeCli();
  /** Cookie and key of the browser that has come. */
  let session: Record<string, string> = {};

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'wire-ui-'));
    cli = new FakeCli();
    cli.runtimeDir = join(folder, 'run');
    cli.uid = process.getuid?.() ?? -1;
    cli.configFile = join(folder, 'config.yaml');
    session = {};
    await writeFile(cli.configFile, 'profiles: { lab: { issuer: https://iam.example } }\n');
  });
  afterEach(async () => await rm(folder, { recursive: true, force: true }));

  interface Told {
    readonly key?: string;
    readonly lines?: readonly string[];
    readonly line?: string;
    readonly profiles?: readonly { readonly name: string }[];
  }

  async function call(url: URL, method: string, path: string, body?: object): Promise<Told> {
    const headers = { ...session, origin: url.origin, 'content-type': 'application/json' };
    return await new Promise((resolve, reject) => {
      const sent = request(new URL(path, url), { method, headers, agent: false }, (answer) => {
        const [cookie] = answer.headers['set-cookie'] ?? [];
        if (cookie !== undefined) session['cookie'] = cookie.split(';')[0] ?? '';
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        answer.on('end', () => resolve(JSON.parse(text) as Told));
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Runs `wire ui` for as long as `work` takes. */
  async function withPage(work: (url: URL) => Promise<void>): Promise<void> {
    let open: (url: URL) => void = () => undefined;
    const opened = new Promise<URL>((resolve) => {
      open = resolve;
    });
    cli.printed = (text) => open(new URL((JSON.parse(text) as { url: string }).url));
    const run = cli.run('ui', '--json', '--no-browser');
    const url = await opened;
    try {
      const token = url.hash.slice(1);
      const { key = '' } = await call(url, 'POST', '/session', { token });
      session['x-wire-key'] = key;
      await work(url);
    } finally {
      cli.signals.send('SIGINT');
    }
    expect(await run).toMatchObject({ code: 0, stderr: '' });
  }

  it('prints an address as JSON, offers profiles, and ends with Ctrl-C, which is no failure', async () => {
    await withPage(async (url) => {
      expect(url.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/#[\w-]{43}$/);
      const { profiles } = await call(url, 'GET', '/profiles');
      expect(profiles).toEqual([
        { name: 'lab', used: true, issuer: 'https://iam.example', mounts: [] },
      ]);
    });
  });

  it('mounts by the command in the background, in its words for good and bad', async () => {
    await withPage(async (url) => {
      const asked = { source: 's3://b', mountPoint: '/m' };
      expect(await call(url, 'POST', '/mount', asked)).toEqual({
        lines: ['Mounted s3://b at /m'],
      });
      expect(cli.detached).toEqual([['wire.js', 'mount', '--daemon', '--', 's3://b', '/m']]);
      const line = 'cannot mount s3://b: no login';
      cli.report = { outcome: 'failed', line, exitCode: 4 };
      expect(await call(url, 'POST', '/mount', asked)).toEqual({ line });
    });
  });

  it('logs in and out as the commands do', async () => {
    await withPage(async (url) => {
      await call(url, 'POST', '/login', { audience: 'object' });
      await expect
        .poll(() => cli.logins)
        .toMatchObject([{ issuer: 'https://iam.example', audience: 'object', flow: 'device' }]);
      const out = await call(url, 'POST', '/logout', { issuer: 'https://iam.example' });
      expect(out.lines).toEqual(['Logged out at https://iam.example', 'the client was deleted']);
    });
  });

  it.each([
    ['--port', '0'],
    ['--port', 'x'],
    ['--idle', '0'],
    ['--idle', 'soon'],
  ])('refuses %s %s', async (...words) => {
    expect(await cli.run('ui', ...words)).toMatchObject({ code: 2, stdout: '' });
  });
});
