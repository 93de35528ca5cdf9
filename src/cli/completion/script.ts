/** The script for one shell. */
import type { Command } from 'commander';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { commandTree } from './tree.ts';
import { zshScript } from './zsh.ts';

/** @param shell one of those that the command offers. */
export function completionScript(program: Command, shell: string): string {
  const root = commandTree(program);
  if (shell === 'zsh') return zshScript(root);
  return shell === 'fish' ? fishScript(root) : bashScript(root);
}
