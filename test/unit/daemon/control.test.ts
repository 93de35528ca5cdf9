import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  mkdtemp,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveSettings } from '../../../src/config/settings.ts';
import {
  findProcesses,
  requestFiles,
  requestMounts,
  requestUnmount,
} from '../../../src/daemon/control-client.ts';
import type { UnmountRequest } from '../../../src/daemon/control-protocol.ts';
import {
  ControlServer,
  type ControlServerOptions,
  type ControlVerbs,
} from '../../../src/daemon/control-server.ts';
import type { MountStatus } from '../../../src/daemon/mount.ts';
import { formatMountsAsked, type MountsAsked } from '../../../src/daemon/mounts-asked.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { later } from '../../fixtures/later.ts';

const never = new AbortController().signal;

const mount = { mountPoint: '/m', source: 's3://b', state: 'ready' } as MountStatus;

let runtimeDir = '';
let server: ControlServer | undefined;
let unmount = async (_: UnmountRequest, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted();
  await Promise.resolve();
};

let mounts: ControlVerbs['mounts'] = async () =>
  await Promise.resolve({ version: '1', mounts: [mount], warnings: [] });
let metrics = 'wire_mounts 1\n';
let files: ControlVerbs['files'] = async () => await Promise.resolve(nothingDone);
const nothingDone = { files: 0, bytes: 0, totalBytes: 0 };

async function listen(
  peerUid?: ControlServerOptions['peerUid'],
  requestMs = 200,
): Promise<ControlServer> {
  server = await ControlServer.listen({
    ...(peerUid !== undefined && { peerUid }),
    runtimeDir,
    pid: 42,
    log: silentLog,
    requestMs,
    verbs: {
      status: () => ({ pid: 42, version: '1', startedMs: 0, mounts: [mount] }),
      metrics: () => metrics,
      unmount: async (request, signal) => await unmount(request, signal),
      mounts: async (asked, signal) => await mounts(asked, signal),
      files: async (request, progress, signal) => await files(request, progress, signal),
    },
  });
  return server;
}

/** Sends `text` as it is and gives all that comes back until the connection ends. */
async function say(path: string, text: string): Promise<string> {
  const socket = connect(path);
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk.toString();
  });
  socket.on('error', () => undefined); // EPIPE: the server has had enough
  socket.write(text);
  await once(socket, 'close');
  return heard;
}

const getStatus = 'GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n';

function post(body: string, length = Buffer.byteLength(body)): string {
  return `POST /unmount HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n${body}`;
}

async function connected(socket: Socket): Promise<void> {
  if (socket.connecting) await once(socket, 'connect');
}

const mountsAsked: MountsAsked = {
  request: {
    mounts: [
      { source: { kind: 'bucket', bucket: 'b', prefix: '' }, mountPoint: '/m', readOnly: false },
    ],
    settings: resolveSettings({ endpoint: 'https://s3.example' }, {}, {}),
    allowOther: false,
    makeDirectory: false,
  },
  caller: {
    environment: {},
    paths: {
      configFile: '/c',
      configFileNamed: false,
      stateDir: '/s',
      runtimeDir: '/r',
      cacheDir: '/k',
      home: undefined,
    },
  },
  replace: false,
};

/** A request for mounts with other fields. */
function changed(fields: object): string {
  return JSON.stringify({ ...JSON.parse(formatMountsAsked(mountsAsked)), ...fields });
}

function pair(fields: object): object {
  return { source: 's3://b', mountPoint: '/m', readOnly: false, ...fields };
}

describe('control socket', () => {
  beforeEach(async () => {
    runtimeDir = await mkdtemp(join(tmpdir(), 'wire-control-'));
  });
  afterEach(async () => {
    await server?.[Symbol.asyncDispose]();
    server = undefined;
    await rm(runtimeDir, { recursive: true });
  });

  it('tells the mounts of a process, and is gone after it', async () => {
    const { path } = await listen();
    expect(await findProcesses(runtimeDir, never)).toEqual([
      { socketPath: path, status: { pid: 42, version: '1', startedMs: 0, mounts: [mount] } },
    ]);
    await server?.[Symbol.asyncDispose]();
    server = undefined;
    expect(await readdir(runtimeDir)).toEqual([]);
    expect(await findProcesses(runtimeDir, never)).toEqual([]);
  });

  it('hands an unmount on, and its refusal back, as it was', async () => {
    const { path } = await listen();
    const asked: UnmountRequest[] = [];
    const answered = 'it is in use by bash (7)';
    unmount = async (request) => {
      await Promise.resolve();
      asked.push(request);
      throw new WireError('mount-point', { tried: 'unmount /m', answered, next: 'leave it' });
    };
    const request = { mountPoint: '/m ä "\n', lazy: true };
    await expect(requestUnmount(path, request, never)).rejects.toMatchObject({
      kind: 'mount-point',
      exitCode: 10,
      facts: { tried: 'unmount /m', answered, next: 'leave it' },
    });
    expect(asked).toEqual([request]);
  });

  it('lets the answer out before it closes', async () => {
    const { path } = await listen();
    const closing: Promise<void>[] = [];
    unmount = async () => {
      await Promise.resolve();
      if (server !== undefined) closing.push(server[Symbol.asyncDispose]());
      server = undefined;
    };
    await requestUnmount(path, { mountPoint: '/m', lazy: false }, never);
    await Promise.all(closing);
  });

  it('stops the work when the one who asked goes away', async () => {
    const { path } = await listen();
    let aborted: (reason: unknown) => void = () => undefined;
    const stopped = new Promise((resolve) => {
      aborted = resolve;
    });
    const asker = new AbortController();
    unmount = async (_, signal) => {
      signal.addEventListener('abort', () => aborted('stopped'));
      asker.abort();
      await stopped;
    };
    const asked = requestUnmount(path, { mountPoint: '/m', lazy: false }, asker.signal);
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    expect(await stopped).toBe('stopped');
  });

  it.each([
    ['another verb', 'DELETE /status HTTP/1.1\r\nHost: localhost\r\n\r\n', /400 .*no such verb/s],
    ['a token', 'GET /token HTTP/1.1\r\nHost: localhost\r\n\r\n', /400 .*no such verb/s],
    ['no JSON', post('unmount it'), /400 .*usage/s],
    ['other JSON', post('{"mountPoint":["/m"],"lazy":0}'), /400 .*usage/s],
    ['null', post('null'), /400 .*usage/s],
    ['a huge body', post('x'.repeat(100_000)), /400 .*too large/s],
    ['another Host', 'GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n', /400 .*another Host/s],
    ['no Host', 'GET /status HTTP/1.0\r\n\r\n', /400 .*another Host/s],
    [
      'a web page',
      'GET /status HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n',
      /400 .*an Origin/s,
    ],
    [
      'a request behind a request',
      `${getStatus}${getStatus}`,
      /^HTTP\/1.1 200 (?:(?!HTTP\/1.1 200).)*$/s,
    ],
    ['no HTTP', '\u0000\u0001\u0002 hello\r\n\r\n', /^HTTP\/1.1 400/],
    ['a huge header', `GET /status HTTP/1.1\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`, /431/],
    ['a body that never comes', post('{', 1000), /^$|408/],
    ['a header that never ends', 'GET /status HTTP/1.1\r\nHost', /^$|408/],
  ])('refuses %s and lives on', async (_, text, answer) => {
    const { path } = await listen();
    expect(await say(path, text)).toMatch(answer);
    expect(await findProcesses(runtimeDir, never)).toHaveLength(1);
  });

  it('tells metrics as text', async () => {
    const { path } = await listen();
    const said = await say(path, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(said).toMatch(/^HTTP\/1.1 200 .*text\/plain; version=0.0.4.*\r\n\r\n.*wire_mounts 1\n/s);
  });

  it('hangs up on who does not take the answer, so that others can ask', async () => {
    const { path } = await listen();
    const before = metrics;
    metrics = 'x'.repeat(16 * 1024 * 1024);
    const lazy = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const socket = connect(path);
        socket.on('error', () => undefined);
        socket.pause();
        socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
        await new Promise((resolve) => socket.once('readable', resolve).once('close', resolve));
        return socket;
      }),
    );
    // As many as there may be: the next is let in when one of them is gone.
    const found = async (): Promise<number> => (await findProcesses(runtimeDir, never)).length;
    await expect.poll(found, { timeout: 10_000 }).toBe(1);
    for (const socket of lazy) socket.destroy();
    metrics = before;
  });

  it('gives a status and an unmount whoever else never finishes asking', async () => {
    // They would be hung up on in time: here nobody waits for that.
    const { path } = await listen(undefined, 60_000);
    const half = ['GET /status HTTP/1.1\r\nHost: localhost\r\n', post('{', 100)];
    const hostile = Array.from({ length: 400 }, (_, at) => {
      const socket = connect(path).on('error', () => undefined);
      socket.write(half[at % 2] ?? '');
      return socket;
    });
    await Promise.all(hostile.map((socket) => connected(socket)));
    try {
      expect(await findProcesses(runtimeDir, never)).toHaveLength(1);
      unmount = async () => await Promise.resolve();
      await requestUnmount(path, { mountPoint: '/m', lazy: false }, never);
    } finally {
      for (const socket of hostile) socket.destroy();
    }
  });

  it('takes so many requests for mounts at once, and a status and an unmount besides', async () => {
    const { path } = await listen(undefined, 60_000);
    const before = mounts;
    let begun = 0;
    mounts = async (_, signal) => {
      begun += 1;
      return await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('gone')), { once: true });
      });
    };
    const body = formatMountsAsked(mountsAsked);
    const head = `POST /mounts HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(body)}`;
    const answers: string[] = [];
    const asking = Array.from({ length: 140 }, () => {
      const socket = connect(path).on('error', () => undefined);
      socket.on('data', (chunk) => void answers.push(chunk.toString()));
      socket.write(`${head}\r\n\r\n${body}`);
      return socket;
    });
    try {
      await expect.poll(() => begun + answers.length).toBe(140);
      expect([begun, answers.length]).toEqual([128, 12]);
      expect(answers[0]).toMatch(/^HTTP\/1.1 400 .*too many requests/s);
      expect(await findProcesses(runtimeDir, never)).toHaveLength(1);
      unmount = async () => await Promise.resolve();
      await requestUnmount(path, { mountPoint: '/m', lazy: false }, never);
    } finally {
      for (const socket of asking) socket.destroy();
      mounts = before;
    }
  });

  describe('a request for mounts that is aborted', () => {
    const stopped = new Error('stopped');
    const before = mounts;
    afterEach(() => {
      mounts = before;
    });

    it('returns when all is undone that was begun, and not before', async () => {
      const { path } = await listen();
      const [begun, undone] = [later<AbortSignal>(), later()];
      mounts = async (_, signal) => {
        begun.resolve(signal);
        await undone.promise;
        throw new WireError('unavailable', { tried: 'mount', answered: 'undone' });
      };
      const stopping = new AbortController();
      let isOver = false;
      const asking = requestMounts(path, mountsAsked, stopping.signal).finally(() => {
        isOver = true;
      });
      const told = expect(asking).rejects.toThrow('undone');
      const signal = await begun.promise;
      stopping.abort(stopped);
      await once(signal, 'abort');
      await findProcesses(runtimeDir, never);
      expect(isOver).toBe(false);
      undone.resolve();
      await told;
    });

    it('gives the answer that was on its way', async () => {
      const { path } = await listen();
      const begun = later<AbortSignal>();
      mounts = async (_, signal) => {
        begun.resolve(signal);
        await once(signal, 'abort');
        return { version: '1', mounts: [mount], warnings: [] };
      };
      const stopping = new AbortController();
      const asking = requestMounts(path, mountsAsked, stopping.signal);
      await begun.promise;
      stopping.abort(stopped);
      expect((await asking).mounts).toEqual([mount]);
    });

    it('asks for nothing when it was aborted before', async () => {
      const { path } = await listen();
      let asked = 0;
      mounts = async () => {
        asked += 1;
        return await Promise.resolve({ version: '1', mounts: [], warnings: [] });
      };
      await expect(requestMounts(path, mountsAsked, AbortSignal.abort(stopped))).rejects.toBe(
        stopped,
      );
      await findProcesses(runtimeDir, never);
      expect(asked).toBe(0);
    });

    it('hangs up on a process that knows of no such request', async () => {
      const socketPath = join(runtimeDir, 'older.sock');
      const asked = later<Socket>();
      const older = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', (chunk) => {
          if (chunk.toString().startsWith('POST')) asked.resolve(socket);
          else socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
        });
      });
      older.listen(socketPath);
      await once(older, 'listening');
      const stopping = new AbortController();
      const asking = requestMounts(socketPath, mountsAsked, stopping.signal);
      const told = expect(asking).rejects.toThrow();
      const socket = await asked.promise;
      const closed = once(socket, 'close');
      stopping.abort(stopped);
      await told;
      await closed;
      older.close();
      await once(older, 'close');
    });
  });

  it.each([
    ['huge', 'x'.repeat(600_000), /too large/],
    ['no JSON', '{"mounts":', /no JSON/],
    ['a list', '[]', /no fields/],
    ['null', 'null', /no fields/],
    ['of another form', '{"protocol":99}', /another version/],
    ['nothing to mount', changed({ mounts: [] }), /no mounts/],
    ['mounts that are none', changed({ mounts: 7 }), /no mounts/],
    ['a mount that is none', changed({ mounts: [null] }), /no fields/],
    ['a place with a NUL', changed({ mounts: [pair({ mountPoint: '/m\0' })] }), /no mountPoint/],
    ['a relative place', changed({ mounts: [pair({ mountPoint: '../m' })] }), /no mountPoint/],
    ['a bucket that is a number', changed({ mounts: [pair({ source: 1 })] }), /no source/],
    ['settings that are a text', changed({ settings: 'x' }), /no fields/],
    ['an endpoint that is an object', changed({ settings: { endpoint: {} } }), /no texts/],
    ['an endpoint in clear', changed({ settings: { endpoint: 'ftp://x' } }), /settings.endpoint/],
    ['an unknown setting', changed({ settings: { __proto: 'x' } }), /another version/],
    ['an environment of lists', changed({ environment: { BEARER_TOKEN: [] } }), /no texts/],
    ['folders that are relative', changed({ paths: { configFile: 'x' } }), /no paths.configFile/],
  ])('hands on no request for mounts that is %s', async (_, body, answer) => {
    const { path } = await listen();
    const before = mounts;
    let asked = 0;
    mounts = async () => {
      asked += 1;
      return await Promise.resolve({ version: '1', mounts: [], warnings: [] });
    };
    const said = await say(path, post(body).replace('/unmount', '/mounts'));
    mounts = before;
    expect(said === '' || /^HTTP\/1.1 400/.test(said)).toBe(true);
    if (said !== '') expect(said).toMatch(answer);
    expect(asked).toBe(0);
    expect(await findProcesses(runtimeDir, never)).toHaveLength(1);
  });

  it('hands on no request for mounts of a page, or by another name', async () => {
    const { path } = await listen();
    const before = mounts;
    let asked = 0;
    mounts = async () => {
      asked += 1;
      return await Promise.resolve({ version: '1', mounts: [], warnings: [] });
    };
    const good = post(changed({})).replace('/unmount', '/mounts');
    for (const bad of [
      good.replace('Host: localhost', 'Host: wire.example'),
      good.replace('Host: localhost', 'Host: localhost\r\nOrigin: http://localhost'),
      good.replace('Host: localhost', 'Host: localhost\r\nSec-Fetch-Site: same-origin'),
    ]) {
      expect(await say(path, bad)).toMatch(/^HTTP\/1.1 400 .*another Host, or an Origin/s);
    }
    expect(asked).toBe(0);
    expect(await say(path, good)).toMatch(/^HTTP\/1.1 200/);
    mounts = before;
    expect(asked).toBe(1);
  });

  it('lets in its owner and root, and nobody else', async () => {
    const own = process.geteuid?.() ?? 0;
    for (const [uid, found] of [
      [own, 1],
      [0, 1],
      [undefined, 1],
      [own + 1, 0],
      [2 ** 32 - 2, 0],
    ] as const) {
      await listen(() => uid);
      expect([uid, (await findProcesses(runtimeDir, never)).length]).toEqual([uid, found]);
      await server?.[Symbol.asyncDispose]();
      server = undefined;
    }
  });

  // Only root can be somebody else for a moment.
  it.runIf(process.platform === 'linux' && process.geteuid?.() === 0)(
    'refuses another user of this machine, even where the folder lets them in',
    async () => {
      const { path } = await listen();
      await chmod(runtimeDir, 0o777);
      await chmod(path, 0o777);
      // Whoever it is, the answer's first bytes, or that there were none.
      const script = `
        const socket = require('node:net').connect(process.argv[1]);
        socket.on('data', (told) => process.stdout.write(told));
        socket.on('error', () => undefined);
        socket.end(${JSON.stringify(getStatus)});`;
      const asAnybody = async (uid: number): Promise<string> => {
        const options = { uid, gid: uid, cwd: '/', env: {} };
        const args = ['-e', script, path];
        return (await promisify(execFile)(process.execPath, args, options)).stdout;
      };
      expect(await asAnybody(0)).toMatch(/^HTTP\/1.1 200/);
      expect(await asAnybody(65_534)).toBe('');
      await chmod(runtimeDir, 0o700);
    },
  );

  it('removes a socket whose process is gone, and nothing else', async () => {
    const path = join(runtimeDir, 'mounts-1.sock');
    // A killed process leaves its socket: Node removes it on close, so close what it was renamed from.
    const dead = createServer().listen(join(runtimeDir, 'x'));
    await once(dead, 'listening');
    await rename(join(runtimeDir, 'x'), path);
    dead.close();
    await once(dead, 'close');
    await writeFile(join(runtimeDir, 'note'), 'mine');
    expect(await findProcesses(runtimeDir, never)).toEqual([]);
    expect(await readdir(runtimeDir)).toEqual(['note']);
  });

  it('is not misled by a socket that answers nonsense', async () => {
    const odd = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n{"pid":"1"}'));
    odd.listen(join(runtimeDir, 'odd.sock'));
    await once(odd, 'listening');
    expect(await findProcesses(runtimeDir, never)).toEqual([]);
    odd.close();
  });

  it('takes the place of a socket that an earlier process with its number left', async () => {
    await writeFile(join(runtimeDir, 'mounts-42.sock'), '');
    await listen();
    expect(await findProcesses(runtimeDir, never)).toHaveLength(1);
  });

  it('believes no sockets in a folder that others may enter, or that a link leads to', async () => {
    await listen();
    await chmod(runtimeDir, 0o755);
    await expect(findProcesses(runtimeDir, never)).rejects.toMatchObject({
      kind: 'config',
      facts: { answered: 'others can enter it' },
    });
    await chmod(runtimeDir, 0o700);
    const link = `${runtimeDir}-link`;
    await symlink(runtimeDir, link);
    try {
      await expect(findProcesses(link, never)).rejects.toMatchObject({
        facts: { answered: 'it is not a folder' },
      });
    } finally {
      await rm(link);
    }
    expect(await findProcesses(runtimeDir, never)).toHaveLength(1);
    expect(await findProcesses(join(runtimeDir, 'none'), never)).toEqual([]);
  });

  // Only root can make a folder somebody else's.
  it.runIf(process.geteuid?.() === 0)(
    'believes no sockets in the folder of another user',
    async () => {
      await listen();
      await chown(runtimeDir, 12_345, 0);
      await expect(findProcesses(runtimeDir, never)).rejects.toMatchObject({
        kind: 'config',
        facts: { answered: 'it belongs to uid 12345' },
      });
      await chown(runtimeDir, 0, 0);
    },
  );

  it('tells how far work on files is, line by line, and how it ended', async () => {
    const { path } = await listen();
    const asked = { verb: 'warm', mountPoint: '/m', path: ['a', 'b\nc'] } as const;
    const half = { files: 1, bytes: 5, totalBytes: 10 };
    const whole = { files: 2, bytes: 10, totalBytes: 10 };
    files = async (request, progress) => {
      expect(request).toEqual(asked);
      progress(half);
      return await Promise.resolve(whole);
    };
    const told: unknown[] = [];
    const done = await requestFiles(path, asked, (progress) => told.push(progress), never);
    expect([told, done]).toEqual([[half], whole]);
  });

  it('refuses work on files before and after the first line, and ends it when nobody waits', async () => {
    const { path } = await listen();
    const asked = { verb: 'pin', mountPoint: '/m', path: [] } as const;
    const refusal = new WireError('not-found', { tried: 'pin', answered: 'nothing there' });
    files = async () => await Promise.reject(refusal);
    await expect(requestFiles(path, asked, () => undefined, never)).rejects.toEqual(refusal);
    files = async (_, progress) => {
      progress(nothingDone);
      return await Promise.reject(refusal);
    };
    await expect(requestFiles(path, asked, () => undefined, never)).rejects.toEqual(refusal);

    let ended: AbortSignal | undefined;
    files = async (_, progress, signal) => {
      ended = signal;
      progress(nothingDone);
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      return nothingDone;
    };
    const giveUp = new AbortController();
    const waiting = requestFiles(path, asked, () => giveUp.abort(), giveUp.signal);
    await expect(waiting).rejects.toThrow();
    await expect.poll(() => ended?.aborted).toBe(true);
    await expect(
      say(path, 'POST /files HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}'),
    ).resolves.toContain('400 Bad Request');
  });

  it('says so when the runtime folder cannot hold a socket', async () => {
    const long = { runtimeDir: `/tmp/${'x'.repeat(100)}`, pid: 1, log: silentLog };
    const verbs = {
      status: () => undefined as never,
      metrics: () => '',
      unmount: async () => await Promise.resolve(),
      mounts,
      files: async () => await Promise.resolve(nothingDone),
    };
    await expect(ControlServer.listen({ ...long, verbs })).rejects.toMatchObject({
      kind: 'config',
      facts: { answered: 'the path is too long' },
    });
    const missing = { runtimeDir: join(runtimeDir, 'no'), pid: 1, log: silentLog, verbs };
    await expect(ControlServer.listen(missing)).rejects.toMatchObject({ kind: 'config' });
  });

  it('the socket is for its owner alone under the umask that wire sets', async () => {
    const before = process.umask(0o077);
    try {
      const { path } = await listen();
      expect((await stat(path)).mode & 0o077).toBe(0);
    } finally {
      process.umask(before);
    }
  });
});
