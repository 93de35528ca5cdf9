/** The playground's servers answer as one of these, as measured on the real ones. */

/** `standard`: RFC 8628 to the letter. `indigo`: INDIGO IAM 1.12, with its own ways. */
export type IamDialect = 'standard' | 'indigo';

/** Whose quirks the object store and its STS show. */
export type StoreDialect = 'aws' | 'minio' | 'rgw';
