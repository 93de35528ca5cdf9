/** How a listing is asked for, and what is made of answers that are none. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { listingQuery } from '../../../src/s3/listing-request.ts';
import { createS3Stores, type S3Stores } from '../../../src/s3/s3-object-stores.ts';
import { StoreError } from '../../../src/store/errors.ts';
import { InstantClock } from '../../fixtures/instant-clock.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';

const forever = new AbortController().signal;
const right =
  '<ListBucketResult><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>' +
  '<Contents><Key>k</Key><Size>1</Size></Contents></ListBucketResult>';
const credentials = {
  accessKeyId: 'KEY',
  secretAccessKey: new Secret('secret'),
  sessionToken: new Secret('token'),
  expiresAtMs: Number.MAX_SAFE_INTEGER,
};

type Way = (response: ServerResponse) => void;

let server: Server;
let stores: S3Stores;
/** How the next requests are answered; the last way stays. */
let ways: Way[];
let asked: number;

beforeEach(async () => {
  asked = 0;
  server = createServer((_, response) => {
    asked += 1;
    const way = ways.length > 1 ? ways.shift() : ways[0];
    way?.(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stores = createS3Stores({
    ...{ network: plainNetwork, region: 'us-east-1', clock: new InstantClock(), log: silentLog },
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credentials: {
      credentials: async () => await Promise.resolve(credentials),
      renew: async () => await Promise.resolve(credentials),
    },
    random: () => 0.5,
  });
});

afterEach(async () => {
  await stores[Symbol.asyncDispose]();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const answer: Way = (response) => response.end(right);
const keys = async (): Promise<readonly string[]> => {
  const { objects } = await stores.open('bucket').list({ prefix: '' }, forever);
  return objects.map(({ key }) => key);
};

describe('the query of a listing', () => {
  it('has its parameters in order, encoded as they are signed', () => {
    const request = { prefix: "a/b c'+", delimiter: '/', maxKeys: 5 } as const;
    expect(listingQuery(request)).toBe(
      'delimiter=%2F&encoding-type=url&list-type=2&max-keys=5&prefix=a%2Fb%20c%27%2B',
    );
    expect(listingQuery({ prefix: '', continuation: 'x=&y', startAfter: 'ü' })).toBe(
      'continuation-token=x%3D%26y&encoding-type=url&list-type=2&prefix=&start-after=%C3%BC',
    );
  });
});

describe('a listing', () => {
  it('is read whatever its pieces and its framing', async () => {
    const pieces: Way = (response) => {
      for (const character of right) response.write(character);
      response.end();
    };
    const closed: Way = (response) => {
      response.socket?.end(`HTTP/1.1 200 OK\r\n\r\n${right}`);
    };
    const long: Way = (response) => {
      response.write(right);
      response.end(`<!--${'x'.repeat(300_000)}-->`);
    };
    for (const way of [answer, pieces, closed, long]) {
      ways = [way];
      expect(await keys()).toEqual(['k']);
    }
  });

  it('is asked for again when the answer breaks off or makes no sense', async () => {
    ways = [
      (response) => response.socket?.end(`HTTP/1.1 200 OK\r\n\r\n${right.slice(0, -9)}`),
      (response) => response.socket?.end('HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n<List'),
      (response) => response.end('<html>Sign in</html>'),
      (response) => response.writeHead(503).end('<Error><Code>SlowDown</Code></Error>'),
      answer,
    ];
    expect(await keys()).toEqual(['k']);
    expect(asked).toBe(5);
  });

  it('is refused when every answer is of another kind, or endless', async () => {
    const endless: Way = (response) => {
      const piece = ' '.repeat(2 ** 20);
      const more = (): void => {
        while (!response.destroyed && response.write(piece));
      };
      response.on('drain', more);
      more();
    };
    const huge: Way = (response) =>
      response.writeHead(200, { 'content-length': 2 ** 40 }).write('<');
    const page: Way = (response) => response.end('<html>Sign in</html>');
    for (const way of [page, huge, endless]) {
      ways = [way];
      const refusal = await keys().catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(StoreError);
      expect((refusal as StoreError).kind).toMatch(/^un(available|reachable)$/);
    }
  });

  it('ends with the reason of whoever gave it up', async () => {
    const given = new AbortController();
    ways = [() => given.abort(new Error('no longer wanted'))];
    const listing = stores.open('bucket').list({ prefix: '' }, given.signal);
    await expect(listing).rejects.toThrow('no longer wanted');
    await expect(stores.open('bucket').list({ prefix: '' }, given.signal)).rejects.toThrow(
      'no longer wanted',
    );
    expect(asked).toBe(1);
  });
});

describe('a list of buckets', () => {
  it('is refused when it is another document or lacks a name', async () => {
    ways = [
      (response) => response.end(right),
      (response) =>
        response.end(
          '<ListAllMyBucketsResult><Buckets><Bucket/></Buckets></ListAllMyBucketsResult>',
        ),
      (response) =>
        response.end(
          '<ListAllMyBucketsResult><Owner><ID>Bucket</ID></Owner><Buckets><Bucket><Name>b</Name></Bucket></Buckets></ListAllMyBucketsResult>',
        ),
    ];
    expect(await stores.buckets(forever)).toEqual([{ name: 'b', createdMs: 0 }]);
    expect(asked).toBe(3);
  });
});
