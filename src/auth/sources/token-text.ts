/** A token as people and programs leave it in a variable or a file: pure. */
import { Secret } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';

/** `isspace(3)` in the C locale, as WLCG Bearer Token Discovery 1.0 has it: not Unicode's spaces. */
const SPACE_AROUND = /^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g;

/** `b64token` of RFC 6750 section 2.1: what may follow `Bearer`. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/**
 * The token that `text` holds; undefined when it holds nothing but space.
 *
 * @param place where it was found, as in `FoundSource`.
 * @throws WireError `config` when that is no token: a page, several lines, a quoted one.
 */
export function tokenIn(text: string, place: string): Secret | undefined {
  const stripped = text.replaceAll(SPACE_AROUND, '');
  if (stripped === '') return undefined;
  if (TOKEN.test(stripped)) return new Secret(stripped);
  throw new WireError('config', {
    tried: `use the token in ${place}`,
    answered: 'that is no token: it holds characters that tokens do not have',
    next: 'put the bare access token there, without quotes or `Bearer`',
  });
}
