/** Where this package lies, with the files that are no code. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const PACKAGE_NAME = 'wire-mount';

/** This code runs from dist/, build/src/ and src/: the package is the first one of our name above. */
export function packageRoot(): string {
  const here = import.meta.dirname;
  for (let folder = here; ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && nameOf(manifest) === PACKAGE_NAME) return folder;
    if (folder === dirname(folder)) return here;
  }
}

function nameOf(manifest: string): unknown {
  const content: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
  return typeof content === 'object' && content !== null && 'name' in content
    ? content.name
    : undefined;
}
