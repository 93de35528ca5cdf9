/**
 * OPA as MinIO's policy plugin: MinIO asks it about every request, up to three times, and takes no
 * answer as a refusal.
 *
 * @see https://www.openpolicyagent.org/docs/rest-api
 */
import { resolve } from 'node:path';
import { freePort } from './free-port.ts';
import type { GoProgram } from './go-program.ts';
import type { ServerGroup } from './server-group.ts';

/** Files of `opa/`: whether session policies are looked at beside the rights of people. */
export type OpaPolicy = 'rights-alone' | 'session-policies';

const FOLDER = resolve('scripts', 'servers', 'opa');
const READY_MS = 10_000;

/** @returns where decisions are asked for. */
export async function startOpa(
  group: ServerGroup,
  { path }: GoProgram,
  policy: OpaPolicy,
  signal: AbortSignal,
): Promise<string> {
  const place = `127.0.0.1:${await freePort()}`;
  const files = ['people', policy].map((name) => `${FOLDER}/${name}.rego`);
  // Decisions are not logged: they hold the session tokens of people.
  const server = group.start('opa', path, [
    ...['run', '--server', '--addr', place, '--log-level', 'error', '--skip-version-check'],
    ...files,
  ]);
  const decisions = `http://${place}/v1/data/wire/allow`;
  const decides = async (): Promise<boolean> => {
    const body = JSON.stringify({ input: { owner: true } });
    const answer = await fetch(decisions, { method: 'POST', body, signal });
    return ((await answer.json()) as { readonly result?: unknown }).result === true;
  };
  await group.ready(server, decides, READY_MS, signal);
  return decisions;
}
