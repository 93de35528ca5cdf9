import fc from 'fast-check';
import { XMLParser } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import { readListing } from '../../../src/s3/listing-document.ts';
import { decodeListedKey } from '../../../src/s3/s3-encoding.ts';
import { BadXmlError } from '../../../src/s3/xml-reader.ts';
import type { ListPage } from '../../../src/store/object-store.ts';

const head = '<?xml version="1.0" encoding="UTF-8"?>\n';
const listing = (inside: string, attributes = ''): Buffer =>
  Buffer.from(`${head}<ListBucketResult${attributes}>${inside}</ListBucketResult>`);
const encoded = '<EncodingType>url</EncodingType>';
const object = (key: string, more = '<Size>1</Size>'): string =>
  `<Contents><Key>${key}</Key>${more}</Contents>`;
const keysOf = (document: Buffer): readonly string[] =>
  readListing(document).objects.map(({ key }) => key);

describe('a listing', () => {
  it('tells objects, prefixes and where it goes on', () => {
    const document = listing(
      `<Name>b</Name><Prefix>a/</Prefix><KeyCount>3</KeyCount><IsTruncated>true</IsTruncated>
       <NextContinuationToken>more&amp;+%20</NextContinuationToken>${encoded}
       <Contents>
         <Key>a/b+c%2Bd%01/%C3%BC</Key><LastModified>2015-10-21T07:28:00.000Z</LastModified>
         <ETag>&quot;e&#34;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>
         <Size>9007199254740</Size><StorageClass>STANDARD</StorageClass>
         <Owner><ID>1</ID><DisplayName>Jürgen &amp; Key</DisplayName></Owner>
         <RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>
       </Contents>
       <CommonPrefixes><Prefix>a/d+e/</Prefix></CommonPrefixes>`,
      ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/" note=\'a>b\'',
    );
    expect(readListing(document)).toEqual({
      objects: [
        {
          key: 'a/b c+d\u0001/ü',
          etag: '"e"',
          bytes: 9007199254740,
          modifiedMs: Date.UTC(2015, 9, 21, 7, 28),
        },
      ],
      prefixes: ['a/d e/'],
      next: 'more&+%20',
    });
  });

  it('may be empty, and say so in any way', () => {
    const nothing = { objects: [], prefixes: [] };
    for (const text of [
      '<ListBucketResult/>',
      '<ListBucketResult />',
      '\uFEFF<ListBucketResult></ListBucketResult >\n<!-- end -->',
      `<ListBucketResult><Contents.Extra/>${encoded}<EncodingTypes>x</EncodingTypes></ListBucketResult>`,
      '<ListBucketResult><IsTruncated>false</IsTruncated><NextContinuationToken/></ListBucketResult>',
    ]) {
      expect(readListing(Buffer.from(text)), text).toEqual(nothing);
    }
  });

  it('has its keys decoded, be that they are so told before them or behind', () => {
    expect(keysOf(listing(encoded + object('a+%2B')))).toEqual(['a +']);
    expect(keysOf(listing(object('a+%2B') + encoded))).toEqual(['a +']);
    expect(keysOf(listing(object('%E2%82%AC') + encoded))).toEqual(['€']);
  });

  it('has its keys left as they are where the server does not encode them', () => {
    expect(keysOf(listing(object('100%+ü&lt;&#x1F600;')))).toEqual(['100%+ü<😀']);
    expect(keysOf(listing(`<EncodingType/>${object('%41')}`))).toEqual(['%41']);
    expect(keysOf(listing(object('a<![CDATA[&b]]>c<!-- no -->d')))).toEqual(['a&bcd']);
  });

  it('has its element names with a prefix or without', () => {
    const text = `<s:ListBucketResult xmlns:s="x"><s:Contents><s:Key>k</s:Key><s:Size>2</s:Size></s:Contents></s:ListBucketResult>`;
    expect(readListing(Buffer.from(text)).objects).toEqual([
      { key: 'k', etag: '', bytes: 2, modifiedMs: 0 },
    ]);
  });

  it('keeps no memory of the document in its keys', () => {
    const [key = ''] = keysOf(listing(object('k'.repeat(100)) + encoded));
    expect(key).toBe('k'.repeat(100));
  });
});

describe('no listing', () => {
  const times = '<LastModified>';
  const cases: Readonly<Record<string, Buffer>> = {
    'another document': Buffer.from('<Error><Code>SlowDown</Code></Error>'),
    'two documents': Buffer.from('<ListBucketResult/><ListBucketResult/>'),
    nothing: Buffer.alloc(0),
    'a page of a proxy': Buffer.from('<!DOCTYPE html><html><body>Sign in</body></html>'),
    'text behind the end': Buffer.concat([listing(''), Buffer.from('x')]),
    'text between elements': listing(`x${object('k')}`),
    'a DTD': Buffer.from('<!DOCTYPE l [<!ENTITY a "b">]><ListBucketResult/>'),
    'an unknown entity': listing(object('&nbsp;')),
    'an entity of no character': listing(object('&#xD800;')),
    'a bare ampersand': listing(object('a&b')),
    'an element inside of a key': listing(object('a<b/>c')),
    'a wrong end': listing('<Contents><Key>k</Size></Contents>'),
    'an attribute without quotes': listing(object('k'), ' a=b'),
    'a key that is not UTF-8': listing(object('%FF') + encoded),
    'a broken percent': listing(object('100%') + encoded),
    'a percent cut short': listing(object('a%4') + encoded),
    'an unknown encoding': listing('<EncodingType>base64</EncodingType>'),
    'bytes that are not UTF-8': Buffer.concat([
      Buffer.from('<ListBucketResult><Name>'),
      Buffer.from([0xff]),
      Buffer.from('</Name></ListBucketResult>'),
    ]),
    'an object without a key': listing('<Contents><Size>1</Size></Contents>'),
    'an object without a size': listing('<Contents><Key>k</Key></Contents>'),
    'an empty size': listing(object('k', '<Size/>')),
    'a negative size': listing(object('k', '<Size>-1</Size>')),
    'a size too long for a number': listing(object('k', `<Size>${'9'.repeat(16)}</Size>`)),
    'a time of its own': listing(object('k', `<Size>1</Size>${times}yesterday</LastModified>`)),
    'a day that is none': listing(
      object('k', `<Size>1</Size>${times}2020-13-01T00:00:00Z</LastModified>`),
    ),
    'two keys in one object': listing(object('k', '<Key>l</Key><Size>1</Size>')),
    'neither true nor false': listing('<IsTruncated>maybe</IsTruncated>'),
    'a truncated one without its rest': listing('<IsTruncated>true</IsTruncated>'),
    'a truncated one with an empty rest': listing(
      '<IsTruncated>true</IsTruncated><NextContinuationToken/>',
    ),
    'elements in each other without end': listing('<a>'.repeat(1000) + '</a>'.repeat(1000)),
  };
  for (const [name, document] of Object.entries(cases)) {
    it(`is ${name}`, () => {
      expect(() => readListing(document)).toThrow(BadXmlError);
    });
  }

  it('is any that was cut off, wherever', () => {
    const whole = listing(`${encoded}<!-- c --><IsTruncated>false</IsTruncated>${object('a%2Fb')}`);
    expect(keysOf(whole)).toEqual(['a/b']);
    for (let end = 0; end < whole.length; end += 1) {
      expect(() => readListing(whole.subarray(0, end)), `${end} bytes`).toThrow(BadXmlError);
    }
  });

  it('is never anything but told so, or read, whatever bytes come', () => {
    const whole = listing(object('a&amp;b', '<ETag>"e"</ETag><Size>1</Size>') + encoded);
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, byte] of changes) bytes[at] = byte;
        try {
          readListing(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(BadXmlError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

/** As a general parser understands it. */
function readGenerally(document: Buffer): ListPage {
  const list = ['ListBucketResult.Contents', 'ListBucketResult.CommonPrefixes'];
  const parser = new XMLParser({
    ...{ parseTagValue: false, trimValues: false, htmlEntities: true, removeNSPrefix: true },
    isArray: (_, path) => list.includes(String(path)),
  });
  const root = (parser.parse(document.toString()) as { ListBucketResult: Fields }).ListBucketResult;
  const key = (text: string): string =>
    root.EncodingType === 'url' ? decodeListedKey(text) : text;
  const page = {
    objects: (root.Contents ?? []).map((one) => ({
      key: key(one.Key),
      etag: one.ETag ?? '',
      bytes: Number(one.Size),
      modifiedMs: one.LastModified === undefined ? 0 : Date.parse(one.LastModified),
    })),
    prefixes: (root.CommonPrefixes ?? []).map(({ Prefix }) => key(Prefix)),
  };
  const next = root.IsTruncated === 'true' ? root.NextContinuationToken : undefined;
  return next === undefined ? page : { ...page, next };
}

interface Fields {
  readonly EncodingType?: string;
  readonly IsTruncated?: string;
  readonly NextContinuationToken?: string;
  readonly Contents?: readonly {
    readonly Key: string;
    readonly ETag?: string;
    readonly Size: string;
    readonly LastModified?: string;
  }[];
  readonly CommonPrefixes?: readonly { readonly Prefix: string }[];
}

describe('what is read', () => {
  const escape = (text: string): string =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const formEncode = (text: string): string => encodeURIComponent(text).replaceAll('%20', '+');
  /** XML has no way to write the others. */
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .map((text) => `k${text.replaceAll(/[\p{Cc}\uFFFE\uFFFF]/gu, '-')}k`);
  const entry = fc.record({
    key: name,
    etag: fc.option(fc.stringMatching(/^[0-9a-f]{32}(-\d{1,4})?$/), { nil: undefined }),
    bytes: fc.nat(),
    at: fc.option(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }), {
      nil: undefined,
    }),
    extra: fc.constantFrom('', '<Owner><ID>Key</ID></Owner>', '<StorageClass/>', '<x:Y z="1"/>'),
    quote: fc.constantFrom('"', '&quot;', '&#34;'),
  });

  it('is what a general parser reads, and what was written', () => {
    const shape = fc.record({
      entries: fc.array(entry, { size: 'max', maxLength: 30 }),
      prefixes: fc.array(name),
      url: fc.boolean(),
      next: fc.option(name, { nil: undefined }),
      space: fc.constantFrom('', '\n  '),
    });
    fc.assert(
      fc.property(shape, ({ entries, prefixes, url, next, space }) => {
        const write = (key: string): string => (url ? formEncode(key) : escape(key));
        const contents = entries.map(({ key, etag, bytes, at, extra, quote }) =>
          [
            `<Contents><Key>${write(key)}</Key>`,
            at === undefined ? '' : `<LastModified>${at.toISOString()}</LastModified>`,
            etag === undefined ? '' : `<ETag>${quote}${etag}${quote}</ETag>`,
            `${extra}<Size>${bytes}</Size></Contents>`,
          ].join(space),
        );
        const document = listing(
          [
            `<IsTruncated>${next !== undefined}</IsTruncated>`,
            next === undefined
              ? ''
              : `<NextContinuationToken>${escape(next)}</NextContinuationToken>`,
            ...contents,
            ...prefixes.map(
              (key) => `<CommonPrefixes><Prefix>${write(key)}</Prefix></CommonPrefixes>`,
            ),
            url ? encoded : '',
          ].join(space),
          ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
        );
        const page = readListing(document);
        expect(page).toEqual(readGenerally(document));
        expect(page.objects.map(({ key }) => key)).toEqual(entries.map(({ key }) => key));
        expect(page.prefixes).toEqual(prefixes);
        expect(page.next).toBe(next);
      }),
      { numRuns: 300 },
    );
  });
});
