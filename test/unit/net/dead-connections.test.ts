import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { exchange } from '../../../src/net/http.ts';
import type { Network, NetworkChange } from '../../../src/net/network.ts';
import { createS3Stores, type S3Stores } from '../../../src/s3/s3-object-stores.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { Forwarder } from '../../fixtures/forwarder.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';
import { readBytes } from '../../fixtures/object-store-contract.ts';
import { forever, LISTING, open } from './reach.ts';

/** Longer than a look at the network is apart. */
const A_LOOK_MS = 2000;

let clock: FakeClock;
let addresses: Set<string>;
let network: Network;
let server: Server;
let url: string;
/** Requests that the server keeps waiting. */
let held: (() => void)[];

beforeEach(async () => {
  clock = new FakeClock();
  addresses = new Set(['127.0.0.1', '192.168.1.7']);
  network = await open({}, { clock, addresses: () => addresses });
  held = [];
  server = createServer((asked, response) => {
    asked.resume();
    const answer = (): void => void response.end(LISTING);
    if (asked.url === '/hold') held.push(answer);
    else answer();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
});

async function untilHeld(count: number): Promise<void> {
  await expect.poll(() => held.length).toBe(count);
}

describe('connections of an exchange', () => {
  it('that are idle are dropped, one under way is answered: it may have refreshed a login', async () => {
    const sockets: Socket[] = [];
    server.on('connection', (socket: Socket) => void sockets.push(socket));
    using listening = network.onChange(() => undefined);
    expect(listening).toBeDefined();
    const send = async (path: string): Promise<string> =>
      (await exchange('ask', { method: 'GET', url: url + path }, { fetch: network.fetch }, forever))
        .text;
    await send('/');
    const going = send('/hold');
    await untilHeld(1);
    // At rest one connection is used again and again.
    for (let times = 0; times < 5; times += 1) await send('/');
    const before = sockets.length;
    expect(before).toBeLessThan(5);
    clock.jumpWall(3_600_000);
    addresses = new Set(['10.0.0.1']);
    await clock.advance(A_LOOK_MS);
    held[0]?.();
    expect(await going).toBe(LISTING);
    await send('/');
    expect(sockets).toHaveLength(before + 1);
  });
});

describe('onChange', () => {
  it('tells each listener until it is disposed', async () => {
    const told: string[] = [];
    const note = (name: string) => (change: NetworkChange) => {
      told.push(`${name} ${change.slept ? 'slept' : 'moved'}`);
    };
    const one = network.onChange(note('one'));
    const other = network.onChange(note('other'));
    clock.jumpWall(60_000);
    await clock.advance(A_LOOK_MS);
    one[Symbol.dispose]();
    addresses = new Set();
    await clock.advance(A_LOOK_MS);
    other[Symbol.dispose]();
    addresses = new Set(['10.0.0.1']);
    await clock.advance(A_LOOK_MS);
    expect(told).toEqual(['one slept', 'other slept', 'other moved']);
    expect(clock.sleeping).toBe(0);
  });
});

/** Its pauses pass at once; `before` is called at the beginning of each. */
class PausingClock extends InstantClock {
  before: () => void = () => undefined;

  override async sleep(ms: number, signal: AbortSignal): Promise<void> {
    this.before();
    await super.sleep(ms, signal);
  }
}

describe('a request of a store while the network is away', () => {
  let forwarder: Forwarder;
  let stores: S3Stores;
  let instant: PausingClock;

  function openStores(): void {
    const credentials = {
      accessKeyId: 'ID',
      secretAccessKey: new Secret('secret'),
      sessionToken: new Secret('token'),
      expiresAtMs: 1e15,
    };
    instant = new PausingClock();
    stores = createS3Stores({
      endpoint: forwarder.url,
      region: 'us-east-1',
      credentials: {
        credentials: async () => await Promise.resolve(credentials),
        renew: async () => await Promise.resolve(credentials),
      },
      network,
      clock: instant,
      log: silentLog,
      // Real time, since it is the socket's.
      silenceMs: 100,
      random: () => 0.5,
    });
  }

  const list = async (): Promise<unknown> =>
    await stores.open('bucket').list({ prefix: '', maxKeys: 1 }, forever);

  beforeEach(async () => {
    forwarder = await Forwarder.before(url);
    openStores();
  });

  afterEach(async () => {
    await stores[Symbol.asyncDispose]();
    await forwarder[Symbol.asyncDispose]();
  });

  it.each(['silent', 'broken'] as const)('(%s) is done when it is back', async (health) => {
    await list();
    const before = forwarder.connections;
    forwarder.health = health;
    let pauses = 0;
    instant.before = () => {
      pauses += 1;
      if (pauses === 2) forwarder.health = 'well';
    };
    await list();
    expect(forwarder.connections).toBeGreaterThan(before + 1);
  });

  it('tries one new connection, not each of the dead ones in turn', async () => {
    await Promise.all(Array.from({ length: 8 }, list));
    expect(forwarder.connections).toBeGreaterThan(4);
    forwarder.health = 'silent';
    const open8 = forwarder.connections;
    const waiting = list();
    await expect.poll(() => forwarder.connections, { timeout: 5000 }).toBe(open8 + 1);
    forwarder.health = 'well';
    await waiting;
    expect(instant.slept.length).toBeLessThanOrEqual(2);
  });
});

describe('a ranged read', () => {
  const body = 'the bytes of the object';

  it('goes on over another connection after a sleep, its own being dead', async () => {
    const lease = {
      accessKeyId: 'ID',
      secretAccessKey: new Secret('secret'),
      sessionToken: new Secret('token'),
      expiresAtMs: 1e15,
    };
    const current = async (): Promise<typeof lease> => await Promise.resolve(lease);
    const ports: (number | undefined)[] = [];
    server.removeAllListeners('request');
    server.on('request', (asked, response) => {
      ports.push(asked.socket.remotePort);
      // The first is never answered.
      if (ports.length === 1) return;
      const range = `bytes 0-${body.length - 1}/${body.length}`;
      response.writeHead(206, { etag: '"e"', 'content-range': range });
      response.end(body);
    });
    await using stores = createS3Stores({
      ...{ endpoint: url, region: 'us-east-1', network, log: silentLog },
      credentials: { credentials: current, renew: current },
      clock: new InstantClock(),
      random: () => 0.5,
    });
    const reading = readBytes(stores.open('bucket'), 'key', { start: 0, end: 100 }, '"e"');
    await expect.poll(() => ports.length).toBe(1);
    clock.jumpWall(3_600_000);
    await clock.advance(A_LOOK_MS);
    expect((await reading).toString()).toBe(body);
    expect(new Set(ports).size).toBe(2);
  });
});
