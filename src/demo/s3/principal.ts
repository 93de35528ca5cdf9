/** What the object server knows of who signs: filled by the root keys and by STS. */

/** What a request touches. Absent bucket: the list of buckets. */
export interface Resource {
  readonly bucket?: string;
  readonly key?: string;
}

/** Condition keys of a request (`s3:prefix`, `aws:SecureTransport`, ...), as IAM policies name them. */
export type RequestConditions = Readonly<Record<string, string>>;

/** The holder of one access key. */
export interface Principal {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Present for temporary credentials: the request must carry exactly this token. */
  readonly sessionToken?: string;
  /** Ms since the epoch; absent: for ever. */
  readonly expiresAtMs?: number;
  /** For messages and counters: `root`, or the `sub` of the token. */
  readonly name: string;
  /** Whether policy lets this principal do `action` (`s3:GetObject`) to `resource`. */
  allows(action: string, resource: Resource, conditions: RequestConditions): boolean;
}

export interface PrincipalBook {
  /** Expired principals are found too: the answer then depends on the dialect. */
  find(accessKeyId: string): Principal | undefined;
}

/** An XML answer of the security token service. */
export interface StsReply {
  readonly status: number;
  readonly xml: string;
}

/** Answers a form POST to `/` whose `Action` the object server does not know itself. */
export interface SecurityTokenService {
  answer(form: URLSearchParams): Promise<StsReply>;
}
