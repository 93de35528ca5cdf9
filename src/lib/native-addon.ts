/**
 * Finds and loads the addon of native/. Each layer that uses it declares the part it needs, as
 * `fuse/native.ts` does. All results follow one rule: a value >= 0, or a negative errno.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE_NAME = 'wire-mount';

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
  const root = findPackageRoot(dirname(fileURLToPath(import.meta.url)));
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

/** This code runs from dist/, build/src/ and src/: the package is the first one of our name above. */
function findPackageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && nameOf(manifest) === PACKAGE_NAME) return folder;
    if (folder === dirname(folder)) return from;
  }
}

function nameOf(manifest: string): unknown {
  const content: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
  return typeof content === 'object' && content !== null && 'name' in content
    ? content.name
    : undefined;
}
