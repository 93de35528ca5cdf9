/**
 * `npm run test:soak [-- --minutes M] [--server NAME] [--files N] [--write-back MODE] [--seed N]`:
 * `cp -r` and rsync run on one mount over hundreds of renewals of its login; memory and handles of
 * the mount must stay flat, nothing may fail, and everything is compared in the end.
 *
 *   --minutes M         default 5
 *   --server NAME       playground (default), rgw or minio
 *   --files N           in the tree that is copied again and again (default 2000)
 *   --write-back MODE   off (default), on or durable
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { GetObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { type StoreName, storeNames } from '../bench/stores/bench-store.ts';
import { Closers } from '../src/lib/closers.ts';
import { Random } from '../test/fixtures/random.ts';
import { unmountAll } from '../test/fixtures/real-mount.ts';
import { WireUser } from './demo/wire-user.ts';
import { type FaultStore, startFaultStore } from './faults/site.ts';
import { copyOn, mirrorOn, type WorkDone } from './soak/programs-at-work.ts';
import { SoakMount } from './soak/soak-mount.ts';
import { hashesBelow, SourceTree, sha256 } from './soak/source-tree.ts';
import { runUntilStopped } from './stop-signal.ts';
import { tallyLine } from './tally.ts';

interface Command {
  readonly minutes: number;
  readonly server: StoreName;
  readonly files: number;
  readonly writeBack: string;
  readonly seed: number;
}

const USAGE = `usage: npm run test:soak -- [--minutes M] [--server ${storeNames.join('|')}] [--files N] [--write-back off|on|durable] [--seed N]\n`;
/** Of access tokens and of the playground's leases: a renewal each two seconds. */
const TOKEN_SECONDS = 3;
/** MinIO gives leases that end with the token; what is left of a shorter one is too little. */
const MINIO_TOKEN_SECONDS = 20;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Undefined when it is none of ours. */
function readCommand(): Command | undefined {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      server: { type: 'string', default: 'playground' },
      files: { type: 'string', default: '2000' },
      'write-back': { type: 'string', default: 'off' },
      seed: { type: 'string', default: '1' },
    },
  });
  const server = storeNames.find((name) => name === values.server);
  const [minutes, files, seed] = [
    Number(values.minutes),
    Number(values.files),
    Number(values.seed),
  ];
  const writeBack = values['write-back'];
  const arePossible = minutes > 0 && files > 0 && Number.isInteger(seed);
  if (server === undefined || !arePossible) return undefined;
  if (!['off', 'on', 'durable'].includes(writeBack)) return undefined;
  return { minutes, server, files, writeBack, seed };
}

async function main(command: Command, signal: AbortSignal): Promise<number> {
  const { minutes, server, files, writeBack, seed } = command;
  await using closers = new Closers();
  const folder = await mkdtemp(join(tmpdir(), 'wire-soak-'));
  closers.defer(async () => await rm(folder, { recursive: true, force: true }));
  const tokenSeconds = server === 'playground' ? TOKEN_SECONDS : MINIO_TOKEN_SECONDS;
  const store = await startFaultStore(
    { server, tokenSeconds, keepsRefreshTokens: true },
    closers,
    signal,
  );
  const user = closers.use(await WireUser.create(resolve('bin', 'wire.js')));
  closers.defer(async () => await unmountAll(user.folder));
  await user.login([store.issuer, '--audience', store.audience], 'alice', () => undefined, signal);
  const mount = closers.use(await SoakMount.start(user, store, writeBack, signal));
  const [still, moving] = [join(folder, 'still'), join(folder, 'moving')];
  await new SourceTree(still, new Random(seed)).fill(files);
  const tree = new SourceTree(moving, new Random(seed + 1));
  await tree.fill(Math.ceil(files / 2));
  say(`on ${store.version}, ${files} files, --write-back=${writeBack}, for ${minutes} minutes`);

  const end = performance.now() + minutes * 60_000;
  const isOver = (): boolean => performance.now() > end;
  const done: WorkDone = { copies: 0, passes: 0, files: 0 };
  const place = join(mount.path, 'soak');
  await mkdir(place);
  const watching = new AbortController();
  const watched = mount.watch(watching.signal);
  try {
    await Promise.all([
      copyOn(still, place, done, isOver, signal),
      mirrorOn(tree, join(place, 'mirror'), done, isOver, signal),
    ]);
  } finally {
    watching.abort();
    await watched;
  }
  const renewals = store.renewals();
  const wrong = [...mount.verdict(say), ...(await mount.stop(signal))];
  wrong.push(...(await differences(store, still, `soak/copy-${done.copies - 1}/`, signal)));
  wrong.push(...(await differences(store, moving, 'soak/mirror/', signal)));
  say(`${done.files} files written: ${done.copies} copies, ${done.passes} passes of rsync`);
  say(`${renewals} renewals`);
  for (const each of wrong) say(`WRONG ${each}`);
  const promises = 5;
  const failed = Math.min(promises, wrong.length);
  say(`\n${tallyLine({ passed: promises - failed, failed, skipped: 0 })}`);
  return wrong.length === 0 ? 0 : 1;
}

/** Between a folder of this machine and what the bucket has below `prefix`. */
async function differences(
  { client, bucket: Bucket }: FaultStore,
  folder: string,
  prefix: string,
  abortSignal: AbortSignal,
): Promise<readonly string[]> {
  const expected = new Map(await hashesBelow(folder));
  const wrong: string[] = [];
  const pages = paginateListObjectsV2({ client }, { Bucket, Prefix: prefix }, { abortSignal });
  for await (const { Contents = [] } of pages) {
    for (const { Key = '' } of Contents) {
      if (Key.endsWith('/')) continue;
      const path = Key.slice(prefix.length);
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }), { abortSignal });
      const found = sha256((await Body?.transformToByteArray()) ?? new Uint8Array());
      if (expected.get(path) !== found) wrong.push(`${Key} is not what was copied`);
      expected.delete(path);
    }
  }
  return [...wrong, ...[...expected.keys()].map((path) => `${prefix}${path} is not there`)];
}

const command = readCommand();
if (command === undefined) {
  process.stderr.write(USAGE);
  process.exit(2);
}
delete process.env['AWS_CA_BUNDLE'];
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
await runUntilStopped('test-soak', async (signal) => await main(command, signal));
