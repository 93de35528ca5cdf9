/** Files that a mount has left on the disk, damaged: they give what was written, or nothing. */
import { describe, expect } from 'vitest';
import { decodeHead, encodeHead } from '../../src/cache/disk-record.ts';
import {
  encodeRecord as encodeIndexRecord,
  INDEX_MAGIC,
  recordsIn as indexRecordsIn,
} from '../../src/fs/index-log.ts';
import { decodeAttributes, decodeListing, encodeAttributes } from '../../src/fs/index-records.ts';
import { parseIntent } from '../../src/fs/journal/intent-json.ts';
import { parseLife } from '../../src/fs/journal/life.ts';
import {
  decodeFileHead,
  encodeFileHead,
  encodeRecord,
  type RecordType,
  recordsIn,
} from '../../src/fs/journal/record.ts';
import { decodeMetadata } from '../../src/fs/object-metadata.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { fuzz } from './fuzzing.ts';

const SALT = 0x1234abcd;
const save = {
  kind: 'save',
  bucket: 'b',
  key: 'd/f',
  exclusive: false,
  bytes: 5,
  acceptedMs: 1,
  metadata: { mode: '33188' },
  content: 'inline',
  extents: [[0, 5, 'local']],
};
const intents: readonly (readonly [RecordType, object, string])[] = [
  ['life', { endpoint: 'e', source: 's3://b' }, ''],
  ['note', save, 'hello'],
  ['change', { ...save, content: { file: 'staged-1' } }, ''],
  ['note', { kind: 'delete', bucket: 'b', key: 'd/g', etag: '"x"' }, ''],
  ['note', { kind: 'move', bucket: 'b', from: 'a/', to: 'c/', stage: 'copying' }, ''],
  ['settled', {}, ''],
  ['forget', {}, ''],
];
const journal = Buffer.concat([
  encodeFileHead({ salt: SALT, order: 1 }),
  ...intents.flatMap(([type, fields, content], id) => {
    const bytes = Buffer.from(content);
    return [encodeRecord(SALT, { type, id, json: JSON.stringify(fields) }, [bytes]), bytes];
  }),
]);
const written = new Set(
  intents.map(([type, fields, content], id) =>
    [type, id, JSON.stringify(fields), content].join(' '),
  ),
);

describe('a journal that is damaged', () => {
  fuzz('holds records that were written, and no others', {
    name: 'journal',
    seeds: [journal],
    read: (file) => {
      const head = decodeFileHead(file);
      if (head === undefined) return;
      for (const found of recordsIn(file, head)) {
        if ('damage' in found) continue;
        const { type, id, json, contentAt, contentBytes } = found.record;
        const content = file.toString('utf8', contentAt, contentAt + contentBytes);
        expect(written).toContain([type, id, json, content].join(' '));
      }
    },
  });

  fuzz('holds intents that can be done, and names no file outside of its folder', {
    name: 'intent',
    seeds: [
      ...intents.map(([, fields]) => JSON.stringify(fields)),
      JSON.stringify({ kind: 'upload', bucket: 'b', key: 'k', notedMs: 1, uploadId: 'u' }),
    ],
    read: (document) => {
      const json = document.toString('utf8');
      parseLife(json);
      const intent = parseIntent(json);
      if (intent === undefined) return;
      expect(typeof intent.bucket).toBe('string');
      if (intent.kind !== 'save' || intent.content === 'inline') return;
      expect(intent.content.file).toMatch(/^[\w-][\w.-]*$/);
    },
  });
});

const attributes = encodeAttributes([
  ['/b/f', { mode: 0o644, uid: 1, etag: '"x"', xattrs: new Map([['user.a', Buffer.from('v')]]) }],
  ['/b/l', { kind: 'symlink', target: '../x', etag: '"y"' }],
  ['/b/g', undefined],
]);
const listing = Buffer.from(
  JSON.stringify({
    start: systemClock.boot?.()?.start,
    toldMs: systemClock.boot?.()?.ms,
    names: [['d'], ['f', 5, 1000, '"x"']],
  }),
);
const records = [
  { type: 'attributes', directory: 'b/', body: attributes },
  { type: 'listing', directory: 'b/d/', body: listing },
  { type: 'changed', directory: 'b/', body: Buffer.alloc(0) },
] as const;
const index = Buffer.concat([INDEX_MAGIC, ...records.map(encodeIndexRecord)]);
const known = new Set(
  records.map(({ type, directory, body }) => `${type} ${directory} ${body.toString('hex')}`),
);

describe('an index that is damaged', () => {
  fuzz('holds records that were written, and no others', {
    name: 'index',
    seeds: [index],
    read: (file) => {
      for (const { type, directory, body } of indexRecordsIn(file)) {
        expect(known).toContain(`${type} ${directory} ${body.toString('hex')}`);
      }
    },
  });

  fuzz('tells attributes and names of the right types, whatever a record says', {
    name: 'index-body',
    seeds: [attributes, listing],
    read: (body) => {
      for (const [id, kept] of decodeAttributes(body)) {
        expect(typeof id).toBe('string');
        if (kept?.mode !== undefined) expect(typeof kept.mode).toBe('number');
        for (const value of kept?.xattrs?.values() ?? []) expect(value).toBeInstanceOf(Uint8Array);
      }
      const found = decodeListing(body, { clock: systemClock, listTtlMs: 1e12 });
      for (const { name } of found?.names ?? []) expect(typeof name).toBe('string');
    },
  });
});

const head = {
  generation: '75111333b95fca75',
  digest: Buffer.alloc(32, 7),
  text: Buffer.from(JSON.stringify({ endpoint: 'e', key: 'k', etag: '"x"', bytes: 5 })),
};
const record = encodeHead(head) ?? Buffer.alloc(0);

describe('a record of the cache that is damaged', () => {
  fuzz('is the head that was written, or none', {
    name: 'cache-record',
    seeds: [record],
    read: (file) => {
      const found = decodeHead(file);
      if (found === undefined) return;
      expect(found.generation).toBe(head.generation);
      expect(Buffer.from(found.digest).equals(head.digest)).toBe(true);
      expect(Buffer.from(found.text).equals(head.text)).toBe(true);
    },
  });
});

describe('user metadata that is damaged', () => {
  fuzz('tells attributes of the right types', {
    name: 'metadata',
    seeds: [
      'mode=33188 uid=1000 gid=1000 mtime=1700000000.5 xattr={"user.a":"dg=="}',
      'mode=41471',
    ],
    read: (document) => {
      const metadata: Record<string, string> = {};
      for (const pair of document.toString('latin1').split(' ')) {
        const at = pair.indexOf('=');
        metadata[pair.slice(0, Math.max(0, at))] = pair.slice(at + 1);
      }
      const { mode, uid, mtimeMs } = decodeMetadata(metadata);
      for (const number of [mode, uid, mtimeMs]) {
        if (number !== undefined) expect(Number.isFinite(number)).toBe(true);
      }
    },
  });
});
