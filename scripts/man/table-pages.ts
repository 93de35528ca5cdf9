/** wire-config(5) and mount.wire(8), from the one table of options. */
import { placeVariables, settingNames } from '../../src/cli/mount-wire/option-words.ts';
import { type Option, type OptionName, options } from '../../src/config/options.ts';
import { settingText } from '../../src/config/setting-text.ts';
import type { Edition, Page } from './command-page.ts';
import { bold, head, italic, item, paragraphs, section, seeAlso, verbatim } from './roff.ts';

const names = Object.keys(options) as OptionName[];

export function configPage(edition: Edition): Page {
  const summary = 'configuration file and environment of wire';
  const lines = [
    ...head({ name: 'wire-config', section: 5, summary, ...edition }),
    ...section('SYNOPSIS', ['~/.config/wire/config.yaml']),
    ...section('DESCRIPTION', paragraphs(file)),
    ...section('EXAMPLE', verbatim(example)),
    ...section('KEYS', ['Of a profile, by their names:', ...names.flatMap(keyItem)]),
    ...section('ENVIRONMENT', environment()),
    ...section(
      'SEE ALSO',
      seeAlso([
        ['wire', 1],
        ['mount.wire', 8],
      ]),
    ),
  ];
  return { file: 'wire-config.5', text: `${lines.join('\n')}\n` };
}

const file = `
Profiles, each with what a login, its store and its mounts need. WIRE_CONFIG names another file. A profile is chosen by
--profile or WIRE_PROFILE; without either the one named default, else the only one.

A flag counts more than its environment variable, that more than the profile, and that more than the default. All faults of the
file are told at once, with their lines: wire config check.

Sizes are in powers of 1024 (48M, 10G), times have a unit (500ms, 30s, 10m, 1h), switches are on or off.
`;

const example = [
  'profiles:',
  '  lab:',
  '    issuer: https://iam.example.org',
  '    endpoint: https://s3.example.org',
  '    mounts:',
  '      data: { source: s3://data/2024, mountpoint: ~/data, read-only: true }',
];

function keyItem(name: OptionName): readonly string[] {
  const option: Option<unknown> = options[name];
  if (option.key === undefined) return [];
  const { fallback, help } = option;
  const usual = fallback === undefined ? '' : ` (default: ${settingText(name, fallback)})`;
  return item(bold(option.key), `${help}${usual}`);
}

function environment(): readonly string[] {
  const places = Object.entries(placeVariables).flatMap(([name, variable]) =>
    item(bold(variable), `the ${name.replace('-dir', ' folder').replace('-', ' ')} that is used`),
  );
  const settings = names.flatMap((name) => {
    const { environment: variable, flag } = options[name];
    return item(bold(variable), `as ${flag}`);
  });
  return [...places, ...item(bold('WIRE_PROFILE'), 'the profile that is used'), ...settings];
}

export function helperPage(edition: Edition): Page {
  const summary = 'mount buckets by mount(8) and fstab(5)';
  const settings = settingNames.flatMap((name) => {
    const { flag, help }: Option<unknown> = options[name];
    const [word = '', value = ''] = flag.slice(2).split(' ');
    const shown =
      value === '' ? bold(word) : `${bold(word)}=${italic(value.replaceAll(/[<>[\]]/g, ''))}`;
    return item(shown, help);
  });
  const places = Object.entries(placeVariables).flatMap(([name, variable]) =>
    item(`${bold(name)}=${italic('path')}`, `as the environment variable ${variable}`),
  );
  const lines = [
    ...head({ name: 'mount.wire', section: 8, summary, ...edition }),
    ...section('SYNOPSIS', [
      `${bold('mount -t wire')} ${italic('source mountpoint')} [${bold('-o')} ${italic('options')}]`,
    ]),
    ...section('DESCRIPTION', paragraphs(helper)),
    ...section('OPTIONS', [
      ...['Settings of', '.BR wire\\-mount (1),', 'with dashes or underscores:', ...settings],
      ...['.PP', 'Files of the login that is used:', ...places],
      ...item(
        `${bold('setuid')}=${italic('user')}`,
        'mount as that user, with the login of that user',
      ),
      ...item(bold('profile, log-level, log-file'), 'as the flags of every command'),
      ...[
        '.PP',
        'Those of every mount:',
        'ro, rw, allow_other, uid, gid, umask, noatime, noexec, fsname.',
      ],
    ]),
    ...section('EXIT STATUS', [
      ...item(bold('0'), 'the mount answers'),
      ...item(bold('1'), 'the options, or the configuration, are wrong'),
      ...item(bold('2'), 'the system lacks FUSE'),
      ...item(bold('8'), 'interrupted'),
      ...item(bold('32'), 'the mount failed; the reason is on standard error'),
    ]),
    ...section(
      'EXAMPLE',
      verbatim(['s3://my-bucket  /mnt/data  wire  ro,_netdev,profile=lab  0  0']),
    ),
    ...section(
      'SEE ALSO',
      seeAlso([
        ['wire-mount', 1],
        ['wire-config', 5],
        ['fstab', 5],
        ['mount', 8],
      ]),
    ),
  ];
  return { file: 'mount.wire.8', text: `${lines.join('\n')}\n` };
}

const helper = `
The helper that mount(8) calls for file systems of the type wire. It returns when the mount answers, or says why it does not.
umount(8) ends the mount.

An option that is not known is refused by its name, unless mount(8) is told to be sloppy. Secrets are never options: what looks
like one is refused, and not repeated. Name a file that only its owner may read.
`;
