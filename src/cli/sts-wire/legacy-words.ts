/** The command line of sts-wire: its commands, its flags in any place, five or seven arguments. */
import type { LegacySettings } from '../../config/sts-wire-file.ts';
import { WireError } from '../../lib/wire-error.ts';

export type LegacyRequest =
  | { readonly command: 'mount'; readonly settings: LegacySettings; readonly config?: string }
  | { readonly command: 'clean' | 'version' | 'report' | 'help' };

type Setting = Exclude<keyof LegacySettings, 'needless'>;

/** Flags with a value, and what they set. */
const valued: Readonly<Record<string, Setting | 'config' | 'needless'>> = {
  '--config': 'config',
  '--log': 'log',
  '--refreshTokenRenew': 'needless',
  '--localCache': 'cache',
  '--localCacheDir': 'cacheDir',
  '--rcloneMountFlags': 'mountFlags',
  '--rcloneLogLevel': 'logLevel',
  '--roleName': 'role',
  '--audience': 'audience',
};

const switches: Readonly<Record<string, Setting | 'needless'>> = {
  '--debug': 'debug',
  '--insecureConn': 'insecure',
  '--readOnly': 'readOnly',
  '--noPassword': 'needless',
  '--noModtime': 'needless',
  '--noDummyFileCheck': 'needless',
  '--tryRemount': 'needless',
};

const commands = ['clean', 'version', 'report', 'help'] as const;

const synopsis =
  'write: sts-wire ISSUER INSTANCE ENDPOINT [ROLE AUDIENCE] /BUCKET[/PREFIX] MOUNTPOINT';

/** @throws WireError `usage` for a flag or a number of arguments that sts-wire never had. */
export function readLegacyWords(words: readonly string[]): LegacyRequest {
  const read = new WordReader(words);
  read.all();
  const [first] = read.operands;
  const command = commands.find((name) => name === first);
  if (read.asksForHelp) return { command: 'help' };
  if (command !== undefined) return { command };
  const settings = { ...read.settings, ...namedOperands(read.operands), needless: read.needless };
  return { command: 'mount', settings, ...(read.config !== undefined && { config: read.config }) };
}

class WordReader {
  readonly operands: string[] = [];
  readonly settings: { -readonly [Key in Setting]?: LegacySettings[Key] } = {};
  readonly needless: string[] = [];
  config: string | undefined;
  asksForHelp = false;
  readonly #left: string[];

  constructor(words: readonly string[]) {
    this.#left = [...words];
  }

  all(): void {
    for (let word = this.#left.shift(); word !== undefined; word = this.#left.shift()) {
      if (word === '--help' || word === '-h') this.asksForHelp = true;
      else if (word.startsWith('-') && word !== '-') this.#flag(word);
      else this.operands.push(word);
    }
  }

  #flag(word: string): void {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const given = equals < 0 ? undefined : word.slice(equals + 1);
    const setting = Object.hasOwn(valued, name) ? valued[name] : undefined;
    const flag = Object.hasOwn(switches, name) ? switches[name] : undefined;
    if (setting !== undefined) this.#set(name, setting, given ?? this.#left.shift());
    else if (flag !== undefined) this.#switch(name, flag, given ?? 'true');
    else throw refusal(`take ${name}`, 'sts-wire has no such flag', 'see: sts-wire --help');
  }

  #set(name: string, setting: Setting | 'config' | 'needless', value: string | undefined): void {
    if (value === undefined) throw refusal(`take ${name}`, 'its value is missing');
    if (setting === 'config') this.config = value;
    else if (setting === 'needless') this.needless.push(name);
    else Object.assign(this.settings, { [setting]: value });
  }

  #switch(name: string, setting: Setting | 'needless', value: string): void {
    if (value !== 'true' && value !== 'false') {
      throw refusal(`take ${name}=${value}`, 'it is neither true nor false');
    }
    if (setting === 'needless') this.needless.push(name);
    else Object.assign(this.settings, { [setting]: value === 'true' });
  }
}

/** What the arguments without a dash are; nothing where a file is to say it. */
function namedOperands(operands: readonly string[]): Partial<LegacySettings> {
  const [issuer, instance, endpoint] = operands;
  if (operands.length === 0) return {};
  if (operands.length !== 5 && operands.length !== 7) {
    throw refusal(
      `mount by ${operands.length} argument${operands.length === 1 ? '' : 's'}`,
      'sts-wire takes five, or seven with role and audience',
      synopsis,
    );
  }
  const [remotePath, mountPoint] = operands.slice(-2);
  const [role, audience] = operands.slice(3, -2);
  const named = { issuer, instance, endpoint, role, audience, remotePath, mountPoint };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined));
}

function refusal(tried: string, answered: string, next: string = synopsis): WireError {
  return new WireError('usage', { tried, answered, next });
}
