/**
 * WLCG Bearer Token Discovery 1.0 (Zenodo 3937438): BEARER_TOKEN, BEARER_TOKEN_FILE,
 * $XDG_RUNTIME_DIR/bt_u$EUID, /tmp/bt_u$EUID. An empty place is passed over, a broken one is an
 * error; so is a BEARER_TOKEN_FILE that is not there: the next place may hold somebody else's.
 */
import path from 'node:path';

import type { Secret } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import { givenSource } from './given-tokens.ts';
import { type FileFacts, notesOn } from './named-file.ts';
import { type Finding, notThere, variable } from './source.ts';
import { type FileTrust, readTokenFile } from './token-file.ts';
import { tokenIn } from './token-text.ts';

export interface WlcgFacts extends FileFacts {
  /** Where everybody may write; /tmp but for tests. */
  readonly sharedFolder: string;
}

interface Discovered {
  readonly token: Secret;
  readonly place: string;
  readonly notes: readonly string[];
}

/** @throws WireError `config`. */
export async function lookForWlcgToken(facts: WlcgFacts): Promise<Finding> {
  const found = await discover(facts);
  if (found === undefined) {
    const files = placesOf(facts).map(({ file }) => file);
    return notThere(`no token in ${['BEARER_TOKEN', 'BEARER_TOKEN_FILE', ...files].join(', ')}`);
  }
  const { token, place, notes } = found;
  const { clock } = facts;
  // The whole search each time: the places are renewed, and emptied, by others.
  const read = async (): Promise<Secret | undefined> => (await discover(facts))?.token;
  const renewal =
    place === 'BEARER_TOKEN'
      ? 'start again with a fresh BEARER_TOKEN, or name a file with BEARER_TOKEN_FILE'
      : 'have a fresh token written there; wire reads it again';
  return { there: true, source: givenSource(token, { place, read, renewal, clock }, notes) };
}

async function discover(facts: WlcgFacts): Promise<Discovered | undefined> {
  const place = 'BEARER_TOKEN';
  const token = tokenIn(facts.environment[place] ?? '', place);
  if (token !== undefined) return { token, place, notes: [] };
  for (const { file, trust, by } of placesOf(facts)) {
    const found = await readTokenFile(file, trust, facts.euid);
    if (found === undefined && by !== undefined) throw missing(file, by);
    if (found === undefined) continue;
    const inFile = `the file ${file}${by === undefined ? '' : ` (${by})`}`;
    const read = tokenIn(found.text, inFile);
    if (read === undefined) continue;
    return { token: read, place: inFile, notes: notesOn(file, found.openToOthers) };
  }
  return undefined;
}

interface Place {
  readonly file: string;
  readonly trust: FileTrust;
  /** The variable that names it; it is then expected to be there. */
  readonly by?: string;
}

function placesOf({ environment, euid, sharedFolder }: WlcgFacts): readonly Place[] {
  const by = 'BEARER_TOKEN_FILE';
  const named = variable(environment, by);
  const runtime = variable(environment, 'XDG_RUNTIME_DIR');
  // Without user ids (Windows) there are no such names.
  const name = euid < 0 ? undefined : `bt_u${euid}`;
  return [
    ...(named === undefined ? [] : [{ file: named, trust: 'named' as const, by }]),
    ...(runtime === undefined || name === undefined
      ? []
      : [{ file: path.join(runtime, name), trust: 'own' as const }]),
    ...(name === undefined
      ? []
      : [{ file: path.join(sharedFolder, name), trust: 'private' as const }]),
  ];
}

function missing(file: string, by: string): WireError {
  return new WireError('config', {
    tried: `use the token in ${file}`,
    answered: `${by} names it, but there is no such file`,
    next: `have a token written there, or unset ${by}`,
  });
}
