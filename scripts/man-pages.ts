/**
 * A part of `npm run build`: the manual, from the same tables as the help and the flags, into
 * `dist/man/`. Its date is that of the build, or of SOURCE_DATE_EPOCH
 * (reproducible-builds.org/specs/source-date-epoch).
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildProgram } from '../src/cli/program.ts';
import { Terminal } from '../src/cli/terminal.ts';
import { commandPages, type Edition, type Page } from './man/command-page.ts';
import { configPage, helperPage } from './man/table-pages.ts';

export async function manPages(edition: Edition): Promise<readonly Page[]> {
  const nowhere = { write: () => undefined };
  const terminal = new Terminal(nowhere, nowhere, {});
  const idle = () => async (): Promise<void> => await Promise.resolve();
  const program = await buildProgram(edition.version, terminal, idle, 'all');
  return [...commandPages(program, edition), configPage(edition), helperPage(edition)];
}

async function main(folder: string): Promise<void> {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  const made = epoch === undefined ? new Date() : new Date(Number(epoch) * 1000);
  await rm(folder, { recursive: true, force: true });
  const pages = await manPages({ version, date: made.toISOString().slice(0, 10) });
  for (const { file, text } of pages) {
    const part = join(folder, `man${file.slice(-1)}`);
    await mkdir(part, { recursive: true });
    await writeFile(join(part, file), text);
  }
}

if (import.meta.filename === process.argv[1]) await main(join('dist', 'man'));
