/** What people leave running: `cp -r` of a tree again and again, and a mirror kept by rsync. */
import { join } from 'node:path';
import { run } from '../demo/programs.ts';
import { filesBelow, type SourceTree } from './source-tree.ts';

export interface WorkDone {
  copies: number;
  passes: number;
  /** Put into the mount. */
  files: number;
}

/** Copies the tree into `folder` and compares, until `signal` aborts; the last copy stays. */
export async function copyOn(
  source: string,
  folder: string,
  done: WorkDone,
  isOver: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const files = (await filesBelow(source)).length;
  for (let nth = 0; !isOver(); nth += 1) {
    const target = join(folder, `copy-${nth}`);
    await run('cp', ['-r', source, target], signal);
    await run('diff', ['-r', source, target], signal);
    done.files += files;
    done.copies += 1;
    // Not by ourselves: the playground is in this process, and has its few threads to answer with.
    if (nth > 0) await run('rm', ['-r', join(folder, `copy-${nth - 1}`)], signal);
  }
}

/** Mirrors the tree to `target` while it changes. */
export async function mirrorOn(
  tree: SourceTree,
  target: string,
  done: WorkDone,
  isOver: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const args = ['--recursive', '--times', '--delete', '--stats', `${tree.folder}/`, target];
  for (;;) {
    const { stdout } = await run('rsync', args, signal);
    done.files += Number(/files transferred: ([\d,]+)/.exec(stdout)?.[1]?.replaceAll(',', '') ?? 0);
    done.passes += 1;
    if (isOver()) return;
    await tree.change();
  }
}
