/** Answers that are documents, read here: the SDK of AWS takes ten times as long for a listing. */
import { StoreError } from '../store/errors.ts';
import type { S3Answer } from './s3-request.ts';
import { BadXmlError } from './xml-reader.ts';

/**
 * What `read` makes of `answer`.
 *
 * @throws StoreError `unavailable` when it makes no sense: it may be asked for again.
 */
export function readAnswer<T>(tried: string, answer: S3Answer, read: (answer: S3Answer) => T): T {
  try {
    return read(answer);
  } catch (error) {
    if (!(error instanceof BadXmlError)) throw error;
    const detail = { code: `an answer that makes no sense (${error.message})` };
    throw new StoreError('unavailable', tried, detail, { cause: error });
  }
}
