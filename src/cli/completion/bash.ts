/** For bash 3.2 and later, which macOS still has. */
import {
  argumentCases,
  descentCases,
  flagNames,
  listMounts,
  listProfiles,
  quoted,
  valueFunction,
} from './cases.ts';
import { allNodes, type CommandNode } from './tree.ts';

export function bashScript(root: CommandNode): string {
  return `# bash completion of wire, as it prints it: wire completion bash

${valueFunction(root)}
_wire_offer() {
  local IFS=$' \\n'
  case $kind in
    words) COMPREPLY=($(compgen -W "$choices" -- "$current")) ;;
    profiles) COMPREPLY=($(compgen -W "$(${listProfiles})" -- "$current")) ;;
    mounts)
      local IFS=$'\\n'
      COMPREPLY=($(compgen -W "$(printf '%b' "$(${listMounts})")" -- "$current"))
      compopt -o filenames 2>/dev/null ;;
    files | folders)
      local IFS=$'\\n'
      if [[ $kind == files ]]; then COMPREPLY=($(compgen -f -- "$current"))
      else COMPREPLY=($(compgen -d -- "$current")); fi
      compopt -o filenames 2>/dev/null ;;
  esac
}

_wire() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  local at= word i kind choices needed commands= flags=
  COMPREPLY=()
  # bash takes --flag=value for three words.
  if [[ $current == = ]]; then current=
  elif [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ $word == -* ]]; then
      if [[ \${COMP_WORDS[i + 1]} == = ]]; then ((i += 2))
      elif _wire_value "$at" "$word" && [[ -n $needed ]]; then ((i++)); fi
      continue
    fi
    case $at/$word in
${descentCases(root, '      ')}
    esac
  done
  case $at in
${offerCases(root)}
  esac
  if _wire_value "$at" "$previous"; then
    if [[ -n $needed || $current != -* ]]; then
      _wire_offer
      [[ -z $needed && \${#COMPREPLY[@]} -eq 0 ]] || return 0
    fi
  fi
  if [[ $current == -* ]]; then kind=words choices=$flags
  elif [[ -n $commands ]]; then kind=words choices=$commands
  else
    kind= choices=
    case $at in
${argumentCases(root, '      ')}
    esac
  fi
  _wire_offer
}

complete -F _wire wire
`;
}

function offerCases(root: CommandNode): string {
  return allNodes(root)
    .map(({ path, commands, flags }) => {
      const names = commands.flatMap((each) => each.names).join(' ');
      const said = [
        ...(names === '' ? [] : [`commands=${quoted(names)}`]),
        `flags=${quoted(flagNames(flags).join(' '))}`,
      ];
      return `    ${quoted(path)}) ${said.join(' ')} ;;`;
    })
    .join('\n');
}
