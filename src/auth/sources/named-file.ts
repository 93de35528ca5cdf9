/** A file with an access token that a person or the system names. */
import type { Clock } from '../../lib/clock.ts';
import type { Secret } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import { givenSource } from './given-tokens.ts';
import { type Environment, type Finding, type FoundSource, notThere, variable } from './source.ts';
import { readTokenFile } from './token-file.ts';
import { tokenIn } from './token-text.ts';

export interface FileFacts {
  readonly environment: Environment;
  /** -1 where the system has none. */
  readonly euid: number;
  readonly clock: Clock;
}

/** `--token-file`, WIRE_TOKEN_FILE or `token-file:`. @throws WireError `config`. */
export async function lookForTokenFile(
  path: string | undefined,
  facts: FileFacts,
): Promise<Finding> {
  if (path === undefined) return notThere('no --token-file, WIRE_TOKEN_FILE or `token-file:`');
  return { there: true, source: await namedFile(path, `the file ${path}`, facts) };
}

/**
 * The web identity of AWS's SDKs: a token that Kubernetes and its kind write into a pod, with the
 * role it is for (AWS SDKs and Tools Reference Guide, "Assume role with web identity").
 *
 * @throws WireError `config` when the file is not there or unusable.
 */
export async function lookForWebIdentity(facts: FileFacts): Promise<Finding> {
  const { environment } = facts;
  const path = variable(environment, 'AWS_WEB_IDENTITY_TOKEN_FILE');
  if (path === undefined) return notThere('AWS_WEB_IDENTITY_TOKEN_FILE is not set');
  const place = `the file ${path} (AWS_WEB_IDENTITY_TOKEN_FILE)`;
  const found = await namedFile(path, place, facts);
  const role = variable(environment, 'AWS_ROLE_ARN');
  const sessionName = variable(environment, 'AWS_ROLE_SESSION_NAME');
  const source = {
    ...found,
    ...(role !== undefined && { role }),
    ...(sessionName !== undefined && { sessionName }),
  };
  return { there: true, source };
}

async function namedFile(path: string, place: string, facts: FileFacts): Promise<FoundSource> {
  const { euid, clock } = facts;
  const found = await readTokenFile(path, 'named', euid);
  const token = found === undefined ? undefined : tokenIn(found.text, place);
  if (found === undefined || token === undefined) {
    const answered = found === undefined ? 'there is no such file' : 'it is empty';
    const next = 'write an access token into it first';
    throw new WireError('config', { tried: `use the token in ${place}`, answered, next });
  }
  const read = async (): Promise<Secret | undefined> => {
    const now = await readTokenFile(path, 'named', euid);
    return now === undefined ? undefined : tokenIn(now.text, place);
  };
  const renewal = `have a fresh token written to ${path}; wire reads it again`;
  return givenSource(token, { place, read, renewal, clock }, notesOn(path, found.openToOthers));
}

/** Whoever can read a token can use it. */
export function notesOn(path: string, openToOthers: number): readonly string[] {
  return openToOthers === 0 ? [] : [`others on this machine may use ${path}: chmod 600 it`];
}
