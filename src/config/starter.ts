/**
 * The configuration file that a person begins with: every key of the table of options, each as a
 * comment with what it says, but those that are given. Pure.
 */
import { type Option, type OptionName, options } from './options.ts';
import { settingText } from './setting-text.ts';
import type { Flags } from './settings.ts';

/** Where no default shows what a value looks like. What none of them fits is tried in order. */
const examples: Partial<Readonly<Record<OptionName, string>>> = {
  issuer: 'https://iam.example.org',
  endpoint: 'https://s3.example.org',
  stsEndpoint: 'https://sts.example.org',
  mytokenServer: 'https://mytoken.example.org',
  role: 'IAMaccess',
  audience: 'object',
  durationSeconds: '1h',
  tokenSource: 'login',
  storageClass: 'STANDARD_IA',
  acl: 'bucket-owner-full-control',
};

/** By the placeholder of a flag: `--ca <path>`. */
const exampleOfPlaceholder: Readonly<Record<string, string>> = {
  file: '~/FILE',
  folder: '~/FOLDER',
  path: '~/PATH',
};

/** The file with the profile `profile`, in which `given` is said and the rest is offered. */
export function starterText(profile: string, given: Flags): string {
  const names = (Object.keys(options) as OptionName[]).filter(
    (name) => options[name].key !== undefined,
  );
  return [
    '# What wire is told about logins, their stores and their mounts.',
    '# Take the # away from what you need. `wire config check` finds what is wrong, and',
    '# `wire config show` tells what holds: a flag outweighs its variable (WIRE_…), and that this file.',
    'profiles:',
    `  ${profile}:`,
    ...names.flatMap((name) => keyLines(name, given[name])),
    '',
    `    # Mounts by name: wire mount data --profile ${profile}`,
    '    # mounts:',
    '    #   data: { source: s3://BUCKET/PREFIX, mountpoint: ~/data, read-only: true }',
    '',
  ].join('\n');
}

function keyLines(name: OptionName, given: string | undefined): readonly string[] {
  const { key = '', help }: Option<unknown> = options[name];
  const said = given === undefined ? `# ${key}: ${exampleOf(name)}` : `${key}: ${scalar(given)}`;
  return ['', `    # ${help.charAt(0).toUpperCase()}${help.slice(1)}.`, `    ${said}`];
}

/** Its default, or something of the form that it takes. */
function exampleOf(name: OptionName): string {
  const { flag, fallback, parse }: Option<unknown> = options[name];
  const [, placeholder = ''] = /[<[]([^>\].]*)/.exec(flag) ?? [];
  const [word = ''] = placeholder.split('|');
  const candidates = [
    ...(fallback === undefined ? [] : [settingText(name, fallback)]),
    examples[name] ?? exampleOfPlaceholder[placeholder] ?? word,
    'https://host.example.org',
    'host.example.org',
    '1',
  ];
  return candidates.find((text) => parse(text).ok) ?? '';
}

/** As YAML; in quotes where a plain word would be something else. */
function scalar(text: string): string {
  const plain = /^[A-Za-z0-9/~][\w./:@~ -]*[\w/]$|^[A-Za-z0-9]$/.test(text) && !text.includes(': ');
  return plain ? text : JSON.stringify(text);
}
