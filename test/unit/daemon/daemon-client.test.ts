import { once } from 'node:events';
import { access, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveSettings } from '../../../src/config/settings.ts';
import { mountInDaemon } from '../../../src/daemon/daemon-client.ts';
import type { MountsAsked } from '../../../src/daemon/mounts-asked.ts';
import { type Clock, systemClock } from '../../../src/lib/clock.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';

const never = new AbortController().signal;
const servers: Server[] = [];
let runtimeDir = '';

const mounted = JSON.stringify({ version: '1', mounts: [], warnings: ['told'] });

function asked(): MountsAsked {
  const paths = {
    ...{ configFile: '/c', configFileNamed: false, stateDir: '/s', cacheDir: '/k' },
    ...{ runtimeDir, home: undefined },
  };
  return {
    request: {
      mounts: [{ source: { kind: 'buckets' }, mountPoint: '/m', readOnly: true }],
      settings: resolveSettings({}, {}, {}),
      allowOther: false,
      makeDirectory: false,
    },
    caller: { environment: {}, paths },
    replace: false,
  };
}

/** A daemon of that number. */
async function daemonAt(pid: number, server: Server): Promise<string> {
  const path = join(runtimeDir, `daemon-${pid}.sock`);
  servers.push(server.listen(path));
  await once(server, 'listening');
  return path;
}

function answering(listener: RequestListener): Server {
  return createHttp(listener);
}

function ask(
  start: () => Promise<void>,
  clock: Clock = new InstantClock(),
): ReturnType<typeof mountInDaemon> {
  // The clock here hurries: no look is over before the answer.
  const isAlive = async (_: string, until: AbortSignal): Promise<boolean> =>
    await new Promise((resolve) => {
      until.addEventListener('abort', () => resolve(false), { once: true });
    });
  const facts = { runtimeDir, uid: process.geteuid?.() ?? -1, clock, start, isAlive };
  return mountInDaemon(asked(), facts, never);
}

const noStart = async (): Promise<void> => await Promise.reject(new Error('started another one'));

describe('who asks the daemon', () => {
  beforeEach(async () => {
    runtimeDir = await mkdtemp(join(tmpdir(), 'wire-daemon-'));
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) server.close();
    await rm(runtimeDir, { recursive: true });
  });

  it('starts one where none runs', async () => {
    let started = 0;
    const answer = await ask(async () => {
      started += 1;
      await daemonAt(
        1,
        answering((_, response) => response.end(mounted)),
      );
    });
    expect([started, answer.warnings]).toEqual([1, ['told']]);
  });

  it('starts one in place of one that is ending, as soon as that is gone', async () => {
    let refused = 0;
    const old = answering((_, response) => {
      refused += 1;
      response.writeHead(503).end('{}');
      if (refused === 3) old.close();
    });
    await daemonAt(1, old);
    let started = 0;
    await ask(async () => {
      started += 1;
      await daemonAt(
        2,
        answering((_, response) => response.end(mounted)),
      );
    });
    expect([refused >= 3, started]).toEqual([true, 1]);
  });

  it('asks again when it is hung up on: the daemon ended in that moment', async () => {
    let hungUp = 0;
    const dying = createServer((socket) => {
      hungUp += 1;
      socket.destroy();
      dying.close();
    });
    await daemonAt(1, dying);
    let started = 0;
    await ask(async () => {
      started += 1;
      await daemonAt(
        2,
        answering((_, response) => response.end(mounted)),
      );
    });
    expect([hungUp, started]).toEqual([1, 1]);
  });

  it('does not go on with a daemon that hangs up each time', async () => {
    let hungUp = 0;
    const broken = createServer((socket) => {
      hungUp += 1;
      socket.destroy();
    });
    await daemonAt(1, broken);
    await expect(ask(noStart)).rejects.toMatchObject({ kind: 'unreachable' });
    expect(hungUp).toBe(3);
  });

  it('hears why it was refused, and starts no other one', async () => {
    const facts = { tried: 'mount on /m', answered: 'it is busy' };
    const refusal = JSON.stringify({ kind: 'mount-point', facts });
    await daemonAt(
      1,
      answering((_, response) => response.writeHead(400).end(refusal)),
    );
    await expect(ask(noStart)).rejects.toEqual(new WireError('mount-point', facts));
  });

  it('is told after a while when one is ending and does not end', async () => {
    await daemonAt(
      1,
      answering((_, response) => response.writeHead(503).end('{}')),
    );
    await expect(ask(noStart)).rejects.toMatchObject({
      kind: 'unreachable',
      facts: { answered: 'one is ending, and does not end' },
    });
  });

  it('is one of many, and one daemon is started for all', async () => {
    let started = 0;
    const start = async (): Promise<void> => {
      started += 1;
      await daemonAt(
        started,
        answering((_, response) => response.end(mounted)),
      );
    };
    await Promise.all(Array.from({ length: 20 }, async () => await ask(start, systemClock)));
    expect(started).toBe(1);
    await expect(access(join(runtimeDir, 'start.lock'))).rejects.toThrow('ENOENT');
    expect(await readdir(runtimeDir)).toEqual(['daemon-1.sock']);
  });
});
