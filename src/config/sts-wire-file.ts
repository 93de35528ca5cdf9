/** The configuration file of sts-wire: YAML of one level, one mount a file. */
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { WireError } from '../lib/wire-error.ts';

/** Everything sts-wire can be told, by the name of its flags and of keys in its file. */
export interface LegacySettings {
  readonly issuer?: string;
  readonly instance?: string;
  readonly endpoint?: string;
  readonly role?: string;
  readonly audience?: string;
  /** `/BUCKET[/PREFIX]`, or `/` for every bucket. */
  readonly remotePath?: string;
  readonly mountPoint?: string;
  readonly log?: string;
  readonly debug?: boolean;
  readonly insecure?: boolean;
  readonly readOnly?: boolean;
  readonly cache?: string;
  readonly cacheDir?: string;
  readonly mountFlags?: string;
  readonly logLevel?: string;
  /** What was said and needs no saying to wire. */
  readonly needless: readonly string[];
}

type Setting = Exclude<keyof LegacySettings, 'needless'>;

/** Keys by their lower-case form: sts-wire took them in any case. */
const texts: Readonly<Record<string, Setting | 'needless'>> = {
  iam_server: 'issuer',
  instance_name: 'instance',
  s3_endpoint: 'endpoint',
  rclone_remote_path: 'remotePath',
  local_mount_point: 'mountPoint',
  role_name: 'role',
  rolename: 'role',
  audience: 'audience',
  log: 'log',
  localcache: 'cache',
  localcachedir: 'cacheDir',
  rclonemountflags: 'mountFlags',
  rcloneloglevel: 'logLevel',
  iamauthurl: 'needless',
  iamauthurlport: 'needless',
  refreshtokenrenew: 'needless',
};

const switches: Readonly<Record<string, Setting | 'needless'>> = {
  debug: 'debug',
  insecureconn: 'insecure',
  readonly: 'readOnly',
  nopassword: 'needless',
  nomodtime: 'needless',
  nodummyfilecheck: 'needless',
  tryremount: 'needless',
};

/** @throws WireError `config` with every fault, each with its line. */
export function readLegacyFile(text: string, path: string): LegacySettings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const lineAt = (offset: number | undefined): number => lines.linePos(offset ?? 0).line;
  const faults = document.errors.map(({ pos, message }) => {
    const [first = message] = message.split('\n');
    return `line ${lineAt(pos[0])}: ${first}`;
  });
  const settings: Record<string, unknown> = {};
  const needless: string[] = [];
  const { contents } = document;
  if (contents !== null && !isMap(contents)) faults.push('line 1: must be keys with values');
  for (const { key, value } of isMap(contents) ? contents.items : []) {
    const name = isScalar(key) ? String(key.value) : '';
    const line = lineAt((key as Node).range?.[0]);
    const said = isScalar(value) ? value.source : undefined;
    const setting = texts[name.toLowerCase()] ?? switches[name.toLowerCase()];
    const isSwitch = Object.hasOwn(switches, name.toLowerCase());
    if (setting === undefined) faults.push(`line ${line}: ${name} is no key of sts-wire`);
    else if (said === undefined) faults.push(`line ${line}: ${name} must be a single value`);
    else if (isSwitch && said !== 'true' && said !== 'false') {
      faults.push(`line ${line}: ${name} must be true or false`);
    } else if (setting === 'needless') needless.push(name);
    else settings[setting] = isSwitch ? said === 'true' : said;
  }
  if (faults.length === 0) return { ...settings, needless };
  const next = 'correct the file, or see docs/MIGRATING.md for one of wire';
  throw new WireError('config', { tried: `use ${path}`, answered: faults.join('; '), next });
}

/** Keys of the file that sts-wire also takes from the environment, in capitals. */
const fromEnvironment = [
  'instance_name',
  's3_endpoint',
  'rclone_remote_path',
  'local_mount_point',
  'role_name',
  'audience',
] as const;

/** What the environment says beside a file. */
export function readLegacyEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Partial<LegacySettings> {
  const settings: Record<string, string> = {};
  for (const key of fromEnvironment) {
    const value = environment[key.toUpperCase()];
    const setting = texts[key];
    if (value !== undefined && value !== '' && setting !== undefined) settings[setting] = value;
  }
  return settings;
}
