/** Answers of object stores and token services, damaged. */
import { describe, expect } from 'vitest';
import { BadAnswerError, parseHead } from '../../src/net/http1/answer-head.ts';
import { readBucketList } from '../../src/s3/bucket-list-document.ts';
import { ErrorDocument } from '../../src/s3/error-document.ts';
import { readListing } from '../../src/s3/listing-document.ts';
import { classify, RefusedError } from '../../src/s3/s3-errors.ts';
import { readFields } from '../../src/s3/write-documents.ts';
import { BadXmlError } from '../../src/s3/xml-reader.ts';
import { parseCredentials, parseStsError } from '../../src/sts/sts-reply.ts';
import { fuzz, orRefused } from './fuzzing.ts';

const declaration = '<?xml version="1.0" encoding="UTF-8"?>\n';
const listing = `${declaration}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>d/</Prefix><EncodingType>url</EncodingType><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr</NextContinuationToken><Contents><Key>d/a%20b%C3%A9</Key><LastModified>2026-11-22T17:38:13.634Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>12</Size><StorageClass>STANDARD</StorageClass><Owner><ID>1</ID></Owner></Contents><Contents><Key>d/c+d</Key><LastModified>2026-11-22T17:38:13Z</LastModified><ETag>"x-2"</ETag><Size>0</Size></Contents><CommonPrefixes><Prefix>d/e/</Prefix></CommonPrefixes></ListBucketResult>`;
const plain = `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a&amp;b&#10;</Key><ETag>1</ETag><Size>7</Size><LastModified>2020-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>`;
const bucketList = `${declaration}<ListAllMyBucketsResult><Owner><ID>x</ID></Owner><Buckets><Bucket><Name>one</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket><Bucket><Name>two</Name></Bucket></Buckets></ListAllMyBucketsResult>`;
const refusal = `${declaration}<Error><Code>SlowDown</Code><Message>Please reduce</Message><RequestId>4442587FB7D0A2F9</RequestId><Region>eu</Region></Error>`;
const completed = `${declaration}<CompleteMultipartUploadResult><Location>l</Location><Bucket>b</Bucket><Key>k</Key><ETag>"3858f62230ac3c915f300c664312c11f-9"</ETag></CompleteMultipartUploadResult>`;
const lease = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AK</AccessKeyId><SecretAccessKey>SK&amp;</SecretAccessKey><SessionToken>ST</SessionToken><Expiration>2026-11-22T18:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
const stsError = `<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>the token &lt;x&gt; has expired</Message></Error></ErrorResponse>`;
const jsonError = '{"Error":{"Code":"AccessDenied","Message":"no"}}';

const isBadXml = (error: unknown): boolean => error instanceof BadXmlError;
const ok = parseHead('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n');

const facts = { leaseEnded: false, mustBeAbsent: false, tokenInDoubt: false };

describe('a listing that is damaged', () => {
  fuzz('is a page of names, sizes and times that make sense, or refused', {
    name: 'listing',
    seeds: [listing, plain],
    read: (document) => {
      const page = orRefused(() => readListing(document), isBadXml);
      for (const { key, bytes, modifiedMs } of page?.objects ?? []) {
        expect(typeof key).toBe('string');
        expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true);
        expect(Number.isFinite(modifiedMs)).toBe(true);
      }
      expect(page?.next).not.toBe('');
    },
  });

  fuzz('is never taken for whole where its end is missing', {
    name: 'listing-cut',
    seeds: [listing, plain, bucketList],
    read: (noise) => {
      // How long the noise is decides where the document ends.
      for (const whole of [listing, plain]) {
        const cut = Buffer.from(whole).subarray(0, noise.length % whole.length);
        expect(orRefused(() => readListing(cut), isBadXml)).toBeUndefined();
      }
    },
  });
});

describe('another answer of a store that is damaged', () => {
  fuzz('is a list of buckets, or refused', {
    name: 'bucket-list',
    seeds: [bucketList],
    read: (document) => {
      const buckets = orRefused(() => readBucketList(document), isBadXml) ?? [];
      for (const { name, createdMs } of buckets) {
        expect(name).not.toBe('');
        expect(Number.isFinite(createdMs)).toBe(true);
      }
    },
  });

  fuzz('gives the texts that were asked for, or is refused', {
    name: 'write-answer',
    seeds: [completed, refusal],
    read: (body) => {
      const isTyped = (error: unknown): boolean => isBadXml(error) || error instanceof RefusedError;
      const answer = { ...ok, body };
      const fields = orRefused(() => readFields(answer, 'ETag', 'UploadId'), isTyped) ?? {};
      for (const value of Object.values(fields)) expect(typeof value).toBe('string');
    },
  });

  fuzz('is a refusal that can be told, whatever it says', {
    name: 'refusal',
    seeds: [refusal, stsError, '<html><title>502</title></html>'],
    read: (document) => {
      const kept = new ErrorDocument({ ...ok, status: 503 });
      for (let at = 0; at < document.length; ) {
        const room = kept.room();
        const piece = document.subarray(at, at + room.length);
        room.set(piece);
        kept.filled(piece.length);
        at += piece.length;
      }
      const failure = kept.failure();
      expect(typeof failure.code).toBe('string');
      expect(typeof classify(failure, facts).kind).toBe('string');
    },
  });

  fuzz('has a head with a body of known length, or is refused', {
    name: 'answer-head',
    seeds: [
      'HTTP/1.1 206 Partial Content\r\nContent-Length: 12\r\nETag: "x"\r\nContent-Range: bytes 0-11/40\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-amz-meta-a: b\r\nx-amz-meta-a: c\r\n',
      'HTTP/1.0 503 Slow Down\r\nConnection: close\r\nRetry-After: 1\r\n',
    ],
    read: (document) => {
      const isTyped = (error: unknown): boolean => error instanceof BadAnswerError;
      const head = orRefused(() => parseHead(document.toString('latin1')), isTyped);
      if (head === undefined) return;
      expect(head.status).toBeGreaterThanOrEqual(100);
      if (head.framing.by === 'length') {
        expect(Number.isSafeInteger(head.framing.bytes) && head.framing.bytes >= 0).toBe(true);
      }
    },
  });
});

describe('a reply of a token service that is damaged', () => {
  fuzz('is a lease with all its parts, or none', {
    name: 'sts-lease',
    seeds: [lease, stsError],
    read: (document) => {
      const found = parseCredentials(document.toString('utf8'));
      if (found === undefined) return;
      expect(found.accessKeyId).not.toBe('');
      expect(found.secretAccessKey.reveal()).not.toBe('');
      expect(found.sessionToken.reveal()).not.toBe('');
      expect(Number.isFinite(found.expiresAtMs)).toBe(true);
    },
  });

  fuzz('is an error in words of a bounded length', {
    name: 'sts-error',
    seeds: [stsError, jsonError, '<html><title>Portal</title></html>', refusal],
    read: (document) => {
      const { code, message } = parseStsError(document.toString('utf8'));
      expect(['string', 'undefined']).toContain(typeof code);
      expect(message.length).toBeLessThanOrEqual(Math.max(4096, document.length));
    },
  });
});
