/** Credentials as other programs read them. Pure; what comes out is secret. */
import type { IssuedCredentials, ServedPlace } from '../daemon/issue-credentials.ts';

/**
 * What a `credential_process` prints.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
 */
export function processCredentials(credentials: IssuedCredentials): string {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs } = credentials;
  return JSON.stringify({
    Version: 1,
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey.reveal(),
    SessionToken: sessionToken.reveal(),
    Expiration: new Date(expiresAtMs).toISOString(),
  });
}

/** Lines for a POSIX shell. */
export function environmentLines(credentials: IssuedCredentials): readonly string[] {
  const { accessKeyId, secretAccessKey, sessionToken, expiresAtMs } = credentials;
  const { region, endpoint } = credentials;
  return [
    `# Good until ${new Date(expiresAtMs).toISOString()}; not renewed here: wire credentials --serve does that.`,
    exported('AWS_ACCESS_KEY_ID', accessKeyId),
    exported('AWS_SECRET_ACCESS_KEY', secretAccessKey.reveal()),
    exported('AWS_SESSION_TOKEN', sessionToken.reveal()),
    exported('AWS_REGION', region),
    exported('AWS_DEFAULT_REGION', region),
    ...endpointLines(endpoint),
  ];
}

/** Lines for a POSIX shell, without a secret: the file is read when they are. */
export function servedLines({ url, tokenFile }: ServedPlace): readonly string[] {
  const file = quoted(tokenFile);
  return [
    exported('AWS_CONTAINER_CREDENTIALS_FULL_URI', url),
    exported('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE', tokenFile),
    '# For programs that do not know the variable above (awscli before 2.13.34):',
    `export AWS_CONTAINER_AUTHORIZATION_TOKEN="$(cat ${file})"`,
  ];
}

function endpointLines(endpoint: string): readonly string[] {
  return [
    `# awscli before 2.13 ignores the next line, as other old programs do: give it --endpoint-url ${quoted(endpoint)}`,
    exported('AWS_ENDPOINT_URL', endpoint),
  ];
}

function exported(name: string, value: string): string {
  return `export ${name}=${quoted(value)}`;
}

/** In single quotes nothing is special but the quote itself; a comment ends with its line. */
function quoted(value: string): string {
  return `'${value.replaceAll("'", "'\\''").replaceAll(/[\r\n]/g, '')}'`;
}
