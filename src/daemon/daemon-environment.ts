/**
 * What of a caller's environment matters to a mount: where tokens come from, and how servers are
 * reached. Nothing else is sent to the daemon, which has an environment of its own.
 */
import type { Environment } from '../config/settings.ts';

/** Names as the layers below look them up; `test/unit/daemon/daemon-environment.test.ts` compares. */
const names: ReadonlySet<string> = new Set([
  // auth/sources
  'BEARER_TOKEN',
  'BEARER_TOKEN_FILE',
  'ACCESS_TOKEN',
  'REFRESH_TOKEN',
  'IAM_SERVER',
  'IAM_CLIENT_ID',
  'IAM_CLIENT_SECRET',
  'OIDC_SOCK',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_ROLE_ARN',
  'AWS_ROLE_SESSION_NAME',
  'XDG_RUNTIME_DIR',
  'TMPDIR',
  // the vault
  'WIRE_KEY_FILE',
  'WIRE_NO_KEYCHAIN',
  // net
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'X509_CERT_DIR',
  'AWS_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
]);

/** Of either case; see `net/proxy-choice.ts`. */
const proxyName = /^(?:http|https|all|no)_proxy$/i;

export function isForMounts(name: string): boolean {
  return names.has(name) || proxyName.test(name);
}

/** In the order of names, so that equal ones have equal texts. */
export function environmentOfMounts(environment: Environment): Readonly<Record<string, string>> {
  const found = Object.entries(environment).filter(
    (entry): entry is [string, string] => isForMounts(entry[0]) && Boolean(entry[1]),
  );
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}
