/** What wire is to do for somebody who calls it sts-wire: words of its own commands. */

import type { LegacySettings } from '../../config/sts-wire-file.ts';
import { WireError } from '../../lib/wire-error.ts';
import { cacheWords, translateMountFlags, wireLogLevel } from './mount-flags.ts';

export interface Translation {
  readonly issuer: string;
  /** `wire login …`, for who has no login yet and gives no tokens. */
  readonly login: readonly string[];
  /** `wire mount …` */
  readonly mount: readonly string[];
  /** The environment holds tokens of a hub: nobody is asked for a login. */
  readonly hasTokens: boolean;
  /** What was said that wire needs no telling of. */
  readonly needless: readonly string[];
}

/**
 * @param environment `IAM_SERVER` outweighs the issuer, `REFRESH_TOKEN` a login.
 * @throws WireError `usage` for what is missing or cannot be.
 */
export function translate(
  settings: LegacySettings,
  environment: Readonly<Record<string, string | undefined>>,
): Translation {
  const issuer = given(environment['IAM_SERVER']) ?? settings.issuer;
  const { endpoint, remotePath, mountPoint } = settings;
  const missing = Object.entries({
    'the identity provider (IAM_Server)': issuer,
    'the S3 endpoint (s3_endpoint)': endpoint,
    'the bucket (rclone_remote_path)': remotePath,
    'the folder (local_mount_point)': mountPoint,
  }).flatMap(([name, value]) => (value === undefined ? [name] : []));
  if (!issuer || !endpoint || !remotePath || !mountPoint) {
    throw new WireError('usage', {
      tried: 'mount',
      answered: `not said: ${missing.join(', ')}`,
      next: 'write: sts-wire ISSUER INSTANCE ENDPOINT [ROLE AUDIENCE] /BUCKET[/PREFIX] MOUNTPOINT',
    });
  }
  const hasTokens = given(environment['REFRESH_TOKEN']) !== undefined;
  const flags = translateMountFlags(settings.mountFlags ?? '');
  const hosts = settings.insecure === true ? hostsOf(issuer, endpoint) : [];
  const common = [
    ...(settings.audience ? ['--audience', settings.audience] : []),
    ...logWords(settings),
    ...(hosts.length > 0 ? ['--insecure', ...hosts] : []),
  ];
  const mount = [
    'mount',
    sourceOf(remotePath),
    mountPoint,
    '--mkdir',
    ...['--endpoint', endpoint, '--issuer', issuer],
    ...(settings.role ? ['--role', settings.role] : []),
    ...(hasTokens ? ['--token-source', 'hub'] : []),
    ...(settings.cache !== undefined ? cacheWords(settings.cache) : []),
    ...(settings.cacheDir !== undefined ? ['--cache-dir', settings.cacheDir] : []),
    ...flags.words,
    ...(settings.readOnly === true ? ['--read-only'] : []),
    ...common,
  ];
  const login = ['login', issuer, ...common];
  const needless = [...settings.needless, ...flags.needless];
  return { issuer, login, mount, hasTokens, needless };
}

/** An empty variable is an unset one. */
function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function logWords({ log, debug, logLevel }: LegacySettings): readonly string[] {
  const level = debug === true ? 'debug' : logLevel && wireLogLevel(logLevel);
  const file = debug === true || log === 'stderr' ? '-' : log;
  return [
    ...(level === undefined ? [] : ['--log-level', level]),
    ...(file === undefined ? [] : ['--log-file', file]),
  ];
}

function sourceOf(remotePath: string): string {
  return `s3://${remotePath.replace(/^\/+/, '')}`;
}

function hostsOf(...urls: readonly string[]): readonly string[] {
  const hosts = urls.flatMap((url) => (URL.canParse(url) ? [new URL(url).hostname] : []));
  return [...new Set(hosts)];
}
