/** What credentials are to be good for at most, as a person says it. Pure. */
import { parseSource, type Source } from '../config/source.ts';
import type { CredentialsLimit } from '../daemon/issue-credentials.ts';
import { WireError } from '../lib/wire-error.ts';

export interface LimitFlags {
  readonly bucket?: string;
  readonly prefix?: string;
  readonly readOnly?: boolean;
}

/**
 * Undefined when nothing was said: then the credentials may do whatever the role may.
 *
 * @throws WireError `usage` for what is no place, or two of them.
 */
export function readLimit(
  words: readonly string[],
  { bucket, prefix, readOnly = false }: LimitFlags,
): CredentialsLimit | undefined {
  const [place, ...more] = words;
  if (more.length > 0) throw refusal(more.join(' '), 'one SOURCE is enough');
  if (place !== undefined && (bucket !== undefined || prefix !== undefined)) {
    throw refusal(place, 'it is said twice: as SOURCE and with --bucket or --prefix');
  }
  if (place !== undefined) return { source: placeOf(place), readOnly };
  if (bucket === undefined && prefix !== undefined) throw refusal(prefix, 'there is no --bucket');
  if (bucket !== undefined) return { source: placeOf(`s3://${bucket}/${prefix ?? ''}`), readOnly };
  return readOnly ? { source: { kind: 'buckets' }, readOnly } : undefined;
}

function placeOf(text: string): Source {
  const parsed = parseSource(text);
  if (!parsed.ok) throw refusal(text, `it ${parsed.fault}`);
  if (parsed.value.kind !== 'named') return parsed.value;
  throw refusal(text, 'it is not s3://BUCKET[/PREFIX]');
}

function refusal(place: string, answered: string): WireError {
  return new WireError('usage', { tried: `limit credentials to ${place}`, answered });
}
