/** A request to S3 before it is signed, and an answer that was read whole. */
import type { Header, Method } from './request-signature.ts';

/** How silent the server may be meanwhile: it answers soon, takes a body, or works for minutes. */
export type Work = 'answers' | 'receives' | 'copies';

export interface S3Request {
  readonly method: Method;
  /** Absent: all of them. */
  readonly bucket?: string;
  /** Absent: the bucket itself. */
  readonly key?: string;
  /** Names and values encoded, in the order of their names; default none. */
  readonly query?: string;
  /** Signed, besides those that every request has. */
  readonly headers?: readonly Header[];
  /** Default: none. */
  readonly body?: RequestBody;
  /** Default 'answers'. */
  readonly work?: Work;
}

/** What is sent with a request, and how it is known to be whole on the other side. */
export interface RequestBody {
  readonly bytes: Uint8Array;
  /** Of the moment: what is known of the server may have changed since the try before. */
  guard(): BodyGuard;
}

export interface BodyGuard {
  /** Hex SHA-256 of the body, or `UNSIGNED-PAYLOAD`. */
  readonly payload: string;
  readonly headers: readonly Header[];
}

export interface S3Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}
