/** Where logins are kept, and which there are. Pure. */
import type { WireError } from '../../lib/wire-error.ts';
import type { LoginFacts as KeptLogin } from '../identity.ts';
import { type Finding, findingsOf } from './finding.ts';
import { spanOf } from './spans.ts';

/** Where the key of a vault may be. */
export type KeyKind =
  | 'keychain'
  | 'key-file'
  | 'passphrase'
  | 'systemd-creds'
  | 'kernel-keyring'
  | 'local-file';

export interface VaultFacts {
  readonly file: string;
  /** Of the vault there is; absent where there is none. */
  readonly key?: KeyKind;
  readonly logins: readonly KeptLogin[];
  /** Why they cannot be read. */
  readonly trouble?: WireError;
  /** Without a vault: what a login would find for its key, the best first. */
  readonly places: readonly KeyPlace[];
}

export interface KeyPlace {
  readonly name: string;
  /** Why it cannot be used. */
  readonly trouble?: string;
}

const make = findingsOf('logins');

export function loginFindings(facts: VaultFacts, nowMs: number): readonly Finding[] {
  const { trouble, key } = facts;
  if (trouble !== undefined) return [make.refused(trouble)];
  if (key === undefined) return placeFindings(facts);
  const { logins } = facts;
  const told = logins.map((login) => endFinding(login, nowMs)).filter((each) => each !== undefined);
  const nobody = make.note('nobody is logged in', 'run: wire login ISSUER');
  return [keyFinding(facts, key), ...(logins.length === 0 ? [nobody] : told)];
}

function keyFinding({ file, logins }: VaultFacts, key: KeyKind): Finding {
  const kept = `${logins.length === 1 ? '1 login' : `${logins.length} logins`} in ${file}`;
  switch (key) {
    case 'keychain':
      return make.ok(`${kept}, its key in the keychain`);
    case 'key-file':
    case 'passphrase':
      return make.ok(`${kept}, its key in the file that WIRE_KEY_FILE names`);
    case 'systemd-creds':
      return make.ok(`${kept}, its key sealed by systemd-creds`);
    case 'kernel-keyring': {
      const seen = `${kept}, its key in the kernel's keyring: gone with a reboot or your last process`;
      return make.note(seen, 'to keep logins for longer, set WIRE_KEY_FILE and log in again');
    }
    case 'local-file': {
      const seen = `${kept}, its key in a plain file beside it: who has both has the logins`;
      const fix = `set WIRE_KEY_FILE to a file kept elsewhere, remove ${file} and log in again`;
      return make.warning(seen, fix);
    }
  }
}

function endFinding(login: KeptLogin, nowMs: number): Finding | undefined {
  const { issuer, who, untilMs, endsSoon } = login;
  const fix = `run: wire login ${issuer}`;
  if (untilMs === undefined) return undefined;
  const span = spanOf(untilMs - nowMs);
  if (untilMs <= nowMs) {
    return make.failure('login-expired', `the login of ${who} at ${issuer} ended ${span} ago`, fix);
  }
  if (endsSoon !== true) return undefined;
  return make.warning(`the login of ${who} at ${issuer} ends in ${span}`, fix);
}

function placeFindings({ places }: VaultFacts): readonly Finding[] {
  const usable = places.find(({ trouble }) => trouble === undefined);
  if (usable !== undefined) {
    const seen = `nobody has logged in yet; the key of the logins would go to ${usable.name}`;
    return [make.note(seen, 'run: wire login ISSUER')];
  }
  const why = places.map(({ name, trouble = '' }) => `${name}: ${trouble}`).join('; ');
  const fix =
    'set WIRE_KEY_FILE to a file of 32 random bytes (head -c 32 /dev/urandom > FILE; chmod 600 FILE), or log in with --insecure-storage';
  return [make.warning(`there is no safe place for the key of a login (${why})`, fix)];
}
