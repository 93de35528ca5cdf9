import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeMetadata,
  encodeMetadata,
  isPlain,
  METADATA_BYTES,
  type ToldAttributes,
  tellsSame,
} from '../../../src/fs/object-metadata.ts';

const id = fc.integer({ min: 0, max: 2 ** 32 - 2 });
/** To the nanosecond, as far as a number holds that. */
const time = fc
  .tuple(fc.integer({ min: -5e12, max: 5e12 }), fc.integer({ min: 0, max: 4095 }))
  .map(([ms, part]) => Number((ms + part / 4096).toFixed(6)));
const xattrName = fc
  .tuple(
    fc.constantFrom('user.', 'trusted.', 'security.'),
    fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
  )
  .map(([space, rest]) => `${space}${rest.replaceAll('\0', '0')}`);
const bytes = fc.uint8Array({ maxLength: 100 });

const attributes: fc.Arbitrary<ToldAttributes> = fc.record(
  {
    type: fc.constantFrom('file', 'directory', 'symlink', 'fifo', 'socket' as const),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: id,
    gid: id,
    mtimeMs: time,
    ctimeMs: time,
    atimeMs: time,
    xattrs: fc
      .array(fc.tuple(xattrName, bytes), { minLength: 1, maxLength: 4 })
      .map((pairs) => new Map(pairs)),
  },
  { requiredKeys: ['type', 'mode'] },
);

const bytesOf = (metadata: Readonly<Record<string, string>>): number =>
  Object.entries(metadata).reduce(
    (sum, [name, value]) => sum + Buffer.byteLength(`x-amz-meta-${name}${value}`),
    0,
  );

const fieldOf = { mtime: 'mtimeMs', ctime: 'ctimeMs', atime: 'atimeMs', xattr: 'xattrs' };

describe('attributes as metadata', () => {
  it('tell what they told before, in printable ASCII and at most 2 KiB, but for what is left out', () => {
    fc.assert(
      fc.property(attributes, (told) => {
        const { metadata, leftOut } = encodeMetadata(told);
        expect(isPlain(metadata)).toBe(true);
        expect(bytesOf(metadata)).toBeLessThanOrEqual(METADATA_BYTES);
        const left = new Set(leftOut.map((name) => fieldOf[name as keyof typeof fieldOf]));
        const expected = Object.entries(told).filter(([field]) => !left.has(field));
        expect(decodeMetadata(metadata)).toEqual(Object.fromEntries(expected));
      }),
      { numRuns: 300 },
    );
  });

  it('tell the number of a device', () => {
    const device = fc.record({
      major: fc.integer({ min: 0, max: 0xfff }),
      minor: fc.integer({ min: 0, max: 0xfffff }),
    });
    fc.assert(
      fc.property(
        device,
        fc.constantFrom('character-device', 'block-device' as const),
        (each, type) => {
          const { metadata } = encodeMetadata({ type, mode: 0o600, device: each });
          expect(decodeMetadata(metadata)).toEqual({ type, mode: 0o600, device: each });
        },
      ),
    );
  });

  it('are read whatever a stranger has put there, without an error', () => {
    const names = fc.constantFrom(
      ...['mode', 'uid', 'gid', 'owner', 'mtime', 'ctime', 'atime', 'xattr', 'rdev', 'permissions'],
      ...[
        '--symlink-target',
        'gcsfuse_mtime',
        'file-mtime',
        'is_symlink',
        '__proto__',
        'constructor',
      ],
    );
    const digits = fc.string({
      unit: fc.constantFrom(...Array.from('0123456789.-e:TZ %{}"')),
      maxLength: 80,
    });
    const value = fc.oneof(
      digits,
      fc.string({ unit: 'binary', maxLength: 3000 }),
      fc.json(),
      fc.json().map(encodeURIComponent),
      fc.constantFrom('%', '%7B%22user.a%22%3A1%7D', 'null', '[]', '9'.repeat(400), '-0', '1e308'),
    );
    const odd = fc.oneof({ weight: 9, arbitrary: value }, { weight: 1, arbitrary: fc.anything() });
    fc.assert(
      fc.property(fc.dictionary(names, odd), (metadata) => {
        const told = decodeMetadata(metadata as Record<string, string>);
        expect(told.mode ?? 0).toBeLessThanOrEqual(0o7777);
        expect(Math.abs(told.mtimeMs ?? 0)).toBeLessThanOrEqual(8.64e15);
        for (const name of told.xattrs?.keys() ?? []) expect(name).toMatch(/^[a-z]+\../);
        // What was read can be written.
        expect(isPlain(encodeMetadata(told).metadata)).toBe(true);
      }),
      { numRuns: 300, size: 'max' } as fc.Parameters<[object]>,
    );
  });

  it('are those that s3fs writes', () => {
    expect(
      decodeMetadata({
        mode: '33261',
        uid: '1000',
        gid: '100',
        mtime: '1767225600.123456789',
        ctime: '1767225601',
        atime: '1767225602.5',
        xattr: '%7B%22user.comment%22%3A%22aGVsbG8%3D%22%7D',
      }),
    ).toEqual({
      type: 'file',
      mode: 0o755,
      uid: 1000,
      gid: 100,
      mtimeMs: 1767225600123.456789,
      ctimeMs: 1767225601000,
      atimeMs: 1767225602500,
      xattrs: new Map([['user.comment', new Uint8Array(Buffer.from('hello'))]]),
    });
    expect(encodeMetadata({ type: 'symlink', mode: 0o777, mtimeMs: 1500 }).metadata).toEqual({
      mode: '41471',
      mtime: '1.500000000',
    });
  });

  it('are those that rclone, gsutil, s3sync, DataSync, gcsfuse, geesefs and blobfuse write', () => {
    expect(decodeMetadata({ mtime: '1767225600.25' })).toEqual({ mtimeMs: 1767225600250 });
    expect(decodeMetadata({ mode: '0100664', mtime: '2026-01-01T00:00:00.5Z' })).toEqual({
      type: 'file',
      mode: 0o664,
      mtimeMs: 1767225600500,
    });
    expect(
      decodeMetadata({
        'goog-reserved-posix-mode': '750',
        'goog-reserved-posix-uid': '5',
        'goog-reserved-posix-gid': '6',
        'goog-reserved-file-mtime': '1767225600',
      }),
    ).toEqual({ mode: 0o750, uid: 5, gid: 6, mtimeMs: 1767225600000 });
    expect(decodeMetadata({ permissions: '0640', owner: '7', group: '8' })).toEqual({
      mode: 0o640,
      uid: 7,
      gid: 8,
    });
    expect(
      decodeMetadata({ 'file-permissions': '0100600', 'file-mtime': '1595002920000000000ns' }),
    ).toEqual({ type: 'file', mode: 0o600, mtimeMs: 1595002920000 });
    expect(
      decodeMetadata({ gcsfuse_symlink_target: '../a', gcsfuse_mtime: '2026-01-01T00:00:00Z' }),
    ).toEqual({ type: 'symlink', target: '../a', mtimeMs: 1767225600000 });
    expect(decodeMetadata({ '--symlink-target': 'a%2Fb' })).toEqual({
      type: 'symlink',
      target: 'a/b',
    });
    expect(decodeMetadata({ is_symlink: 'true' })).toEqual({ type: 'symlink' });
  });

  it('leave room for what strangers have put there, which stays', () => {
    const others = { author: 'somebody', note: 'x'.repeat(1922) };
    const told = { type: 'file', mode: 0o640, uid: 1, gid: 2, mtimeMs: 1, ctimeMs: 2 } as const;
    const { metadata, leftOut } = encodeMetadata(told, { ...others, mode: '1', uid: '9' });
    expect(metadata).toMatchObject({
      ...others,
      mode: '33184',
      mtime: '0.001000000',
      uid: '1',
      gid: '2',
    });
    expect(leftOut).toEqual(['ctime']);
    expect(encodeMetadata(told, { note: 'x'.repeat(2030) }).metadata).toEqual({
      note: 'x'.repeat(2030),
    });
  });

  it('are worth no request for a time of access or change alone', () => {
    const one = { mode: '33188', mtime: '1' };
    expect(tellsSame({ ...one, ctime: '1', atime: '2' }, { ...one, ctime: '3' })).toBe(true);
    expect(tellsSame(one, { ...one, mtime: '2' })).toBe(false);
    expect(tellsSame(one, { ...one, uid: '2' })).toBe(false);
  });
});
