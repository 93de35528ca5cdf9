/**
 * `wire report`: what somebody needs to find out from afar why wire does not work here, in one
 * archive. Every text passes `redactKnown` after the vault has been opened: what is kept there, what
 * came in the environment and what looks like a token is blanked. Names are not.
 */
import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isAbort } from '../../lib/abort.ts';
import { MiB } from '../../lib/bytes.ts';
import { redactKnown } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import { type CheckupEvents, type CheckupParts, checkUp } from '../doctor/checkup.ts';
import type { CheckupRequest } from '../doctor/visit.ts';
import { readLogTail } from '../log-reader.ts';
import type { Surroundings } from '../surroundings.ts';
import { environmentFacts, mountLines, systemFacts } from './machine-facts.ts';
import { type ArchivedFile, tarOf } from './tar.ts';

export interface ReportRequest {
  readonly checkup: CheckupRequest;
  /** Each setting with where it comes from. */
  readonly settings: unknown;
  /** Where the archive goes: a file that is not there. */
  readonly path: string;
  /** The log to take the end of. */
  readonly logFile: string;
}

export interface Report {
  readonly path: string;
  readonly bytes: number;
  readonly files: readonly ReportedFile[];
}

export interface ReportedFile {
  readonly name: string;
  /** What is in it, as a clause. */
  readonly about: string;
  readonly bytes: number;
}

/** A week of a mount at `info`, and an archive that can be sent by mail. */
const LOG_LINES = 5000;
const LOG_BYTES = 4 * MiB;

/** One file of it, before it is known what is in it. */
interface Part {
  readonly name: string;
  readonly about: string;
  readonly text: (signal: AbortSignal) => Promise<string>;
}

/** @throws WireError `config` or `exists`; `signal.reason` once aborted. */
export async function writeReport(
  request: ReportRequest,
  events: CheckupEvents,
  parts: CheckupParts,
  signal: AbortSignal,
): Promise<Report> {
  const { clock } = parts.surroundings;
  // In turn: the check-up comes first, and opens the vault, so that its secrets are known.
  const written: { readonly part: Part; readonly content: Buffer }[] = [];
  for (const part of reportParts(request, events, parts)) {
    const text = await partText(part, signal);
    written.push({ part, content: Buffer.from(redactKnown(text)) });
  }
  const folder = basename(request.path).replace(/\.tar\.gz$/, '');
  const named = written.map(({ part: { name, about }, content }) => {
    return { name, about, content };
  });
  const all = [{ name: 'README.txt', about: 'what is in it', content: readmeOf(named) }, ...named];
  const files = all.map(({ name, content }): ArchivedFile => {
    return { name: `${shortName(folder)}/${name}`, content };
  });
  const archive = gzipSync(tarOf(files, clock.now()));
  await writeNew(request.path, archive);
  return {
    path: request.path,
    bytes: archive.byteLength,
    files: all.map(({ name, about, content }) => ({ name, about, bytes: content.byteLength })),
  };
}

function reportParts(
  { checkup, settings, logFile }: ReportRequest,
  events: CheckupEvents,
  parts: CheckupParts,
): readonly Part[] {
  const { surroundings, status } = parts;
  const { environment, paths } = surroundings;
  return [
    {
      name: 'doctor.json',
      about: 'what `wire doctor` found',
      text: async (signal) => json(await checkUp(checkup, events, parts, signal)),
    },
    {
      name: 'status.json',
      about: 'mounts and logins, as `wire status` shows them',
      text: async (signal) => json(await status(signal)),
    },
    {
      name: 'system.json',
      about: 'versions of wire, Node and the system; limits; folders in use',
      text: async () => json(await systemFacts(surroundings)),
    },
    {
      name: 'settings.json',
      about: `settings, and where each comes from (${paths.configFile})`,
      text: async () => await Promise.resolve(json(settings)),
    },
    {
      name: 'environment.json',
      about: 'variables that mean something to wire; of secret ones that they are set',
      text: async () => await Promise.resolve(json(environmentFacts(environment))),
    },
    {
      name: 'mounts.txt',
      about: "the kernel's lines of mounts of wire, and of the disks that wire uses",
      text: async () => await mountLines(paths),
    },
    {
      name: 'wire.log',
      about: `the end of ${logFile}`,
      text: async () => await logText(logFile, surroundings),
    },
  ];
}

/** One part that cannot be had takes nothing from the others. */
async function partText({ text }: Part, signal: AbortSignal): Promise<string> {
  try {
    return await text(signal);
  } catch (error) {
    signal.throwIfAborted();
    if (isAbort(error)) throw error;
    const line = error instanceof WireError ? error.toLine() : String(error);
    return `This could not be found out: ${line}\n`;
  }
}

async function logText(path: string, { log }: Pick<Surroundings, 'log'>): Promise<string> {
  log.info('report asked for');
  const { lines } = await readLogTail(path, LOG_LINES, () => true);
  let bytes = 0;
  const last: string[] = [];
  for (const line of lines.toReversed()) {
    bytes += line.length;
    if (bytes > LOG_BYTES || last.length === LOG_LINES) break;
    last.push(line);
  }
  return last
    .reverse()
    .map((line) => `${line}\n`)
    .join('');
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function readmeOf(files: readonly { readonly name: string; readonly about: string }[]): Buffer {
  const lines = [
    'Made by `wire report`, for those who maintain wire.',
    '',
    'Secrets are blanked: tokens, keys, passwords. Names are not: of hosts, buckets, people, and of',
    'files in errors. Look through it before you send it.',
    '',
    ...files.map(({ name, about }) => `${name.padEnd(18)}${about}`),
  ];
  return Buffer.from(redactKnown(`${lines.join('\n')}\n`));
}

/** What a tar archive takes as a name; the folder of the files. */
function shortName(name: string): string {
  return name.replaceAll(/[^\w.-]/g, '-').slice(0, 60) || 'wire-report';
}

async function writeNew(path: string, bytes: Buffer): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const tried = `write ${path}`;
  try {
    const file = await open(path, flags, 0o600);
    try {
      await file.writeFile(bytes);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const next = 'name another place with --output FILE';
    if (code === 'EEXIST') {
      const answered = 'something is there already';
      throw new WireError('exists', { tried, answered, next }, { cause: error });
    }
    throw new WireError(
      'config',
      { tried, answered: code ?? String(error), next },
      { cause: error },
    );
  }
}
