import { S3 } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/lib/secret.ts';
import {
  EMPTY_PAYLOAD,
  type Header,
  RequestSigner,
  UNSIGNED_PAYLOAD,
} from '../../../src/s3/request-signature.ts';
import { S3Route } from '../../../src/s3/s3-route.ts';
import type { Credentials } from '../../../src/sts/credential-source.ts';

const endpoint = 'https://store.example:8443/base';
const region = 'eu-south-1';

function credentialsWith(token: string): Credentials {
  return {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: new Secret('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'),
    sessionToken: new Secret(token),
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  };
}

interface SentRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The request that the SDK would send. */
async function bySdk(
  key: string,
  {
    range,
    etag,
    token,
    addressing,
  }: { range: string; etag: string; token: string; addressing: string },
): Promise<SentRequest> {
  let sent: SentRequest | undefined;
  const client = new S3({
    endpoint,
    region,
    forcePathStyle: addressing === 'path',
    credentials: {
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      ...(token === '' ? {} : { sessionToken: token }),
    },
    maxAttempts: 1,
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      handle: async (request: SentRequest) => {
        sent = request;
        return await Promise.reject(new Error('seen'));
      },
    },
  });
  await client
    .getObject({ Bucket: 'bucket', Key: key, Range: range, IfMatch: etag })
    .catch(() => undefined);
  if (sent === undefined) throw new Error('the SDK sent nothing');
  return sent;
}

const sdkKeys = fc
  .oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
    fc.constantFrom(
      '/',
      '//',
      '.',
      '..',
      'a/../b',
      './a',
      "!'()*~",
      'a b+c%20',
      '?x=y&z#f',
      'ü/日本/😀',
    ),
  )
  .filter((key) => !/\p{Surrogate}/u.test(key));

describe('a signed request', () => {
  it('has the path, the host and the signature that the SDK gives the same request', async () => {
    await fc.assert(
      fc.asyncProperty(
        sdkKeys,
        fc.constantFrom('', 'a/session+token=='),
        fc.constantFrom<'path' | 'virtual'>('path', 'virtual'),
        fc.nat(),
        async (key, token, addressing, start) => {
          const range = `bytes=${start}-${start + 7}`;
          const etag = '"5d41402abc4b2a76b9719d911017c592"';
          const sent = await bySdk(key, { range, etag, token, addressing });
          const route = new S3Route({ endpoint, region, addressing });
          const { host, path } = route.addressOf('bucket', key, route.state);
          expect([host, path]).toEqual([sent.headers['host'], sent.path]);

          const [, names = '', signature] =
            /SignedHeaders=([^,]*), Signature=(\w+)$/.exec(sent.headers['authorization'] ?? '') ??
            [];
          const ours = ['host', 'x-amz-content-sha256', 'x-amz-date', 'x-amz-security-token'];
          const headers = names
            .split(';')
            .filter((name) => !ours.includes(name))
            .map((name) => [name, sent.headers[name] ?? ''] as const);
          const stamp = sent.headers['x-amz-date'] ?? '';
          const atMs = Date.parse(
            stamp.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'),
          );
          const head = new RequestSigner(credentialsWith(token), region).head(
            {
              method: 'GET',
              ...{ host, path, headers },
              query: 'x-id=GetObject',
              payload: sent.headers['x-amz-content-sha256'] ?? '',
            },
            [],
            atMs,
          );
          expect(/Signature=(\w+)\r\n\r\n$/.exec(head)?.[1]).toBe(signature);
          expect(/SignedHeaders=([^,]*)/.exec(head)?.[1]).toBe(names);
          expect(head.startsWith(`GET ${path}?x-id=GetObject HTTP/1.1\r\n`)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is signed with the key of its day, also across midnight and back', () => {
    const signer = new RequestSigner(credentialsWith(''), region);
    const request = {
      method: 'GET',
      ...{ host: 'h', path: '/b/k', query: '', headers: [], payload: UNSIGNED_PAYLOAD },
    } as const;
    const midnightMs = Date.UTC(2026, 0, 1);
    for (const atMs of [midnightMs - 1, midnightMs, midnightMs - 1, midnightMs + 1000]) {
      const fresh = new RequestSigner(credentialsWith(''), region);
      expect(signer.head(request, [], atMs)).toBe(fresh.head(request, [], atMs));
    }
    expect(signer.head(request, [], midnightMs - 1)).toContain('/20251231/eu-south-1/s3/');
  });

  it('is not sent with a header that would end it, or that is no ASCII', () => {
    const signer = new RequestSigner(credentialsWith(''), region);
    for (const etag of ['"a"\r\nx-evil: 1', 'a\0', '"ü"', '\n']) {
      const request = {
        method: 'GET',
        ...{ host: 'h', path: '/', query: '', payload: UNSIGNED_PAYLOAD },
        headers: [['if-match', etag]],
      } as const;
      expect(() => signer.head(request, [], 0)).toThrow('if-match');
      const plain = { ...request, headers: [] };
      expect(() => signer.head(plain, [['if-match', etag]], 0)).toThrow('if-match');
    }
  });

  it('is what a signer that has signed nothing else makes of it, whatever was signed before', () => {
    const words = fc.constantFrom('', 'a', 'a/b', 'b');
    const requests = fc.record({
      method: fc.constantFrom('GET', 'PUT'),
      host: fc.constantFrom('h', 'b.h'),
      path: fc.oneof(words, fc.nat(200).map(String)).map((word) => `/${word}`),
      query: words,
      headers: fc.subarray<Header>([
        ['x-amz-checksum-mode', 'ENABLED'],
        ['x-amz-request-payer', 'requester'],
        ['x-amz-request-payer', 'a  b'],
      ]),
      payload: fc.constantFrom(UNSIGNED_PAYLOAD, EMPTY_PAYLOAD),
    });
    const seconds = fc.constantFrom(0, 999, 1000, 86_400_000);
    const asked = fc.tuple(requests, fc.nat(9), seconds);
    fc.assert(
      fc.property(fc.array(asked, { maxLength: 200, size: 'max' }), (history) => {
        const signer = new RequestSigner(credentialsWith('t'), region);
        for (const [request, start, atMs] of history) {
          const unsigned: Header[] = [['range', `bytes=${start}-9`]];
          const fresh = new RequestSigner(credentialsWith('t'), region);
          expect(signer.head(request, unsigned, atMs)).toBe(fresh.head(request, unsigned, atMs));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('covers what S3 wants signed, and goes with any other field', () => {
    const signer = new RequestSigner(credentialsWith('t'), region);
    const request = {
      method: 'GET',
      ...{ host: 'h', path: '/b/k', query: '', headers: [], payload: UNSIGNED_PAYLOAD },
    } as const;
    const signatures = ['bytes=0-9', 'bytes=10-19'].map((range) => {
      const head = signer.head(request, [['range', range]], 0);
      expect(head).toContain(`\r\nrange: ${range}\r\n`);
      return /SignedHeaders=([^,]*), Signature=(\w+)\r\n/.exec(head)?.slice(1);
    });
    const [first, second] = signatures;
    expect(first?.[0]).toBe('host;x-amz-content-sha256;x-amz-date;x-amz-security-token');
    expect(second).toEqual(first);
  });
});
