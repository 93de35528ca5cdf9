/**
 * What a process that holds tokens does before anything else: its files are its user's alone, no
 * debugger comes in uninvited, the kernel writes no image of its memory.
 */
import { createRequire } from 'node:module';
import { loadAddon } from '../lib/native-addon.ts';

/** @returns what the person should know, a line each. */
export function harden(self: NodeJS.Process): readonly string[] {
  // Sockets, logs and folders of ours are ours alone.
  self.umask(0o077);
  // Node opens its inspector at this signal, for every user of the machine, unless it is listened to.
  self.on('SIGUSR1', () => undefined);
  forbidDump();
  return closeInspector(self);
}

/**
 * A debugger by NODE_OPTIONS was meant for another program (editors set it for all), and any user
 * of this machine could attach to it: it is closed, and our children do not open one. One in the
 * arguments of node was meant for us.
 */
function closeInspector(self: NodeJS.Process): readonly string[] {
  const { env, execArgv } = self;
  const { NODE_OPTIONS: options = '' } = env;
  const asked = [options, ...execArgv].join(' ');
  if (!asked.includes('--inspect')) return [];
  if (options.includes('--inspect')) env['NODE_OPTIONS'] = withoutInspector(options);
  const inspector = createRequire(import.meta.url)(
    'node:inspector',
  ) as typeof import('node:inspector');
  const url = inspector.url();
  if (url === undefined) return [];
  if (execArgv.some((argument) => argument.startsWith('--inspect'))) {
    return [`a debugger may attach at ${url}, and read every token`];
  }
  inspector.close();
  return ['the debugger of NODE_OPTIONS was closed: it could have read every token'];
}

/** `options`, as NODE_OPTIONS has them, without those that open the inspector. */
export function withoutInspector(options: string): string {
  return (
    options
      .split(/\s+/)
      // Node takes an underscore for a hyphen, and options in quotes.
      .filter((option) => !/^"?--inspect(?:[-_="]|$)/.test(option))
      .join(' ')
  );
}

/** Where the addon does not load there are no mounts either, and the limit on cores is the user's. */
function forbidDump(): void {
  if (process.platform !== 'linux') return;
  try {
    (loadAddon() as { forbidDump(): number }).forbidDump();
  } catch {
    // Said when a mount needs it.
  }
}
