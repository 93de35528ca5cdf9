/**
 * `npm run demo`: the whole chain on this machine. Starts the playground, then uses the real
 * command as a person would; each step prints its time. The last line of both output streams is
 * `demo: ok`, or the name of the step that failed.
 */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Playground, startPlayground } from '../src/demo/playground.ts';
import { formatBytes, MiB } from '../src/lib/bytes.ts';
import { systemClock } from '../src/lib/clock.ts';
import { run } from './demo/programs.ts';
import { chooseRealTree, type RealTree } from './demo/real-tree.ts';
import { Steps } from './demo/steps.ts';
import { mountsBelow, WireUser } from './demo/wire-user.ts';

/** What the README promises of the demo. */
const MIN_FILES = 1000;
const MIN_BYTES = 100 * MiB;
const ACCESS_TOKEN_SECONDS = 10;
const LEASE_SECONDS = 5;
const MIN_RENEWALS = 5;

/** A demo that takes longer hangs. */
const PATIENCE_MS = 8 * 60 * 1000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

interface Scene {
  readonly playground: Playground;
  readonly user: WireUser;
  readonly steps: Steps;
  readonly tree: RealTree;
  readonly mountPoint: string;
  readonly manual: boolean;
}

async function logIn(scene: Scene, signal: AbortSignal): Promise<void> {
  const { playground, user, manual } = scene;
  const args = [playground.issuer, '--audience', playground.audience];
  const show = (line: string): void => print(`           ${line}`);
  if (manual)
    show('Open the page below in a browser, and log in there as alice, with any password.');
  await user.login(args, manual ? undefined : 'alice', show, signal);
}

async function mount({ playground, user, mountPoint }: Scene, signal: AbortSignal): Promise<void> {
  const where = ['--endpoint', playground.endpoint, '--audience', playground.audience];
  const role = ['--role', playground.role];
  const how = ['--mkdir', '--daemon'];
  await user.wire(
    ['mount', `s3://${playground.bucket}`, mountPoint, ...where, ...role, ...how],
    signal,
  );
}

async function copyIn({ tree, mountPoint }: Scene, signal: AbortSignal): Promise<string> {
  const started = performance.now();
  await run('mkdir', [join(mountPoint, 'tree')], signal);
  await run('cp', ['-r', ...tree.folders, join(mountPoint, 'tree')], signal);
  const seconds = (performance.now() - started) / 1000;
  const speed = formatBytes(tree.bytes / seconds);
  return `${tree.files} files, ${formatBytes(tree.bytes)}, ${speed}/s`;
}

async function compare({ tree, mountPoint }: Scene, signal: AbortSignal): Promise<void> {
  for (const folder of tree.folders) {
    const copy = join(mountPoint, 'tree', basename(folder));
    await run('diff', ['-r', folder, copy], signal);
  }
}

async function count({ tree, mountPoint }: Scene, signal: AbortSignal): Promise<string> {
  const found = await run('find', [join(mountPoint, 'tree'), '-type', 'f', '-printf', '.'], signal);
  if (found.stdout.length !== tree.files) {
    throw new Error(`find saw ${found.stdout.length} files of ${tree.files}`);
  }
  return `${tree.files} files`;
}

async function search({ tree, mountPoint }: Scene, signal: AbortSignal): Promise<string> {
  const word = ['-rIl', '--include=*.js', 'function'];
  const here = await run('grep', [...word, ...tree.folders], signal);
  const there = await run('grep', [...word, join(mountPoint, 'tree')], signal);
  const [wanted, seen] = [here, there].map(({ stdout }) => stdout.trim().split('\n').length);
  if (wanted !== seen) throw new Error(`grep found ${seen} files in the mount, ${wanted} here`);
  return `${seen} files hold the word`;
}

async function pack({ tree, mountPoint, user }: Scene, signal: AbortSignal): Promise<string> {
  const archive = join(user.folder, 'tree.tar');
  await run('tar', ['-cf', archive, '-C', mountPoint, 'tree'], signal);
  const listed = await run('tar', ['-tf', archive], signal);
  const files = listed.stdout.split('\n').filter((name) => name !== '' && !name.endsWith('/'));
  if (files.length !== tree.files) throw new Error(`tar holds ${files.length} of ${tree.files}`);
  return `${files.length} files in the archive`;
}

interface Renewals {
  readonly leases: number;
  readonly tokens: number;
}

/** How often the servers were asked for credentials and for tokens so far. */
function renewals({ s3, iam }: Playground): Renewals {
  return {
    leases: s3.counters.requests('AssumeRoleWithWebIdentity'),
    tokens: iam.counters().token,
  };
}

/** Reads until both kinds of secret have been renewed often enough; every byte is compared. */
async function readThroughRenewals(scene: Scene, signal: AbortSignal): Promise<string> {
  const { playground, mountPoint, tree } = scene;
  const before = renewals(playground);
  const folder = tree.folders[0] ?? '';
  let rounds = 0;
  for (;;) {
    const now = renewals(playground);
    const leases = now.leases - before.leases;
    const tokens = now.tokens - before.tokens;
    if (leases >= MIN_RENEWALS && tokens >= MIN_RENEWALS) {
      return `${rounds} rounds, ${leases} new leases, ${tokens} new tokens, no error`;
    }
    await run('diff', ['-r', folder, join(mountPoint, 'tree', basename(folder))], signal);
    // A new file each round: writing must outlive the credentials as reading does.
    await run('cp', [join(mountPoint, 'note'), join(mountPoint, `note-${rounds}`)], signal);
    rounds += 1;
    await systemClock.sleep(500, signal);
  }
}

async function showStatus({ user }: Scene, signal: AbortSignal): Promise<void> {
  const { stdout } = await user.wire(['status'], signal);
  for (const line of stdout.trimEnd().split('\n')) print(`           ${line}`);
}

/** What a token looks like: the first two parts of a JWS in its compact form (RFC 7515, section 7.1). */
const tokenPattern = /eyJ[\w-]{10,}\.[\w-]{10,}/;

/** @throws Error when a process, mount or token outlived its step. */
async function findNothingLeft(user: WireUser, daemons: readonly number[]): Promise<string> {
  const mounts = await mountsBelow(user.folder);
  if (mounts.length > 0) throw new Error(`still mounted: ${mounts.join(', ')}`);
  const alive: number[] = [];
  for (const pid of daemons) if (await isRunning(pid)) alive.push(pid);
  if (alive.length > 0) throw new Error(`still running: ${alive.join(', ')}`);
  const files = await user.leftovers();
  for (const file of files) {
    if (tokenPattern.test(await readFile(file, 'latin1'))) throw new Error(`a token is in ${file}`);
  }
  const names = files.map((file) => basename(file)).join(', ');
  return `no mount, no process, no token; the state folder holds ${names || 'nothing'}`;
}

async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  return stat !== undefined && !stat.includes(') Z ');
}

async function daemonPids({ user }: Scene, signal: AbortSignal): Promise<number[]> {
  const { stdout } = await user.wire(['status', '--json'], signal);
  const { mounts } = JSON.parse(stdout) as { mounts: readonly { pid?: number }[] };
  return mounts.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
}

async function play(scene: Scene, signal: AbortSignal): Promise<void> {
  const { steps, mountPoint, user, playground } = scene;
  await steps.run('log in with a device code', async () => await logIn(scene, signal));
  await steps.run(`mount s3://${playground.bucket}`, async () => await mount(scene, signal));
  try {
    const daemons = await daemonPids(scene, signal);
    await steps.run('copy a real tree in, cp -r', async () => await copyIn(scene, signal));
    await run('cp', [join(user.folder, 'config.yaml'), join(mountPoint, 'note')], signal);
    await steps.run('read it back, diff -r', async () => await compare(scene, signal));
    await steps.run('count it, find', async () => await count(scene, signal));
    await steps.run('search it, grep -r', async () => await search(scene, signal));
    await steps.run('pack it, tar', async () => await pack(scene, signal));
    await steps.run(
      `read on while credentials (${LEASE_SECONDS} s) and tokens (${ACCESS_TOKEN_SECONDS} s) end`,
      async () => await readThroughRenewals(scene, signal),
    );
    await steps.run('wire status', async () => await showStatus(scene, signal));
    await steps.run('unmount', async () => {
      await user.wire(['unmount', mountPoint], signal);
    });
    await steps.run('log out', async () => {
      await user.wire(['logout'], signal);
    });
    await steps.run('nothing is left', async () => await findNothingLeft(user, daemons));
  } finally {
    // Only after a failed step is there anything to take away here.
    for (const point of await mountsBelow(user.folder)) {
      await user
        .wire(['unmount', '--lazy', point], AbortSignal.timeout(30_000))
        .catch(() => undefined);
    }
  }
}

async function main(signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({ options: { manual: { type: 'boolean', default: false } } });
  const steps = new Steps(print);
  const root = process.cwd();
  const tree = await chooseRealTree(join(root, 'node_modules'), MIN_FILES, MIN_BYTES);
  await using playground = await steps.run('start the playground', async () => {
    const lifetimes = { accessTokenSeconds: ACCESS_TOKEN_SECONDS, leaseSeconds: LEASE_SECONDS };
    return await startPlayground(lifetimes, signal);
  });
  await using user = await WireUser.create(join(root, 'bin', 'wire.js'));
  const mountPoint = join(user.folder, 'bucket');
  await play({ playground, user, steps, tree, mountPoint, manual: values.manual }, signal);
}

/** The error and its causes, one line each. */
function explain(error: unknown): string {
  const lines: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) lines.push(at.message);
  return lines.join('\n  ');
}

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(name, () => interrupted.abort(new Error('interrupted')));
}
const patience = systemClock
  .sleep(PATIENCE_MS, interrupted.signal)
  .then(() => interrupted.abort(new Error('the demo took too long')))
  .catch(() => undefined);

try {
  await main(interrupted.signal);
  for (const stream of [process.stdout, process.stderr]) stream.write('demo: ok\n');
} catch (error) {
  process.exitCode = 1;
  for (const stream of [process.stdout, process.stderr]) {
    stream.write(`demo: failed\n  ${explain(error)}\n`);
  }
} finally {
  interrupted.abort(new Error('the demo is over'));
  await patience;
}
