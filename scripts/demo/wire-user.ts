/** A person with an account of their own: the real command, in folders that vanish afterwards. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { approveInBrowser } from '../../src/demo/iam/browser.ts';
import { type Finished, type ProgramOptions, run } from './programs.ts';

export class WireUser implements AsyncDisposable {
  /** Everything of this person: remove it, and nothing is left. */
  readonly folder: string;
  /** What makes the command use this person's folders. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #command: string;

  private constructor(folder: string, command: string) {
    this.folder = folder;
    this.#command = command;
    this.environment = {
      HOME: join(folder, 'home'),
      WIRE_STATE_DIR: join(folder, 'state'),
      WIRE_RUNTIME_DIR: join(folder, 'run'),
      WIRE_CONFIG: join(folder, 'config.yaml'),
      WIRE_KEY_FILE: join(folder, 'key'),
    };
  }

  /** `command` is the path of bin/wire.js. */
  static async create(command: string): Promise<WireUser> {
    const folder = await mkdtemp(join(tmpdir(), 'wire-demo-'));
    await mkdir(join(folder, 'home'));
    await writeFile(join(folder, 'config.yaml'), 'profiles: {}\n', { mode: 0o600 });
    // A desktop has a keychain; a demo has this file.
    const key = Buffer.from(crypto.getRandomValues(new Uint8Array(32)));
    await writeFile(join(folder, 'key'), key, { mode: 0o600 });
    return new WireUser(folder, command);
  }

  /** Runs `wire ...args` to its end. */
  async wire(
    args: readonly string[],
    signal: AbortSignal,
    options: ProgramOptions = {},
  ): Promise<Finished> {
    const [program = '', ...rest] = this.commandLine(args);
    return await run(program, rest, signal, { ...options, env: this.environment });
  }

  /** Program and arguments that run `wire ...args`. */
  commandLine(args: readonly string[]): readonly string[] {
    return [process.execPath, this.#command, ...args];
  }

  /**
   * Runs `wire login ...args`, and approves as `userName` would in a browser; undefined leaves that
   * to a person. Each line that the command shows goes to `onLine`.
   *
   * @returns the last line: who is logged in.
   */
  async login(
    args: readonly string[],
    userName: string | undefined,
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<string> {
    let approving: Promise<void> | undefined;
    const { stderr } = await this.wire(['login', '--no-browser', '--qr', ...args], signal, {
      onStderr: (line) => {
        onLine(line);
        const url = /https?:\/\/\S+user_code=(\S+)/.exec(line);
        if (userName === undefined || url?.[1] === undefined || approving !== undefined) return;
        const code = decodeURIComponent(url[1]);
        approving = approveInBrowser(url[0], code, userName, undefined, signal);
        approving.catch(() => undefined); // awaited below; until then it must not end the process
      },
    });
    await approving;
    return stderr.trim().split('\n').at(-1) ?? '';
  }

  /** Files below the state and runtime folders, for the check that nothing is left. */
  async leftovers(): Promise<string[]> {
    const folders = ['state', 'run'].map((name) => join(this.folder, name));
    const found: string[] = [];
    for (const folder of folders) {
      const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
      for (const entry of names) {
        if (!entry.isDirectory()) found.push(join(entry.parentPath, entry.name));
      }
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** Mount points of wire below `folder`, as the kernel lists them. */
export async function mountsBelow(folder: string): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  const points = table.split('\n').map((line) => line.split(' ')[4] ?? '');
  return points.filter((point) => point.startsWith(`${folder}/`));
}
