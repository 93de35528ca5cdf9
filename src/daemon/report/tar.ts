/** A tar archive in memory (POSIX.1-2017, pax, "ustar Interchange Format"). Pure. */

export interface ArchivedFile {
  /** ASCII, at most 100 characters, `/` between folders. */
  readonly name: string;
  readonly content: Buffer;
}

const BLOCK_BYTES = 512;
/** Of the header, from its start. */
const CHECKSUM_AT = 148;
const CHECKSUM_CHARS = 8;

/** `atMs`: when the files were made, ms since the epoch. They are for their owner alone. */
export function tarOf(files: readonly ArchivedFile[], atMs: number): Buffer {
  const blocks = files.flatMap(({ name, content }) => [
    headerOf(name, content.byteLength, atMs),
    content,
    Buffer.alloc(padding(content.byteLength)),
  ]);
  // Two empty blocks end an archive.
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)]);
}

function padding(bytes: number): number {
  return (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

function headerOf(name: string, bytes: number, atMs: number): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  const text = (at: number, value: string): number => header.write(value, at, 'latin1');
  const number = (at: number, chars: number, value: number): number =>
    text(at, value.toString(8).padStart(chars - 1, '0'));
  text(0, name);
  number(100, 8, 0o600);
  number(108, 8, 0); // uid, gid: whoever unpacks it
  number(116, 8, 0);
  number(124, 12, bytes);
  number(136, 12, Math.floor(atMs / 1000));
  text(156, '0'); // a regular file
  text(257, 'ustar');
  text(263, '00');
  // The sum counts its own field as blanks.
  header.fill(' ', CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_CHARS);
  const sum = header.reduce((total, byte) => total + byte, 0);
  text(CHECKSUM_AT, `${sum.toString(8).padStart(6, '0')}\0 `);
  return header;
}
