/**
 * Runs before and after `npm pack`: puts the addon that was built here where an installed package
 * looks for it, and takes it away again, so that a checkout always runs what it compiled itself.
 * A release for several systems gathers native/prebuilds from each of them first.
 */
import { cp, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const target = `${process.platform}-${process.arch}`;
const built = join('native', 'build', target, 'wire.node');
const packed = join('native', 'prebuilds', target, 'wire.node');

if (process.argv.includes('--remove')) {
  await rm(dirname(packed), { recursive: true, force: true });
} else {
  await mkdir(dirname(packed), { recursive: true });
  await cp(built, packed);
}
