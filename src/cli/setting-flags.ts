/** Gives a command the flags of the settings table that it understands. */
import type { Command } from 'commander';
import { type Option, type OptionName, options } from '../config/options.ts';
import { writeBackModes } from '../config/values.ts';

/** How servers are reached: of each command that reaches one. */
export const networkOptions: readonly OptionName[] = ['ca', 'insecureHosts', 'endpointHosts'];

/** Where access tokens come from: of each command that needs one. */
export const tokenOptions: readonly OptionName[] = [
  'tokenSource',
  'tokenFile',
  'oidcAgent',
  'mytokenServer',
  'mytokenFile',
];

/** Whose temporary credentials, where, and for how long: of each command that gets some. */
export const credentialOptions: readonly OptionName[] = [
  'endpoint',
  'stsEndpoint',
  'issuer',
  'role',
  'audience',
  'region',
  'durationSeconds',
  'sessionName',
  'sessionPolicy',
];

/** How content and names are held: of `wire mount`. */
export const readingOptions: readonly OptionName[] = [
  'memoryBytes',
  'cacheMode',
  'cacheDir',
  'cacheBytes',
  'cacheEncrypted',
  'listTtlMs',
  'consistency',
  'writeBack',
  'posix',
  'capacityBytes',
  'addressing',
  'requesterPays',
  'encryption',
  'kmsKey',
  'storageClass',
  'acl',
  'stopTimeoutMs',
];

/** What is told of a mount's work, and where: of `wire mount`. */
export const watchingOptions: readonly OptionName[] = ['metrics', 'accessLog', 'auditLog'];

export function addSettingFlags(command: Command, names: readonly OptionName[]): Command {
  for (const name of names) {
    const option: Option<unknown> = options[name];
    command.option(option.flag, `${option.help} [${option.environment}]`);
  }
  return command.option('--profile <name>', 'profile of the configuration file [WIRE_PROFILE]');
}

/**
 * Gives flags whose value was left out the one it stands for: otherwise the next argument would be
 * taken for it.
 */
export function withLeftOutValues(words: readonly string[]): readonly string[] {
  return words.map((word, at) => {
    const value = valueOf[word];
    return value === undefined || value.test(words[at + 1] ?? '') ? word : `${word}=on`;
  });
}

/** What may be said with them; what else follows is no value of theirs. */
const valueOf: Readonly<Record<string, RegExp>> = {
  '--write-back': new RegExp(`^(?:${writeBackModes.join('|')})$`),
  '--posix': /^(?:on|off)$/,
  // All that looks like a port or an address, so that a wrong one is told.
  '--metrics': /^(?:on|off|\d+|[\w.-]+:\d+)$/,
};

/** Examples below a command's help, one a line. */
export function addExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText(
    'after',
    `\nExamples:\n${examples.map((line) => `  ${line}\n`).join('')}`,
  );
}
