/**
 * How the server can tell that a body has come whole.
 *
 * Over plain HTTP the signature covers the SHA-256 of the body: every server checks it. Over TLS a
 * CRC-32 does, at a third of the cost, where the server has shown that it checks one; until then,
 * and where it does not (Ceph RGW 16), the SHA-256 again. It costs less than half of an MD5
 * wherever the processor has instructions for it (in ms a GiB: 600 for SHA-256, 1430 for MD5, 220
 * for CRC-32), and the signature of a request without it would hold for any body.
 */
import { createHash, hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Header, UNSIGNED_PAYLOAD } from './request-signature.ts';
import type { BodyGuard, RequestBody } from './s3-request.ts';

export const CRC_HEADER = 'x-amz-checksum-crc32';

/** What an endpoint was found to do with the CRC-32 of a body. */
export class CrcKnowledge {
  readonly secure: boolean;
  #state: 'untried' | 'checked' | 'ignored' = 'untried';

  /** @param secure the endpoint is reached over TLS. */
  constructor(secure: boolean) {
    this.secure = secure;
  }

  /** A CRC-32 may be worth sending. */
  get mayHelp(): boolean {
    return this.#state !== 'ignored';
  }

  /** The server checks it, and says so in its answer. */
  get isChecked(): boolean {
    return this.#state === 'checked';
  }

  /** After an answer to a request that carried one. */
  learn(answer: ReadonlyMap<string, string>, header: string = CRC_HEADER): void {
    this.#state = answer.has(header) ? 'checked' : 'ignored';
  }

  /**
   * A request that carried one was refused for what it asked for: whether that may have been due to
   * the CRC, so that the request is worth another try without it.
   */
  mayBeRefused(): boolean {
    if (this.#state !== 'untried') return false;
    this.#state = 'ignored';
    return true;
  }
}

type CrcUse = 'none' | 'beside' | 'alone';

/** One body, with sums that are made when they are first asked for. */
export class SummedBody implements RequestBody {
  readonly bytes: Uint8Array;
  readonly #secure: boolean;
  readonly #crcFor: () => CrcUse;
  #sha256: string | undefined;
  #crc32: string | undefined;

  /** @param crcFor whether a CRC-32 goes along, and whether it may stand for the SHA-256. */
  constructor(bytes: Uint8Array, secure: boolean, crcFor: () => CrcUse) {
    this.bytes = bytes;
    this.#secure = secure;
    this.#crcFor = crcFor;
  }

  guard(): BodyGuard {
    const crc = this.#crcFor();
    const headers: readonly Header[] = crc === 'none' ? [] : [[CRC_HEADER, this.crc32]];
    const stands = this.#secure && crc === 'alone';
    return { payload: stands ? UNSIGNED_PAYLOAD : this.#sha256Hex(), headers };
  }

  /** In base64, as S3 writes it. */
  get crc32(): string {
    this.#crc32 ??= crcText(crc32(this.bytes));
    return this.#crc32;
  }

  /** Also the ETag of an object stored in one piece, unless it is encrypted with a key of KMS. */
  get md5Hex(): string {
    return createHash('md5').update(this.bytes).digest('hex');
  }

  #sha256Hex(): string {
    this.#sha256 ??= hash('sha256', this.bytes, 'hex');
    return this.#sha256;
  }
}

/** The body of a whole object. */
export function objectBody(bytes: Uint8Array, crc: CrcKnowledge): SummedBody {
  return new SummedBody(bytes, crc.secure, () => {
    if (!crc.mayHelp) return 'none';
    return crc.isChecked ? 'alone' : 'beside';
  });
}

/**
 * The body of a part: with a CRC-32 only in an upload that was begun with it. AWS has refused it
 * in others (arrow-rs-object-store issue 34).
 */
export function partBody(bytes: Uint8Array, crc: CrcKnowledge, named: boolean): SummedBody {
  return new SummedBody(bytes, crc.secure, () => (named ? 'alone' : 'none'));
}

/** A document: the SHA-256 of a few bytes costs nothing. */
export function plainBody(bytes: Uint8Array): RequestBody {
  return new SummedBody(bytes, false, () => 'none');
}

function crcText(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString('base64');
}

/** The CRC-32 that S3 gives an object made of parts with these: that of theirs, and how many. */
export function crcOfParts(crcs: readonly string[]): string {
  const all = Buffer.concat(crcs.map((crc) => Buffer.from(crc, 'base64')));
  return `${crcText(crc32(all))}-${crcs.length}`;
}
