/**
 * Secrets that came in environment variables. They are for this process: what it starts does not
 * inherit them. That /proc/PID/environ goes on showing what a process was started with, to its own
 * user and root, cannot be helped; a process in the background was therefore not started with them.
 */
import { Secret } from '../lib/secret.ts';

export type Variables = Readonly<Record<string, string | undefined>>;

/** Names that say so: BEARER_TOKEN, ACCESS_TOKEN, IAM_CLIENT_SECRET, AWS_SECRET_ACCESS_KEY, … */
const SECRET_NAME = /(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|SECRET_?ACCESS_?KEY|API_?KEY)$/i;

/** `scheme://user:password@`, as proxies are given. */
const PASSWORD_IN_URL = /^\w+:\/\/[^/@:]*:([^/@]+)@/;

/** Whether a variable holds a secret, and not the name of a file with one. */
export function isSecretVariable(name: string, value: string | undefined): boolean {
  return SECRET_NAME.test(name) || PASSWORD_IN_URL.test(value ?? '');
}

/**
 * All of `environment`, whose secrets are then taken out of it, so that no program that is started
 * later inherits them. From now on logs and errors do not show them either.
 */
export function takeEnvironment(environment: NodeJS.ProcessEnv): Variables {
  const taken: Variables = { ...environment };
  conceal(taken);
  for (const [name, value] of Object.entries(taken)) {
    if (isSecretVariable(name, value)) Reflect.deleteProperty(environment, name);
  }
  return taken;
}

/** Makes the secrets in `variables` known to `redactKnown`. */
export function conceal(variables: Variables): void {
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) continue;
    const password = PASSWORD_IN_URL.exec(value)?.[1];
    if (password !== undefined) new Secret(password);
    else if (isSecretVariable(name, value)) new Secret(value);
  }
}

/** What anybody may see, and what goes another way. */
export function parted(environment: Variables): {
  readonly open: Variables;
  readonly secret: Variables;
} {
  const entries = Object.entries(environment);
  return {
    open: Object.fromEntries(entries.filter(([name, value]) => !isSecretVariable(name, value))),
    secret: Object.fromEntries(entries.filter(([name, value]) => isSecretVariable(name, value))),
  };
}
