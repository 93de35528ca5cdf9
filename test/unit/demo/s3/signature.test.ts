import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoreDialect } from '../../../../src/demo/dialect.ts';
import type { ObjectServer } from '../../../../src/demo/s3/object-server.ts';
import type { Principal } from '../../../../src/demo/s3/principal.ts';
import { guest, late, root, startPlayground } from './fixtures/playground.ts';
import {
  amzDate,
  call,
  codeOf,
  hmac,
  presign,
  type RawReply,
  type Signed,
  send,
  sha256,
  sign,
  signingKey,
} from './fixtures/raw-client.ts';

const servers = new Map<StoreDialect, ObjectServer>();
const url = (dialect: StoreDialect = 'aws'): string => servers.get(dialect)?.url ?? '';

beforeAll(async () => {
  for (const dialect of ['aws', 'minio', 'rgw'] as const) {
    const server = await startPlayground(dialect);
    server.foreign.putObject('shared', 'k ü', 'hello');
    servers.set(dialect, server);
  }
});

afterAll(async () => {
  for (const server of servers.values()) await server[Symbol.asyncDispose]();
});

const path = '/shared/k%20%C3%BC';
const outcome = (reply: RawReply): string => `${reply.status} ${codeOf(reply) ?? ''}`.trim();

async function tampered(change: (signed: Signed) => void, who = root): Promise<string> {
  const signed = sign(url(), { path, query: { 'response-expires': 'x' } }, who);
  change(signed);
  return outcome(await send(url(), signed));
}

describe('signatures in the header', () => {
  it('are accepted when nothing was changed', async () => {
    expect((await call(url(), { path }, root)).text).toBe('hello');
    expect(await tampered(() => undefined)).toBe('200');
  });

  it.each<[string, (signed: Signed) => void]>([
    ['path', (signed) => (signed.path = '/shared/other')],
    ['query', (signed) => (signed.query['response-expires'] = 'y')],
    ['another query', (signed) => (signed.query['versionId'] = 'y')],
    ['host', (signed) => (signed.headers['host'] = 'localhost')],
    ['payload hash', (signed) => (signed.headers['x-amz-content-sha256'] = sha256('x'))],
    ['date', (signed) => (signed.headers['x-amz-date'] = amzDate(Date.now() - 5000))],
    [
      'signature',
      (signed) => {
        const { authorization = '' } = signed.headers;
        const last = authorization.endsWith('0') ? '1' : '0';
        signed.headers['authorization'] = authorization.slice(0, -1) + last;
      },
    ],
  ])('are refused after a change of the %s', async (_, change) => {
    expect(await tampered(change)).toBe('403 SignatureDoesNotMatch');
  });

  it('are refused after a change of the method', async () => {
    const signed = { ...sign(url(), { path }, root), method: 'DELETE' };
    expect(outcome(await send(url(), signed))).toBe('403 SignatureDoesNotMatch');
  });

  it('are refused when malformed, absent, for another day or without the host', async () => {
    const set = (authorization: string) => (signed: Signed) => {
      signed.headers['authorization'] = authorization;
    };
    expect(await tampered(set('AWS4-HMAC-SHA256 nonsense'))).toBe(
      '400 AuthorizationHeaderMalformed',
    );
    expect(await tampered((signed) => delete signed.headers['authorization'])).toBe(
      '403 AccessDenied',
    );
    const change = (from: RegExp, to: string) => (signed: Signed) => {
      signed.headers['authorization'] = signed.headers['authorization']?.replace(from, to) ?? '';
    };
    expect(await tampered(change(/\/\d{8}\//, '/20200101/'))).toBe(
      '400 AuthorizationHeaderMalformed',
    );
    expect(await tampered(change(/host;/, ''))).toBe('403 SignatureDoesNotMatch');
  });

  it('hold only within fifteen minutes, either way', async () => {
    const at = async (dateMs: number): Promise<string> =>
      outcome(await call(url(), { path, dateMs }, root));
    const minute = 60_000;
    expect(await at(Date.now() - 14 * minute)).toBe('200');
    expect(await at(Date.now() - 16 * minute)).toBe('403 RequestTimeTooSkewed');
    expect(await at(Date.now() + 16 * minute)).toBe('403 RequestTimeTooSkewed');
  });

  it('cover the body', async () => {
    const raw = { method: 'PUT', path: '/shared/body', body: 'truth' };
    const signed = { ...sign(url(), raw, root), body: Buffer.from('false') };
    expect(outcome(await send(url(), signed))).toBe('400 XAmzContentSHA256Mismatch');
    expect(servers.get('aws')?.foreign.head('shared', 'body')).toBeUndefined();
  });
});

describe('signatures in the query', () => {
  it('are accepted until they expire, with the session token of temporary credentials', async () => {
    for (const who of [root, guest]) {
      expect((await send(url(), presign(url(), { path }, who, 60))).text).toBe('hello');
      const old = { path, dateMs: Date.now() - 61_000 };
      expect(outcome(await send(url(), presign(url(), old, who, 60)))).toBe('403 AccessDenied');
    }
  });

  it('are refused after a change, and with a life over seven days', async () => {
    const signed = presign(url(), { path }, root, 60);
    signed.query['X-Amz-Expires'] = '61';
    expect(outcome(await send(url(), signed))).toBe('403 SignatureDoesNotMatch');
    const long = presign(url(), { path }, root, 8 * 24 * 3600);
    expect(outcome(await send(url(), long))).toBe('400 AuthorizationQueryParametersError');
  });
});

describe('faults of identity', () => {
  const wrong = (who: Principal, change: Partial<Principal>): Principal => ({ ...who, ...change });
  const untokened: Principal = { ...root, accessKeyId: 'GUEST', secretAccessKey: 'guest-secret' };
  const faults: readonly [string, Principal, Record<StoreDialect, string>][] = [
    [
      'expired',
      late,
      { aws: '400 ExpiredToken', minio: '403 InvalidAccessKeyId', rgw: '403 AccessDenied' },
    ],
    [
      'unknown key',
      wrong(root, { accessKeyId: 'NOBODY' }),
      { aws: '403 InvalidAccessKeyId', minio: '403 InvalidAccessKeyId', rgw: '403 AccessDenied' },
    ],
    [
      'wrong secret',
      wrong(root, { secretAccessKey: 'x' }),
      {
        aws: '403 SignatureDoesNotMatch',
        minio: '403 SignatureDoesNotMatch',
        rgw: '403 AccessDenied',
      },
    ],
    [
      'wrong temporary secret',
      wrong(guest, { secretAccessKey: 'x' }),
      {
        aws: '403 SignatureDoesNotMatch',
        minio: '403 SignatureDoesNotMatch',
        rgw: '403 SignatureDoesNotMatch',
      },
    ],
    [
      'tampered token',
      wrong(guest, { sessionToken: 'guest-tokeN' }),
      { aws: '400 InvalidToken', minio: '403 InvalidTokenId', rgw: '403 AccessDenied' },
    ],
    [
      'missing token',
      untokened,
      { aws: '403 InvalidAccessKeyId', minio: '403 InvalidTokenId', rgw: '403 AccessDenied' },
    ],
    [
      'stray token',
      wrong(root, { sessionToken: 'bogus' }),
      { aws: '400 InvalidToken', minio: '403 InvalidTokenId', rgw: '400 InvalidArgument' },
    ],
  ];

  it.each(faults)('are answered in each dialect: %s', async (_, who, expected) => {
    for (const dialect of ['aws', 'minio', 'rgw'] as const) {
      const reply = await call(url(dialect), { path }, who);
      expect(outcome(reply)).toBe(expected[dialect]);
      if (dialect === 'rgw') expect(reply.text).toContain('<Message></Message>');
      const head = await call(url(dialect), { path, method: 'HEAD' }, who);
      const [status, code] = expected[dialect].split(' ');
      expect(String(head.status)).toBe(status);
      expect(head.text).toBe('');
      expect(head.headers['x-minio-error-code']).toBe(dialect === 'minio' ? code : undefined);
      expect(head.headers['x-minio-error-desc'] !== undefined).toBe(dialect === 'minio');
    }
  });

  it('are told before what they ask for', async () => {
    const reply = await call(
      url(),
      { path: '/no-such-bucket/x' },
      wrong(root, { secretAccessKey: 'x' }),
    );
    expect(codeOf(reply)).toBe('SignatureDoesNotMatch');
  });
});

describe('bodies in signed chunks', () => {
  const chunks = ['a'.repeat(8192), 'b'.repeat(100), ''];

  function framed(trailer: boolean, spoil: (text: string) => string = (text) => text): Signed {
    const payload = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailer ? '-TRAILER' : ''}`;
    const raw = {
      method: 'PUT',
      path: '/shared/chunked',
      payload,
      headers: {
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': '8292',
        ...(trailer && { 'x-amz-trailer': 'x-amz-checksum-sha256' }),
      },
    };
    const signed = sign(url(), raw, root);
    const date = signed.headers['x-amz-date'] ?? '';
    const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`;
    const key = signingKey(root.secretAccessKey, scope);
    let previous = signed.headers['authorization']?.slice(-64) ?? '';
    const next = (kind: string, hashes: string): string => {
      const text = `AWS4-HMAC-SHA256-${kind}\n${date}\n${scope}\n${previous}\n${hashes}`;
      previous = hmac(key, text).toString('hex');
      return previous;
    };
    let text = '';
    for (const chunk of chunks) {
      const signature = next('PAYLOAD', `${sha256('')}\n${sha256(chunk)}`);
      text += `${chunk.length.toString(16)};chunk-signature=${signature}\r\n${chunk}`;
      if (chunk !== '') text += '\r\n';
    }
    if (trailer) {
      const value = Buffer.from(sha256(chunks.join('')), 'hex').toString('base64');
      const line = `x-amz-checksum-sha256:${value}\n`;
      text += `${line.trim()}\r\nx-amz-trailer-signature:${next('TRAILER', sha256(line))}\r\n`;
    }
    signed.body = Buffer.from(spoil(`${text}\r\n`));
    return signed;
  }

  it.each([false, true])('are stored without their frames (trailer: %s)', async (trailer) => {
    const reply = await send(url(), framed(trailer));
    expect(outcome(reply)).toBe('200');
    const stored = await servers.get('aws')?.foreign.getObject('shared', 'chunked');
    expect(stored?.toString()).toBe(chunks.join(''));
    expect(reply.headers['x-amz-checksum-sha256'] !== undefined).toBe(trailer);
  });

  it.each<[string, (text: string) => string, string]>([
    ['a changed byte', (text) => text.replace('aaa', 'aba'), '403 SignatureDoesNotMatch'],
    [
      'a changed chunk signature',
      (text) => text.replace(/=.{4}/, '=0000'),
      '403 SignatureDoesNotMatch',
    ],
    ['a missing end', (text) => text.slice(0, 8000), '400 IncompleteBody'],
    ['a broken frame', (text) => text.replace('2000;', 'zz;'), '400 IncompleteBody'],
    [
      'a changed trailer signature',
      (text) => text.replace(/(trailer-signature:).{4}/, '$10000'),
      '403 SignatureDoesNotMatch',
    ],
  ])('are refused with %s', async (_, spoil, expected) => {
    servers.get('aws')?.foreign.deleteObject('shared', 'chunked');
    expect(outcome(await send(url(), framed(true, spoil)))).toBe(expected);
    expect(servers.get('aws')?.foreign.head('shared', 'chunked')).toBeUndefined();
  });
});
