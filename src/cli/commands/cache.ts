/** `wire cache`: what is kept of buckets on this machine, and what is asked of it. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CacheUsage } from '../../daemon/content-cache.ts';
import type { FileProgress, FileVerb } from '../../daemon/mount-parts.ts';
import { formatBytes } from '../../lib/bytes.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { addExamples, addSettingFlags } from '../setting-flags.ts';
import { countFiles, filesLine } from '../views/progress-bar.ts';

/** What each verb has done, with its counts. */
const outcomes: Readonly<Record<FileVerb, (done: FileProgress) => string>> = {
  refresh: () => 'Forgotten; asked again when it is used',
  warm: ({ files, bytes }) => `On the local disk: ${countFiles(files)}, ${formatBytes(bytes)}`,
  pin: ({ files, bytes }) => `Pinned: ${countFiles(files)}, ${formatBytes(bytes)}`,
  unpin: ({ files }) => `Not pinned any more: ${countFiles(files)}`,
};

const summaries: Readonly<Record<FileVerb, string>> = {
  refresh: 'forget what is known of names and versions',
  warm: 'bring content to the local disk',
  pin: 'bring content to the local disk, and keep it there',
  unpin: 'let pinned content go when room is needed',
};

const descriptions: Readonly<Record<FileVerb, string>> = {
  refresh:
    'Forget the names, versions and attributes that are known at PATH and below it, in this\n' +
    'process and in the kernel, so that the store is asked again.',
  warm:
    'Read what lies at PATH and below it, so that it is on the local disk. The mount must have\n' +
    'been made with --cache full.',
  pin: 'As warm, and what is read stays there however little room there is.',
  unpin: 'What was pinned at PATH and below it is kept only as long as there is room.',
};

export function addCache(program: Command, bind: Bind): void {
  const command = program
    .command('cache')
    .summary('what is kept on this machine')
    .description('Show, fill, pin and clear what is kept of buckets on this machine.');
  addUsage(command, bind);
  for (const verb of ['warm', 'pin', 'unpin', 'refresh'] as const) {
    const tending = command
      .command(verb)
      .summary(summaries[verb])
      .description(descriptions[verb])
      .argument('<path...>', 'files or folders in a mount')
      .action(bind(async (context, each) => await runTend(verb, context, each)));
    addExamples(tending, [`wire cache ${verb} ~/data/2024`]);
  }
  const clear = command
    .command('clear')
    .summary('delete what is kept')
    .description(
      'Delete content that is kept on the local disk, also under mounts that are served; pinned\n' +
        'content too. What was written and is not in its bucket yet is never touched.',
    )
    .action(bind(runClear));
  addSettingFlags(clear, ['cacheDir']);
  addExamples(clear, ['wire cache clear']);
  addExamples(command, ['wire cache show', 'wire cache warm ~/data/2024', 'wire cache clear']);
}

function addUsage(command: Command, bind: Bind): void {
  const show = command
    .command('show')
    .summary('how much is kept')
    .description('Show how much is kept on the local disk, and of what.')
    .option('--json', 'as JSON, for programs')
    .action(bind(runShow));
  addSettingFlags(show, ['cacheDir', 'cacheBytes']);
  addExamples(show, ['wire cache show', 'wire cache show --json']);
}

/** Tries each path; the first failure ends it. */
async function runTend(verb: FileVerb, context: CommandContext, command: Command): Promise<void> {
  const { terminal, workingDirectory, signal } = context;
  const daemon = await context.daemonOf();
  for (const word of command.args) {
    const path = resolve(workingDirectory, word);
    const progress = (told: FileProgress): void => terminal.live(filesLine(word, told));
    const done = await daemon.files(verb, path, progress, signal);
    terminal.result(`${word}: ${outcomes[verb](done)}`);
  }
}

async function runShow(context: CommandContext, command: Command): Promise<void> {
  const { json } = command.opts<{ json?: boolean }>();
  const { settings } = await commandSettings(context, command);
  const daemon = await context.daemonOf();
  const usage = await daemon.cacheUsage(settings, context.signal);
  if (json === true) context.terminal.result(JSON.stringify(usage, undefined, 2));
  else for (const line of usageLines(usage)) context.terminal.result(line);
}

async function runClear(context: CommandContext, command: Command): Promise<void> {
  const { settings } = await commandSettings(context, command);
  const daemon = await context.daemonOf();
  const { folder, bytes } = await daemon.clearCache(settings, context.signal);
  context.terminal.result(`Cleared ${formatBytes(bytes)} from ${folder}`);
}

/** Pure: what `show` prints. */
export function usageLines(usage: CacheUsage): readonly string[] {
  const { folder, objects, bytes, quotaBytes, pinnedBytes } = usage;
  const pinned = pinnedBytes === 0 ? '' : `, ${formatBytes(pinnedBytes)} of it pinned`;
  const room = `${formatBytes(bytes)} of ${formatBytes(quotaBytes)}`;
  const many = objects === 1 ? '1 object' : `${objects} objects`;
  return [`${folder}: ${room} in ${many}${pinned}`];
}
