/** Whose intents a journal holds, and where they belong: what another mount must agree with. */

export interface Life {
  readonly endpoint: string;
  /** As people write it: `s3://bucket/prefix`. */
  readonly source: string;
  readonly issuer: string;
  /** `sub` of the tokens; '' where tokens do not say. */
  readonly subject: string;
  readonly mountPoint: string;
  /** Which start of the machine; '' where that cannot be told. */
  readonly boot: string;
}

/** Whether what `left` promised may be done by `present`: never with somebody else's rights. */
export function isSameOwner(left: Life, present: Life): boolean {
  return (
    left.subject !== '' &&
    left.endpoint === present.endpoint &&
    left.source === present.source &&
    left.issuer === present.issuer &&
    left.subject === present.subject
  );
}

/** Undefined for what is none. */
export function parseLife(json: string): Life | undefined {
  const fields = fieldsOf(json);
  const names = ['endpoint', 'source', 'issuer', 'subject', 'mountPoint', 'boot'] as const;
  if (!names.every((name) => typeof fields?.[name] === 'string')) return undefined;
  return fields as unknown as Life; // each field has been looked at
}

export function fieldsOf(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value !== 'object' || value === null) return undefined;
    return value as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}
