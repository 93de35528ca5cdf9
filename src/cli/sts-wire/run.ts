/** One run of the command under the name sts-wire. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { resolveSettings } from '../../config/settings.ts';
import {
  type LegacySettings,
  readLegacyEnvironment,
  readLegacyFile,
} from '../../config/sts-wire-file.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { CliSurroundings } from '../context.ts';
import { endingOf } from '../failure.ts';
import { type RunOptions, runCli } from '../run.ts';
import { removeLeftovers } from './leftovers.ts';
import { readLegacyWords } from './legacy-words.ts';
import { type Translation, translate } from './translation.ts';

const CONFIG_FILE = 'config.json';

const help = `usage: sts-wire ISSUER INSTANCE ENDPOINT [ROLE AUDIENCE] /BUCKET[/PREFIX] MOUNTPOINT [FLAGS]
       sts-wire --config FILE [FLAGS]
       sts-wire clean | version | report

This is wire under the name of the program it replaces; docs/MIGRATING.md compares them.
flags: --config --log --debug --insecureConn --refreshTokenRenew --noPassword --noModtime
       --noDummyFileCheck --localCache --localCacheDir --readOnly --rcloneMountFlags --tryRemount
       --roleName --audience --rcloneLogLevel`;

/** Never rejects. @returns the exit code. */
export async function runStsWire(
  options: RunOptions,
  surroundings: CliSurroundings,
): Promise<number> {
  const mountedLine = ({ mountPoint }: { readonly mountPoint: string }): string =>
    `==> Volume mounted at ${mountPoint}`;
  const run = async (...words: readonly string[]): Promise<number> =>
    await runCli({ ...options, words }, { ...surroundings, mountedLine });
  const { terminal } = surroundings;
  try {
    const request = readLegacyWords(options.words);
    switch (request.command) {
      case 'help':
        terminal.result(help);
        return 0;
      case 'version':
        return await run('version');
      case 'report':
        return await run('report');
      case 'clean':
        return await clean(run, surroundings);
      case 'mount': {
        const said = await settingsOf(request.settings, request.config, surroundings);
        return await mount(translate(said, surroundings.environment), run, surroundings);
      }
    }
  } catch (error) {
    const { line, exitCode } = endingOf(error, options.logFile());
    if (line !== undefined) terminal.fail(line);
    return exitCode;
  }
}

/** Flags over the environment over the file, as sts-wire has it; arguments alone need no file. */
async function settingsOf(
  typed: LegacySettings,
  config: string | undefined,
  { environment, workingDirectory }: CliSurroundings,
): Promise<LegacySettings> {
  if (config === undefined && typed.mountPoint !== undefined) return typed;
  const path = resolve(workingDirectory, config ?? CONFIG_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const answered = (error as NodeJS.ErrnoException).code ?? String(error);
    const next = 'name all five or seven arguments, or a file with --config';
    throw new WireError('config', { tried: `read ${path}`, answered, next }, { cause: error });
  }
  const file = readLegacyFile(text, path);
  const needless = [...file.needless, ...typed.needless];
  return { ...file, ...readLegacyEnvironment(environment), ...typed, needless };
}

type Run = (...words: readonly string[]) => Promise<number>;

async function mount(
  { issuer, login, mount: words, hasTokens, needless }: Translation,
  run: Run,
  surroundings: CliSurroundings,
): Promise<number> {
  const { terminal } = surroundings;
  if (needless.length > 0) {
    terminal.say(`Not needed here: ${[...new Set(needless)].join(', ')} (docs/MIGRATING.md)`);
  }
  if (!hasTokens && !(await isLoggedIn(issuer, surroundings))) {
    const code = await run(...login);
    if (code !== 0) return code;
  }
  return await run(...words);
}

async function isLoggedIn(issuer: string, surroundings: CliSurroundings): Promise<boolean> {
  const log = await surroundings.openLog({ logLevel: undefined, logFile: undefined });
  const settings = resolveSettings({ issuer }, surroundings.environment, {});
  const daemon = await surroundings.daemon(log, settings);
  return await daemon.isLoggedIn(issuer, new AbortController().signal);
}

/** What sts-wire left in this folder and at home, then what wire keeps. */
async function clean(run: Run, surroundings: CliSurroundings): Promise<number> {
  const { workingDirectory, paths, terminal } = surroundings;
  const removed = await removeLeftovers(workingDirectory, paths.home);
  for (const path of removed) terminal.result(`removed ${path}`);
  const code = await run('cache', 'clear');
  return code === 0 ? await run('logout', '--forget') : code;
}
