/** Documents and files as they never should be: what is valid, damaged by a few drawn steps. */
import fc from 'fast-check';

/** One step; places and lengths are parts of the length, in 1/65,536. */
export interface Damage {
  readonly kind: 'flip' | 'set' | 'insert' | 'remove' | 'repeat' | 'cut' | 'move';
  readonly at: number;
  readonly bytes: number;
  readonly value: number;
  readonly token: number;
}

const PARTS = 65_536;
/** A document does not grow beyond this, however often a piece is repeated. */
const MOST_BYTES = 128 * 1024;

export const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom('flip', 'set', 'insert', 'remove', 'repeat', 'cut', 'move'),
  at: fc.nat(PARTS - 1),
  bytes: fc.oneof(fc.nat(8), fc.nat(4096)),
  value: fc.nat(255),
  token: fc.nat(63),
});

/** Pieces that parsers stumble over, of every language here. */
const tokens: readonly Uint8Array[] = [
  ...['<', '>', '</', '/>', '<!--', '-->', '<![CDATA[', ']]>', '<!DOCTYPE a [', '<?', '&', '&#0;'],
  ...['&#x110000;', '&lol;', '{', '}', '[', ']', '":', ',', '"', '\\u0000', '\\ud800', '1e999'],
  ...['-1', '99999999999999999999', 'null', 'true', '__proto__', 'constructor', '- ', ': ', '\n  '],
  ...['&a [*a]', '!!js/function', '<<: *a', '\r\n', '\r\n\r\n', 'Content-Length: 99\r\n', '%00'],
  ...['%c3%28', '../', '\0', '.', '..', '=', '\ufeff', 'é', '%', '+', ' '],
].map((text) => Buffer.from(text));
const numbers: readonly Uint8Array[] = [
  ...[
    [0, 0, 0, 0],
    [255, 255, 255, 255],
    [255, 255, 255, 127],
    [0, 0, 0, 128],
    [1, 0, 0, 0],
  ],
  ...[[0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf8]],
].map((bytes) => Uint8Array.from(bytes));
const pieces: readonly Uint8Array[] = [...tokens, ...numbers];

export function damaged(document: Uint8Array, steps: readonly Damage[]): Buffer {
  let bytes: Buffer = Buffer.from(document);
  for (const step of steps) bytes = once(bytes, step);
  return bytes.subarray(0, MOST_BYTES);
}

function once(bytes: Buffer, step: Damage): Buffer {
  const at = Math.floor((step.at / PARTS) * (bytes.length + 1));
  const end = Math.min(bytes.length, at + step.bytes);
  const [before, piece, after] = [
    bytes.subarray(0, at),
    bytes.subarray(at, end),
    bytes.subarray(end),
  ];
  switch (step.kind) {
    case 'flip':
    case 'set': {
      if (at >= bytes.length) return bytes;
      const changed = Buffer.from(bytes);
      const old = changed[at] ?? 0;
      changed[at] = step.kind === 'set' ? step.value : old ^ (1 << (step.value & 7));
      return changed;
    }
    case 'insert': {
      const token = pieces[step.token % pieces.length] ?? new Uint8Array();
      return Buffer.concat([before, token, bytes.subarray(at)]);
    }
    case 'remove':
      return Buffer.concat([before, after]);
    case 'repeat': {
      const times = Math.min(step.value, Math.floor(MOST_BYTES / Math.max(1, piece.length)));
      return Buffer.concat([
        before,
        ...Array.from({ length: times }, () => piece),
        bytes.subarray(at),
      ]);
    }
    case 'cut':
      return before;
    case 'move':
      return Buffer.concat([after, piece, before]);
  }
}
