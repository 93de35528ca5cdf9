/** Opening a page in a browser, where there is one and the person sits before it. */
import { spawn } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import type { Environment } from '../config/settings.ts';

/** The program that opens a page here; undefined where a window would not reach the person. */
export function browserCommand(
  environment: Environment,
  platform: NodeJS.Platform,
): readonly string[] | undefined {
  const set = (name: string): boolean => Boolean(environment[name]);
  if (['SSH_CONNECTION', 'SSH_TTY', 'JUPYTERHUB_USER', 'CI'].some(set)) return undefined;
  if (platform === 'darwin') return ['open'];
  if (platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler'];
  if (set('WSL_DISTRO_NAME')) return ['wslview'];
  return set('DISPLAY') || set('WAYLAND_DISPLAY') ? ['xdg-open'] : undefined;
}

/** Variables that hold secrets by their names, and ours: a browser needs none of them. */
const SECRET_NAME = /TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|_KEY|^AWS_|^WIRE_|^IAM_/i;

/** What of `environment` a browser gets. */
export function browserEnvironment(environment: Environment): Environment {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !SECRET_NAME.test(name)),
  );
}

/**
 * Starts `command` with `url`. Whether it works out does not matter: the address is printed too.
 *
 * @returns false for an address that no browser shall be given.
 */
export function openBrowser(
  command: readonly string[],
  url: string,
  environment: Environment,
): boolean {
  // Only what a browser opens as a page: the address comes from a server.
  return /^https?:\/\//.test(url) && start(command, url, environment);
}

/** Starts `command` with a page that is a file of our own. */
export function openFile(
  command: readonly string[],
  path: string,
  environment: Environment,
): boolean {
  return start(command, pathToFileURL(path).href, environment);
}

function start(command: readonly string[], address: string, environment: Environment): boolean {
  const [program, ...first] = command;
  if (program === undefined) return false;
  const child = spawn(program, [...first, address], {
    detached: true,
    stdio: 'ignore',
    env: browserEnvironment(environment),
  });
  child.once('error', () => undefined);
  child.unref();
  return true;
}
