/** Ranged reads over TLS and through a proxy, with certificates checked: the bytes are the truth's. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasOpenssl, PrivateCa } from '../../../scripts/servers/private-ca.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { openNetwork } from '../../../src/net/network.ts';
import { createS3Stores } from '../../../src/s3/s3-object-stores.ts';
import type { StoreError } from '../../../src/store/errors.ts';
import { ConnectProxy } from '../../fixtures/connect-proxy.ts';
import { patternBytes, readBytes } from '../../fixtures/object-store-contract.ts';
import { TlsFront } from '../../fixtures/tls-front.ts';

const name = 'a ranged read over TLS (needs the command openssl: apt-get install openssl)';
const forever = new AbortController().signal;
const body = patternBytes(1_500_000);
const etag = '"version-1"';
/** Known to the proxy alone. */
const BEHIND = 'https://s3.wire.example:8443';

const seen: IncomingMessage[] = [];

function answer(request: IncomingMessage, response: ServerResponse): void {
  seen.push(request);
  const [, start = 0, last = 0] = (/bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []).map(
    Number,
  );
  const end = Math.min(last + 1, body.byteLength);
  response.writeHead(206, {
    etag,
    'content-length': end - start,
    'content-range': `bytes ${start}-${end - 1}/${body.byteLength}`,
  });
  response.end(body.subarray(start, end));
}

describe.skipIf(!hasOpenssl)(name, () => {
  let ca: PrivateCa;
  let front: TlsFront;

  beforeAll(async () => {
    ca = await PrivateCa.create();
    const names = 'DNS:s3.wire.example,DNS:localhost,IP:127.0.0.1';
    front = await TlsFront.answering(await ca.issue({ names }), answer);
  });

  afterAll(async () => {
    await front[Symbol.asyncDispose]();
    await ca[Symbol.asyncDispose]();
  });

  async function readAll(
    endpoint: string,
    environment: Readonly<Record<string, string>>,
    trusted: string | undefined,
  ): Promise<Buffer> {
    const settings = trusted === undefined ? {} : { ca: trusted };
    const surroundings = { environment, clock: systemClock, log: silentLog };
    const nowhere = { ...surroundings, gridCertificates: '/nonexistent/grid' };
    await using network = await openNetwork(settings, nowhere, forever);
    const lease = {
      accessKeyId: 'ID',
      secretAccessKey: new Secret('secret'),
      sessionToken: new Secret('token'),
      expiresAtMs: Number.MAX_SAFE_INTEGER,
    };
    const current = async (): Promise<typeof lease> => await Promise.resolve(lease);
    const credentials = { credentials: current, renew: current };
    const parts = { network, credentials, clock: systemClock, log: silentLog };
    await using stores = createS3Stores({ endpoint, region: 'us-east-1', ...parts });
    const store = stores.open('bucket');
    const extents = [0, 1, 2].map((nth) => ({ start: nth * 500_000, end: (nth + 1) * 500_000 }));
    const read = async (): Promise<Buffer> =>
      Buffer.concat(
        await Promise.all(
          extents.map(async (extent) => await readBytes(store, 'key', extent, etag)),
        ),
      );
    const first = await read();
    expect(first.equals(body)).toBe(true);
    return await read();
  }

  it('gives the right bytes, its connections used again, the body left out of the signature', async () => {
    const before = front.connections;
    const read = await readAll(front.url, {}, ca.file);
    expect(read.equals(body)).toBe(true);
    expect(front.connections - before).toBeLessThanOrEqual(3);
    expect(seen.at(-1)?.headers['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
  });

  it('gives them through a proxy as well, which sees the host only', async () => {
    await using proxy = await ConnectProxy.start({ ports: { 's3.wire.example:8443': front.port } });
    const read = await readAll(BEHIND, { HTTPS_PROXY: `http://${proxy.host}` }, ca.file);
    expect(read.equals(body)).toBe(true);
    expect(new Set(proxy.asked)).toEqual(new Set(['s3.wire.example:8443']));
    expect(proxy.plainRequests).toBe(0);
  });

  it('is not made at a server that nobody vouches for', async () => {
    const before = seen.length;
    const refusal = await readAll(front.url, {}, undefined).catch((error: unknown) => error);
    expect((refusal as StoreError).kind).toBe('unreachable');
    expect((refusal as StoreError).toLine()).toContain('signed by a CA that is not known here');
    expect(seen.length).toBe(before);
  });

  it('is not made past a proxy that refuses', async () => {
    await using proxy = await ConnectProxy.start({ refuseWith: 403 });
    const environment = { HTTPS_PROXY: `http://${proxy.host}` };
    const refusal = await readAll(BEHIND, environment, ca.file).catch((error: unknown) => error);
    expect((refusal as StoreError).toLine()).toContain(`the proxy ${proxy.host} refused`);
    expect(proxy.asked).toHaveLength(1);
  });
});
