import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BadAnswerError, parseHead } from '../../../../src/net/http1/answer-head.ts';

const head = (...lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');

describe('the head of an answer', () => {
  it('is read with its status, its fields and its length', () => {
    const read = parseHead(head('HTTP/1.1 206 Partial', 'ETag:  "a b" ', 'content-length: 5'));
    expect(read.status).toBe(206);
    expect(read.headers.get('etag')).toBe('"a b"');
    expect(read.framing).toEqual({ by: 'length', bytes: 5 });
    expect(read.keepsAlive).toBe(true);
  });

  it.each([
    ['HTTP/1.1 200 OK', 'Connection: close', 'Content-Length: 1'],
    ['HTTP/1.1 200 OK', 'Connection: x, CLOSE', 'Content-Length: 1'],
    ['HTTP/1.0 200 OK', 'Connection: keep-alive', 'Content-Length: 1'],
    ['HTTP/1.1 500'],
  ])('%s %s ends the connection', (...lines) => {
    expect(parseHead(head(...lines)).keepsAlive).toBe(false);
  });

  it.each([
    ['chunked', { by: 'chunks' }],
    ['CHUNKED', { by: 'chunks' }],
  ])('knows Transfer-Encoding: %s', (encoding, framing) => {
    const read = parseHead(head('HTTP/1.1 200 OK', `Transfer-Encoding: ${encoding}`));
    expect(read.framing).toEqual(framing);
  });

  it.each([
    ['two lengths', ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['a length twice', ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Content-Length: 5']],
    ['a list of lengths', ['HTTP/1.1 200 OK', 'Content-Length: 5, 5']],
    ['a signed length', ['HTTP/1.1 200 OK', 'Content-Length: +5']],
    ['a length in hex', ['HTTP/1.1 200 OK', 'Content-Length: 0x5']],
    ['an empty length', ['HTTP/1.1 200 OK', 'Content-Length:']],
    ['a length beyond numbers', ['HTTP/1.1 200 OK', `Content-Length: ${'9'.repeat(16)}`]],
    ['two encodings', ['HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked']],
    ['an encoding of HTTP/1.0', ['HTTP/1.0 200 OK', 'Transfer-Encoding: chunked']],
    ['a folded field', ['HTTP/1.1 200 OK', 'ETag: a', ' b']],
    ['a space before the colon', ['HTTP/1.1 200 OK', 'Content-Length : 5']],
    ['no colon', ['HTTP/1.1 200 OK', 'ETag']],
    ['no name', ['HTTP/1.1 200 OK', ': a']],
    ['a line feed alone', ['HTTP/1.1 200 OK', 'ETag: a\nContent-Length: 5']],
    ['a carriage return alone', ['HTTP/1.1 200 OK', 'ETag: a\rContent-Length: 5']],
    ['a NUL', ['HTTP/1.1 200 OK', 'ETag: a\0']],
    ['another protocol', ['HTTP/2 200 OK']],
    ['a status of two digits', ['HTTP/1.1 20 OK']],
    ['a status of four digits', ['HTTP/1.1 2000 OK']],
    ['a status that begins with 0', ['HTTP/1.1 020 OK']],
    ['space before the status', ['HTTP/1.1  200 OK']],
    ['text of something else', ['SSH-2.0-OpenSSH_9.2']],
  ])('is refused with %s', (_, lines) => {
    expect(() => parseHead(head(...lines))).toThrow(BadAnswerError);
  });

  it('that answers a HEAD has no body, whatever it says of one, and leaves the connection', () => {
    for (const length of ['Content-Length: 5', 'Transfer-Encoding: chunked', 'X-None: 0']) {
      const read = parseHead(head('HTTP/1.1 200 OK', length), true);
      expect(read).toMatchObject({ framing: { by: 'length', bytes: 0 }, keepsAlive: true });
    }
  });

  it('is the same in whatever case its names are written', () => {
    const names = ['Content-Length', 'ETag', 'Content-Range', 'Connection'];
    const cased = fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }).map((upper) =>
      names.map((name, nth) =>
        Array.from(name)
          .map((letter, at) =>
            upper[(nth * 15 + at) % 60] ? letter.toUpperCase() : letter.toLowerCase(),
          )
          .join(''),
      ),
    );
    fc.assert(
      fc.property(cased, ([length, etag, range, connection]) => {
        const read = parseHead(
          head(
            'HTTP/1.1 206 x',
            `${length}: 7`,
            `${etag}: "e"`,
            `${range}:r`,
            `${connection}: Close`,
          ),
        );
        expect(read.framing).toEqual({ by: 'length', bytes: 7 });
        expect(read.headers.get('etag')).toBe('"e"');
        expect(read.headers.get('content-range')).toBe('r');
        expect(read.keepsAlive).toBe(false);
      }),
    );
  });

  it('never takes anything but an error or a head, whatever comes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000, size: 'max' }), (text) => {
        try {
          expect(parseHead(text).status).toBeGreaterThan(99);
        } catch (error) {
          expect(error).toBeInstanceOf(BadAnswerError);
        }
      }),
    );
  });
});
