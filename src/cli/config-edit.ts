/**
 * `wire config edit`: an editor works on a copy beside the file, which replaces the file only when
 * it can be used and nobody else has changed the file meanwhile. No work is thrown away: a copy
 * that does not replace the file, and differs from what it began with, is kept and named.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { checkConfig } from '../config/check.ts';
import { createConfigFile, readConfigText, replaceConfigFile } from '../config/config-file.ts';
import type { Environment } from '../config/settings.ts';
import { starterText } from '../config/starter.ts';
import { parted } from '../daemon/private-environment.ts';
import { WireError, type WireErrorKind } from '../lib/wire-error.ts';
import { faultLines } from './config-view.ts';
import type { CommandContext } from './context.ts';

/** How POSIX calls an editor that is there when nobody has chosen one. */
const USUAL_EDITOR = 'vi';

/** @param from what to begin with instead of the file. */
export async function editConfig(context: CommandContext, from: string | undefined): Promise<void> {
  const { terminal, paths, signal } = context;
  const path = paths.configFile;
  const before = await readConfigText(path, signal);
  const unedited = before ?? starterText('default', {});
  const begun = from === undefined ? unedited : await textToBeginWith(from, signal);
  const copy = copyBeside(path);
  await createConfigFile(copy, begun);
  const edit: Edit = { path, copy, before, begun, from };
  try {
    await runEditor(copy, context);
    const edited = await readConfigText(copy, new AbortController().signal);
    if (edited === undefined || edited === unedited) {
      terminal.result('Nothing was changed');
      return;
    }
    refuseFaults(edited, edit, context);
    await refuseOtherChange(edited, edit, signal);
    await replaceConfigFile(path, edited);
    terminal.result(`Saved ${path}`);
    await rm(copy, { force: true });
    if (from !== undefined && isCopyOf(path, from)) await rm(from, { force: true });
  } finally {
    await dropUnchanged(edit);
  }
}

interface Edit {
  readonly path: string;
  readonly copy: string;
  /** The file when the edit began; undefined when there was none. */
  readonly before: string | undefined;
  /** The copy as the editor got it. */
  readonly begun: string;
  /** Where that was from, other than the file. */
  readonly from: string | undefined;
}

async function textToBeginWith(from: string, signal: AbortSignal): Promise<string> {
  const text = await readConfigText(from, signal);
  if (text !== undefined) return text;
  throw new WireError('not-found', { tried: `begin with ${from}`, answered: 'it is not there' });
}

/** Ends in `.yaml`, for the editor's sake. */
function copyBeside(path: string): string {
  return join(dirname(path), `${stemOf(path)}.edit-${randomBytes(4).toString('hex')}.yaml`);
}

function isCopyOf(path: string, other: string): boolean {
  const [stem, name] = [stemOf(path), basename(other)];
  if (dirname(other) !== dirname(path) || !name.startsWith(`${stem}.`)) return false;
  return /^\.edit-[0-9a-f]{8}\.yaml$/.test(name.slice(stem.length));
}

function stemOf(path: string): string {
  return basename(path).replace(/\.ya?ml$/, '');
}

/** @throws WireError `config` with every fault told before, a line each. */
function refuseFaults(edited: string, edit: Edit, context: CommandContext): void {
  const { terminal, paths } = context;
  const { faults, ...checked } = checkConfig(edited, edit.copy, paths.home, {});
  if (faults.length === 0) return;
  for (const line of faultLines({ ...checked, faults })) terminal.say(line);
  const answered = faults.length === 1 ? 'one thing is wrong' : `${faults.length} things are wrong`;
  throw kept('config', answered, edited, edit);
}

async function refuseOtherChange(edited: string, edit: Edit, signal: AbortSignal): Promise<void> {
  const now = await readConfigText(edit.path, signal);
  if (now === edit.before) return;
  throw kept('precondition-failed', 'it was changed meanwhile', edited, edit);
}

function kept(kind: WireErrorKind, answered: string, edited: string, edit: Edit): WireError {
  const { path, copy, begun, from } = edit;
  // What was begun with says the same, and stays.
  const place = edited === begun && from !== undefined ? from : copy;
  const next = `your edit is kept, go on with: wire config edit '${place}'`;
  return new WireError(kind, { tried: `replace ${path}`, answered, next });
}

/** A copy that nobody has worked on is no use to anybody. */
async function dropUnchanged({ copy, begun }: Edit): Promise<void> {
  const text = await readConfigText(copy, new AbortController().signal).catch(() => undefined);
  if (text === begun) await rm(copy, { force: true });
}

/** The editor that a person wants: a line for a shell, as git and crontab take it. */
function editorOf({ VISUAL, EDITOR }: Environment): string {
  const chosen = [VISUAL, EDITOR].map((line) => line?.trim()).find(Boolean);
  return chosen ?? USUAL_EDITOR;
}

/**
 * Returns when the editor has ended well.
 *
 * @throws WireError `config` when it has not, or is not there; the signal's reason.
 */
async function runEditor(file: string, context: CommandContext): Promise<void> {
  const { environment, signal } = context;
  const editor = editorOf(environment);
  // It needs none of the secrets that this process was given.
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], {
    stdio: 'inherit',
    env: parted(environment).open,
  });
  const stop = (): boolean => child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const answered = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, ending) => resolve(code === 0 ? undefined : endText(code, ending)));
  });
  signal.removeEventListener('abort', stop);
  signal.throwIfAborted();
  if (answered === undefined) return;
  const facts = { tried: `edit with ${editor}`, answered, next: 'nothing was replaced' };
  throw new WireError('config', facts);
}

/** 126 and 127 are the shell's (XCU 2.8.2). */
function endText(code: number | null, ending: NodeJS.Signals | null): string {
  if (code === 127) return 'there is no such program (set VISUAL or EDITOR)';
  return code === null ? `it was ended by ${ending ?? 'a signal'}` : `it ended with ${code}`;
}
