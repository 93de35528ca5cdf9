/** All checks of the table, by name. Each is right: it holds on tmpfs (suite.test.ts). */
import type { Check, Checks } from './check.ts';
import { directoryChecks } from './checks/directories.ts';
import { lockChecks } from './checks/locks.ts';
import { mappingChecks } from './checks/mappings.ts';
import { nameChecks } from './checks/names.ts';
import { openingChecks } from './checks/opening.ts';
import { permissionChecks } from './checks/permissions.ts';
import { readingWritingChecks } from './checks/reading-writing.ts';
import { renameChecks } from './checks/renames.ts';
import { sizeChecks } from './checks/sizes.ts';
import { statChecks } from './checks/stats.ts';
import { symlinkChecks } from './checks/symlinks.ts';
import { syncChecks } from './checks/syncing.ts';
import { timeChecks } from './checks/times.ts';
import { unlinkedChecks } from './checks/unlinked.ts';
import { xattrChecks } from './checks/xattrs.ts';

const topics: Readonly<Record<string, Checks>> = {
  opening: openingChecks,
  'reading and writing': readingWritingChecks,
  sizes: sizeChecks,
  'unlinked files': unlinkedChecks,
  renames: renameChecks,
  directories: directoryChecks,
  names: nameChecks,
  symlinks: symlinkChecks,
  permissions: permissionChecks,
  times: timeChecks,
  'stat and nodes': statChecks,
  mappings: mappingChecks,
  syncing: syncChecks,
  locks: lockChecks,
  xattrs: xattrChecks,
};

export interface NamedCheck {
  readonly topic: string;
  /** Unique in the table. */
  readonly name: string;
  readonly check: Check;
}

export const suite: readonly NamedCheck[] = Object.entries(topics).flatMap(([topic, checks]) =>
  Object.entries(checks).map(([name, check]) => ({ topic, name, check })),
);
