/** Texts that are secret by their shape, whoever made them. Pure. */

/** Takes the place of a secret in a text. */
export const REDACTED = '[secret]';

/** A JWT in its compact form (RFC 7519): its header is an object, so base64url of `{"` or `{ `. */
const jwt = /\bey[JA][\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*){0,3}/g;
/** Query and header names of AWS Signature Version 4 whose values give access. */
const amz = /(\bX-Amz-(?:Signature|Security-Token)(?:=|%3D|"?\s*:\s*"?))[^\s"'&<>,]+/gi;
/** Fields of OAuth 2, RFC 7591 and STS whose values are secrets, in JSON, a form or XML. */
const field =
  /(\b(?:(?:access|refresh|id|registration_access)_token|client_secret|device_code|WebIdentityToken|SecretAccessKey|SessionToken)\\?["']?\s*[:=>]\s*\\?["']?)[^\s"'\\&<>,;:]{8,}/gi;

/** Blanks secrets that were never made a `Secret`: in what a server wrote of its own accord. */
export function blankShapes(text: string): string {
  return text
    .replace(jwt, REDACTED)
    .replace(amz, `$1${REDACTED}`)
    .replace(field, (found, name: string) =>
      found.slice(name.length).startsWith(REDACTED) ? found : `${name}${REDACTED}`,
    );
}
