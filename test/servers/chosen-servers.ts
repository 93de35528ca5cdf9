/** The same tests for every server that `npm run test:servers -- NAME` asks for. */
import { describe } from 'vitest';
import type { ServerName } from '../../scripts/servers/real-server.ts';
import { prepareServer, serverNames } from '../../scripts/servers/start.ts';
import { canMount } from '../fixtures/real-mount.ts';

/** MinIO is built in five minutes where nothing else runs. */
const PREPARATION_MS = 20 * 60_000;

/** Why there can be no mount here. */
export const whyNoMounts: string | undefined = canMount ? undefined : 'needs /dev/fuse';

/** Of one server with all tests of a file, on a busy machine. */
export const PATIENCE_MS: number = 10 * 60_000;

/** What they asked for is in `WIRE_SERVERS`; without it every server is meant. */
function chosenServers(): readonly ServerName[] {
  const asked = process.env['WIRE_SERVERS']?.split(',') ?? serverNames;
  return serverNames.filter((name) => asked.includes(name));
}

/**
 * Declares `tests` for each chosen server; where something is missing they are skipped and the
 * title says what it is.
 *
 * @param whyNot what they miss on this machine, whatever the server.
 */
export async function describeServers(
  title: string,
  whyNot: string | undefined,
  tests: (name: ServerName) => void,
): Promise<void> {
  // One after the other: two servers need the same program, which may have to be built.
  for (const name of chosenServers()) {
    const missing = whyNot ?? (await whatIsMissing(name));
    const suffix = missing === undefined ? '' : ` (${missing})`;
    describe.skipIf(missing !== undefined)(`${title} at ${name}${suffix}`, () => tests(name));
  }
}

async function whatIsMissing(name: ServerName): Promise<string | undefined> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  try {
    await prepareServer(name, say, AbortSignal.timeout(PREPARATION_MS));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
