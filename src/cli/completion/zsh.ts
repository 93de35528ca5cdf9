/** For zsh 5: a file `_wire` in its fpath, or to be sourced. */
import {
  argumentCases,
  descentCases,
  listMounts,
  listProfiles,
  quoted,
  valueFunction,
} from './cases.ts';
import { allNodes, type CommandNode } from './tree.ts';

export function zshScript(root: CommandNode): string {
  return `#compdef wire
# zsh completion of wire, as it prints it: wire completion zsh

${valueFunction(root)}
_wire_offer() {
  case $kind in
    words) compadd -- \${=choices} ;;
    profiles) compadd -- \${(f)"$(${listProfiles})"} ;;
    mounts) compadd -- \${(f)"$(printf '%b' "$(${listMounts})")"} ;;
    files) _files ;;
    folders) _files -/ ;;
  esac
}

_wire() {
  local at= word kind choices needed
  local -a commands flags
  integer i
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    if [[ $word == -* ]]; then
      if [[ $word != *=* ]] && _wire_value "$at" "$word" && [[ -n $needed ]]; then ((i++)); fi
      continue
    fi
    case $at/$word in
${descentCases(root, '      ')}
    esac
  done
  local current=\${words[CURRENT]} previous=\${words[CURRENT - 1]}
  if [[ $current == --*=* ]]; then
    previous=\${current%%=*}
    compset -P '*='
    _wire_value "$at" "$previous" && _wire_offer
    return
  fi
  if _wire_value "$at" "$previous" && [[ -n $needed || $current != -* ]]; then
    _wire_offer && return
    [[ -z $needed ]] || return
  fi
  case $at in
${offerCases(root)}
  esac
  if [[ $current == -* ]]; then _describe -V flag flags
  elif ((\${#commands})); then _describe -V command commands
  else
    kind= choices=
    case $at in
${argumentCases(root, '      ')}
    esac
    _wire_offer
  fi
}

if [[ $funcstack[1] == _wire ]]; then _wire "$@"; else compdef _wire wire; fi
`;
}

function offerCases(root: CommandNode): string {
  return allNodes(root)
    .map(({ path, commands, flags }) => {
      const offered = (names: readonly string[], help: string): readonly string[] =>
        names.map((name) => `      ${quoted(described(name, help))}`);
      const named = commands.flatMap((each) => offered(each.names, each.help));
      const flagged = flags.flatMap((each) => offered(each.names, each.help));
      return [
        `    ${quoted(path)})`,
        ...(named.length === 0 ? [] : ['      commands=(', ...named, '      )']),
        '      flags=(',
        ...flagged,
        '      ) ;;',
      ].join('\n');
    })
    .join('\n');
}

/** As _describe(zshcompsys(1)) reads it. */
function described(name: string, help: string): string {
  return `${name.replaceAll(':', '\\:')}:${help.replaceAll('\\', '\\\\')}`;
}
