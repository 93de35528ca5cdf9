/** The command in a process that is not there: what it writes, what it asks of the daemon. */
import type { CliSurroundings } from '../../../src/cli/context.ts';
import { runCli } from '../../../src/cli/run.ts';
import { Terminal } from '../../../src/cli/terminal.ts';
import type { MountsAnswer } from '../../../src/daemon/control-protocol.ts';
import type { Daemon } from '../../../src/daemon/daemon.ts';
import type { Starter, StartReport } from '../../../src/daemon/detach.ts';
import type { LoginInput } from '../../../src/daemon/identity.ts';
import type { CredentialsRequest } from '../../../src/daemon/issue-credentials.ts';
import type { LeftFile } from '../../../src/daemon/left-behind.ts';
import type { MountStatus } from '../../../src/daemon/mount.ts';
import type { MountsAsked } from '../../../src/daemon/mounts-asked.ts';
import type { MountPair, MountsRequest } from '../../../src/daemon/mounts-request.ts';
import type { Remountable } from '../../../src/daemon/remount.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { WireError } from '../../../src/lib/wire-error.ts';
import { FakeSignals } from '../daemon/fake-mounts.ts';

export interface CliRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function statusOf({ mountPoint, readOnly }: MountPair): MountStatus {
  return { mountPoint, readOnly, source: 's3://b' } as MountStatus;
}

export class FakeCli {
  readonly signals = new FakeSignals();
  readonly mounts: MountsRequest[] = [];
  readonly logins: LoginInput[] = [];
  readonly unmounts: [string, boolean][] = [];
  readonly forced: string[] = [];
  /** What was asked of files in mounts. */
  readonly tended: (readonly [string, string])[] = [];
  readonly credentials: CredentialsRequest[] = [];
  readonly served: (CredentialsRequest & { readonly port: number })[] = [];
  readonly detached: (readonly string[])[] = [];
  report: StartReport = { outcome: 'ready', lines: ['Mounted s3://b at /m'] };
  /** What was asked of the daemon, and what it answers. */
  readonly asked: Omit<MountsAsked, 'caller'>[] = [];
  answer = async ({ request }: Omit<MountsAsked, 'caller'>): Promise<MountsAnswer> =>
    await Promise.resolve({ version: '1.2.3', mounts: request.mounts.map(statusOf), warnings: [] });
  /** Mounts that have a note. */
  remountable: readonly Remountable[] = [];
  /** What `wire recover` finds, and what was discarded of it. */
  left: readonly LeftFile[] = [];
  readonly discarded: string[] = [];
  environment: Record<string, string> = {};
  configFile = '/nowhere/config.yaml';
  runtimeDir = '/run';
  uid = 1000;
  isTTY = false;
  /** Of the terminal, in characters. */
  size = { columns: 100, rows: 40 };
  /** Whether a sleep lasts until it is aborted, or ends at once. */
  sleeps: 'wait' | 'end' = 'wait';
  starter: Starter | undefined;
  leftWorkingDirectory = false;
  /** Replaces parts of the daemon. */
  daemon: Partial<Daemon> = {};

  /** Told of all that is on stdout, whenever more comes. */
  printed: (stdout: string) => void = () => undefined;

  async run(...words: string[]): Promise<CliRun> {
    let stdout = '';
    let stderr = '';
    const { isTTY } = this;
    const terminal = new Terminal(
      {
        write: (text) => {
          stdout += text;
          this.printed(stdout);
        },
        isTTY,
      },
      { write: (text) => (stderr += text), isTTY, ...this.size },
      this.environment,
    );
    const options = { words, version: '1.2.3', logFile: () => '/state/wire.log' };
    const code = await runCli(options, this.#surroundings(terminal));
    return { code, stdout, stderr };
  }

  #surroundings(terminal: Terminal): CliSurroundings {
    return {
      terminal,
      environment: this.environment,
      paths: {
        configFile: this.configFile,
        configFileNamed: false,
        stateDir: '/state',
        runtimeDir: this.runtimeDir,
        cacheDir: '/cache',
        home: '/home/u',
      },
      uid: this.uid,
      platform: 'linux',
      workingDirectory: '/cwd',
      clock: {
        now: () => 1_000,
        monotonic: () => 0,
        sleep: async (_, signal) =>
          await new Promise((resolve) => {
            if (signal.aborted || this.sleeps === 'end') resolve();
            signal.addEventListener('abort', () => resolve(), { once: true });
          }),
      },
      signals: this.signals,
      starter: this.starter,
      daemon: async () => await Promise.resolve({ ...this.#daemon(), ...this.daemon }),
      version: '1.2.3',
      command: ['wire.js'],
      startDetached: async ({ command }) => {
        this.detached.push(command);
        return await Promise.resolve(this.report);
      },
      detachedLogFile: async () => await Promise.resolve('/state/wire.log'),
      mountInDaemon: async (asked) => {
        this.asked.push(asked);
        return await this.answer(asked);
      },
      leaveWorkingDirectory: () => {
        this.leftWorkingDirectory = true;
      },
      openLog: async () => await Promise.resolve(silentLog),
    };
  }

  #daemon(): Daemon {
    return {
      login: async (input, events) => {
        this.logins.push(input);
        const verificationUri = `${input.issuer}/device`;
        events.code({
          userCode: 'ABCD-EFGH',
          verificationUri,
          verificationUriComplete: `${verificationUri}?user_code=ABCD-EFGH`,
          expiresAtMs: 61_000,
        });
        events.note?.('no groups');
        return await Promise.resolve({
          issuer: input.issuer,
          who: 'alice',
          groups: ['a', 'b'],
          audience: 'object',
          storedIn: '/state/logins.sealed',
        });
      },
      logout: async (issuer = 'https://iam.example') =>
        await Promise.resolve({ issuer, notes: ['the client was deleted'], served: [] }),
      mount: async (request, events) => {
        this.mounts.push(request);
        events.ready(request.mounts.map(statusOf));
        await Promise.resolve();
      },
      serve: async (ready) => await ready(),
      ownMounts: async () => await Promise.resolve(['/m', '/n']),
      remountable: async () => await Promise.resolve(this.remountable),
      files: async (verb, path, progress) => {
        this.tended.push([verb, path]);
        progress({ files: 0, bytes: 0, totalBytes: 2048 });
        return await Promise.resolve({ files: 2, bytes: 2048, totalBytes: 2048 });
      },
      cacheUsage: async ({ cacheDir = '/cache', cacheBytes = 0 }) =>
        await Promise.resolve({
          folder: cacheDir,
          objects: 3,
          bytes: 4096,
          quotaBytes: cacheBytes,
          pinnedBytes: 1024,
        }),
      clearCache: async ({ cacheDir = '/cache' }) =>
        await Promise.resolve({ folder: cacheDir, bytes: 4096 }),
      forceUnmount: async (mountPoint) => {
        this.forced.push(mountPoint);
        await Promise.resolve();
      },
      listLeft: async () => await Promise.resolve(this.left),
      exportLeft: async (folder, progress) => {
        progress({ files: 1, bytes: 1024, totalBytes: 4096 });
        return await Promise.resolve(
          this.left.map((file) => ({ file, path: `${folder}/${file.name}.${file.id}` })),
        );
      },
      discardLeft: async (id) => {
        const file = this.left.find((each) => each.id === id);
        if (file === undefined) {
          throw new WireError('not-found', { tried: 'discard', answered: 'nothing' });
        }
        this.discarded.push(id);
        return await Promise.resolve(file);
      },
      unmount: async (mountPoint, lazy, progress) => {
        this.unmounts.push([mountPoint, lazy]);
        for (const bytes of [4096, 1024]) progress({ files: 1, bytes });
        await Promise.resolve();
      },
      credentials: async (request) => {
        this.credentials.push(request);
        return await Promise.resolve({
          accessKeyId: 'ASIAKEY',
          secretAccessKey: new Secret("sec'ret$(x)"),
          sessionToken: new Secret('session-token'),
          expiresAtMs: 3_601_000,
          endpoint: 'https://s3.example',
          region: 'here',
        });
      },
      serveCredentials: async (request, events) => {
        this.served.push(request);
        const url = 'http://127.0.0.1:4711/credentials';
        events.serving({ url, tokenFile: "/run/it's/credentials-1.token" });
        await Promise.resolve();
      },
      isLoggedIn: async () => await Promise.resolve(false),
      status: async () => await Promise.resolve({ mounts: [], logins: [] }),
      statusAgain: async (before) => await Promise.resolve(before),
      checkUp: async () => await Promise.resolve([]),
      report: async ({ path }) => await Promise.resolve({ path, bytes: 0, files: [] }),
      listBuckets: async ({ endpoint = 'https://s3.example' }) =>
        await Promise.resolve({
          endpoint,
          buckets: [
            { name: 'a', createdMs: 0 },
            { name: 'b', createdMs: 1_700_000_000_000 },
          ],
        }),
      whoAmI: async () => await Promise.resolve({ sources: [] }),
      token: async () => await Promise.reject(new Error('no token here')),
    };
  }
}
