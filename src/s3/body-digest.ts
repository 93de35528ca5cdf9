/** The checksums by which a server vouches for a whole object (S3, "Checking object integrity"). */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { crc32c } from './crc32c.ts';

/** Takes the bytes of an object in their order. */
export interface BodyDigest {
  update(bytes: Uint8Array): void;
  /** In the form of `expected`. */
  value(): string;
}

/** What the whole object should give. */
export interface ExpectedDigest {
  readonly digest: BodyDigest;
  readonly expected: string;
  /** It is the ETag, which only looks like an MD5. */
  readonly guessed: boolean;
}

/** Of the parts of an upload, not of the object, where `-` and their number follow. */
const plainBase64 = /^[A-Za-z0-9+/]+={0,2}$/;
const md5Hex = /^"?([0-9a-f]{32})"?$/;

/**
 * How to check a whole object by the headers of its answer. The cheap ones first: an MD5 costs ten
 * times what reading the bytes from the network does.
 *
 * @param trustsEtag the ETag may count where there is nothing better.
 */
export function expectedDigest(
  headers: ReadonlyMap<string, string>,
  trustsEtag: boolean,
): ExpectedDigest | undefined {
  const stated = (name: string): string | undefined => {
    const value = headers.get(name);
    return value !== undefined && plainBase64.test(value) ? value : undefined;
  };
  const [simple, castagnoli] = [stated('x-amz-checksum-crc32'), stated('x-amz-checksum-crc32c')];
  if (simple !== undefined) {
    const digest = new CrcDigest((bytes, crc) => crc32(bytes, crc));
    return { digest, expected: simple, guessed: false };
  }
  if (castagnoli !== undefined) {
    return { digest: new CrcDigest(crc32c), expected: castagnoli, guessed: false };
  }
  const md5 = stated('content-md5');
  if (md5 !== undefined) return { digest: new Md5Digest('base64'), expected: md5, guessed: false };
  const hex = md5Hex.exec(headers.get('etag') ?? '')?.[1];
  if (!trustsEtag || hex === undefined || isEncrypted(headers)) return undefined;
  return { digest: new Md5Digest('hex'), expected: hex, guessed: true };
}

/** The ETag of an object that the server encrypts is no MD5 of what it gives out. */
function isEncrypted(headers: ReadonlyMap<string, string>): boolean {
  for (const name of headers.keys()) {
    if (name.startsWith('x-amz-server-side-encryption')) return true;
  }
  return false;
}

class CrcDigest implements BodyDigest {
  readonly #extend: (bytes: Uint8Array, crc: number) => number;
  #crc = 0;

  constructor(extend: (bytes: Uint8Array, crc: number) => number) {
    this.#extend = extend;
  }

  update(bytes: Uint8Array): void {
    this.#crc = this.#extend(bytes, this.#crc);
  }

  value(): string {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(this.#crc);
    return bytes.toString('base64');
  }
}

class Md5Digest implements BodyDigest {
  readonly #hash = createHash('md5');
  readonly #form: 'base64' | 'hex';

  constructor(form: 'base64' | 'hex') {
    this.#form = form;
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  value(): string {
    return this.#hash.digest(this.#form);
  }
}
