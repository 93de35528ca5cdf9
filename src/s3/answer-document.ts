/** Answers that are documents, read without the SDK: it takes ten times as long for a listing. */
import { StoreError } from '../store/errors.ts';
import { BadXmlError } from './xml-reader.ts';

/**
 * What `read` makes of `document`.
 *
 * @throws StoreError `unavailable` when it makes no sense: it may be asked for again.
 */
export function readAnswer<T>(tried: string, document: Buffer, read: (document: Buffer) => T): T {
  try {
    return read(document);
  } catch (error) {
    if (!(error instanceof BadXmlError)) throw error;
    const detail = { code: `an answer that makes no sense (${error.message})` };
    throw new StoreError('unavailable', tried, detail, { cause: error });
  }
}
