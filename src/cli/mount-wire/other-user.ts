/** `-o setuid=USER`: root goes on as somebody else, with that user's groups and folders. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { WireError } from '../../lib/wire-error.ts';

/** Nothing that root can do is possible afterwards. @throws WireError `usage`. */
export function becomeUser(name: string): void {
  const [uid] = idsOf(name, '-u');
  const [gid] = idsOf(name, '-g');
  const groups = idsOf(name, '-G');
  if (uid === undefined || gid === undefined) throw refusal(name, 'there is no such user');
  // mount(8) has already become the user who called it.
  if (process.getuid?.() === uid) return;
  if (process.getuid?.() !== 0) {
    throw refusal(name, 'only root can become somebody else', 'leave setuid out');
  }
  process.setgroups?.([...groups]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  enterFolders(process.env);
}

/** By id(1), which knows users of every directory of the machine. */
function idsOf(name: string, flag: '-u' | '-g' | '-G'): readonly number[] {
  try {
    const ids = execFileSync('id', [flag, '--', name], {
      stdio: ['ignore', 'pipe', 'ignore'],
      encoding: 'utf8',
    });
    return ids.trim().split(' ').map(Number);
  } catch {
    return [];
  }
}

/** Folders of root are not for this user; a runtime folder is there while the user is logged in. */
function enterFolders(environment: NodeJS.ProcessEnv): void {
  const { homedir, username, uid } = userInfo();
  for (const folder of ['CONFIG_HOME', 'STATE_HOME', 'CACHE_HOME', 'RUNTIME_DIR']) {
    Reflect.deleteProperty(environment, `XDG_${folder}`);
  }
  Object.assign(environment, { HOME: homedir, USER: username, LOGNAME: username });
  const runtime = `/run/user/${uid}`;
  if (existsSync(runtime)) environment['XDG_RUNTIME_DIR'] = runtime;
}

function refusal(name: string, answered: string, next?: string): WireError {
  const facts = { tried: `mount as ${name}`, answered };
  return new WireError('usage', next === undefined ? facts : { ...facts, next });
}
