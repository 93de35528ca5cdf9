/**
 * Finds and loads the addon of native/. Each layer that uses it declares the part it needs, as
 * `fuse/native.ts` does. All results follow one rule: a value >= 0, or a negative errno.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from './package-root.ts';

/** This system, as file names have it: `linux-x64`. */
export function addonTarget(): string {
  return `${process.platform}-${process.arch}`;
}

/**
 * Loads the addon for this system: what `npm run build` made, else the published one.
 *
 * @throws Error saying why the last candidate does not load, or that there is none.
 */
export function loadAddon(): unknown {
  const root = packageRoot();
  let reason: unknown = new Error('there is none');
  for (const kind of ['build', 'prebuilds']) {
    const path = join(root, 'native', kind, addonTarget(), 'wire.node');
    if (!existsSync(path)) continue;
    try {
      return createRequire(import.meta.url)(path);
    } catch (error) {
      reason = error;
    }
  }
  throw reason;
}
