/**
 * Secrets that came in environment variables. They are for this process: what it starts does not
 * inherit them. That /proc/PID/environ goes on showing what a process was started with, to its own
 * user and root, cannot be helped; a process in the background was therefore not started with them.
 */
import { Secret } from '../lib/secret.ts';

export type Variables = Readonly<Record<string, string | undefined>>;

/** Names that say so: BEARER_TOKEN, ACCESS_TOKEN, IAM_CLIENT_SECRET, AWS_SECRET_ACCESS_KEY, … */
const SECRET_NAME = /(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|SECRET_?ACCESS_?KEY|API_?KEY)$/i;

/** `scheme://user:password@host`; a password may hold what should have been encoded. */
const PASSWORD_IN_URL = /^\w+:\/\/[^/@:?#]*:([^/]+)@/;
/** Proxies are given without a scheme as well. */
const PROXY_NAME = /_proxy$/i;
const PASSWORD_IN_PROXY = /^(?:\w+:\/\/)?[^/@:?#]*:([^/]+)@/;

/** Whether a variable holds a secret, and not the name of a file with one. */
export function isSecretVariable(name: string, value: string | undefined): boolean {
  return SECRET_NAME.test(name) || passwordIn(name, value ?? '') !== undefined;
}

/** The password in the address that is the value of `name`, as it stands there. */
function passwordIn(name: string, value: string): string | undefined {
  const form = PROXY_NAME.test(name) ? PASSWORD_IN_PROXY : PASSWORD_IN_URL;
  return form.exec(value)?.[1];
}

/** What the percent-encoding in `text` means; `text` where it is none. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
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
    const password = passwordIn(name, value);
    if (password !== undefined) for (const form of [password, decoded(password)]) new Secret(form);
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
