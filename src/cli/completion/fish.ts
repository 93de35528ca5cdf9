/** For fish 3. */
import { listMounts, listProfiles, valueGroups } from './cases.ts';
import { allNodes, type CommandNode, type FlagNode, type Value } from './tree.ts';

export function fishScript(root: CommandNode): string {
  return `# fish completion of wire, as it prints it: wire completion fish

function __wire_needs
    switch "$argv[1] $argv[2]"
${needCases(root)}
    end
    return 1
end

function __wire_at
    set -l at ''
    set -l skip no
    set -l typed (commandline -opc)
    set -e typed[1]
    for word in $typed
        if test $skip = yes
            set skip no
            continue
        end
        if string match -q -- '-*' $word
            __wire_needs "$at" $word
            and set skip yes
            continue
        end
        switch "$at/$word"
${descent(root)}
        end
    end
    test "$at" = "$argv[1]"
end

function __wire_mounts
    for path in (${listMounts})
        printf '%b\\n' $path
    end
end

complete -c wire -f
${allNodes(root).map(completions).join('\n')}
`;
}

function needCases(root: CommandNode): string {
  return valueGroups(root)
    .filter(({ mayLack }) => !mayLack)
    .map(({ keys }) => `        case ${keys.map(fishQuoted).join(' ')}\n            return 0`)
    .join('\n');
}

function descent(root: CommandNode): string {
  return allNodes(root)
    .flatMap(({ path, commands }) =>
      commands.map(({ names, path: to }) => {
        const patterns = names.map((name) => `${path}/${name}`).join(' ');
        return `            case ${patterns}\n                set at ${to}`;
      }),
    )
    .join('\n');
}

function completions({ path, commands, flags, argument }: CommandNode): string {
  const at = `complete -c wire -n ${fishQuoted(`__wire_at ${fishQuoted(path)}`)}`;
  return [
    ...commands.flatMap(({ names, help }) =>
      names.map((name) => `${at} -a ${name} -d ${fishQuoted(help)}`),
    ),
    ...flags.map((flag) => `${at} ${flagWords(flag)} -d ${fishQuoted(flag.help)}`),
    ...(argument === undefined || argument.kind === 'any' ? [] : [`${at} ${offered(argument)}`]),
  ].join('\n');
}

function flagWords({ names, value }: FlagNode): string {
  const named = names.map((name) =>
    name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
  );
  if (value === undefined) return named.join(' ');
  const exclusive = value.kind === 'files' ? '-r' : '-x';
  return [...named, exclusive, ...(value.kind === 'any' ? [] : [offered(value)])].join(' ');
}

function offered(value: Value): string {
  switch (value.kind) {
    case 'words':
      return `-a ${fishQuoted(value.words.join(' '))}`;
    case 'files':
      return '-F';
    case 'folders':
      return "-a '(__fish_complete_directories)'";
    case 'profiles':
      return `-a ${fishQuoted(`(${listProfiles})`)}`;
    case 'mounts':
      return "-a '(__wire_mounts)'";
    case 'any':
      return '';
  }
}

/** In single quotes only the quote and the backslash are special. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
