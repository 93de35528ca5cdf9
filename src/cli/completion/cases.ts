/** What the scripts have in common: tables as `case` of a shell. Pure. */
import { allNodes, type CommandNode, type FlagNode, type Value } from './tree.ts';

/** Mount points of wire, one a line; what the kernel writes as \040 is a blank (proc_mounts(5)). */
export const listMounts = `awk '$3 == "fuse.wire" { print $2 }' /proc/self/mounts 2>/dev/null`;

export const listProfiles = 'wire profile list --names 2>/dev/null';

/** In single quotes, for a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Branches of `case $at/$word in` that go down one command. */
export function descentCases(root: CommandNode, indent: string): string {
  return allNodes(root)
    .flatMap(({ path, commands }) =>
      commands.map((each) => {
        const patterns = each.names.map((name) => `${path}/${name}`).join(' | ');
        return `${indent}${patterns}) at=${each.path} ;;`;
      }),
    )
    .join('\n');
}

/** Flags with a value, by what it can be; `--cache` of several commands is one group. */
interface ValueGroup {
  readonly value: Value;
  readonly mayLack: boolean;
  /** `/mount --cache` */
  readonly keys: readonly string[];
}

export function valueGroups(root: CommandNode): readonly ValueGroup[] {
  const groups = new Map<string, { value: Value; mayLack: boolean; keys: string[] }>();
  for (const { path, flags } of allNodes(root)) {
    for (const { names, value, mayLack } of flags) {
      if (value === undefined) continue;
      const id = JSON.stringify([value, mayLack]);
      const group = groups.get(id) ?? { value, mayLack, keys: [] };
      group.keys.push(...names.map((name) => `${path} ${name}`));
      groups.set(id, group);
    }
  }
  return [...groups.values()];
}

/** Branches of `case "$at $flag" in` that set `kind`, `choices` and `needed`. */
function valueCases(root: CommandNode, indent: string): string {
  return valueGroups(root)
    .map(({ value, mayLack, keys }) => {
      const patterns = keys.map(quoted).join(` | \\\n${indent}  `);
      const needed = mayLack ? '' : ' needed=yes';
      return `${indent}${patterns})\n${indent}  ${assigned(value)}${needed} ;;`;
    })
    .join('\n');
}

/** A function that tells what the value of the flag `$2` of the command `$1` can be, if it has one. */
export function valueFunction(root: CommandNode): string {
  return `_wire_value() {
  kind= choices= needed=
  case "$1 $2" in
${valueCases(root, '    ')}
  esac
  [[ -n $kind ]]
}
`;
}

/** Branches of `case $at in` that say what an argument can be. */
export function argumentCases(root: CommandNode, indent: string): string {
  return allNodes(root)
    .flatMap(({ path, argument }) =>
      argument === undefined ? [] : [`${indent}${path}) ${assigned(argument)} ;;`],
    )
    .join('\n');
}

function assigned(value: Value): string {
  if (value.kind !== 'words') return `kind=${value.kind}`;
  return `kind=words choices=${quoted(value.words.join(' '))}`;
}

export function flagNames(flags: readonly FlagNode[]): readonly string[] {
  return flags.flatMap(({ names }) => names);
}
