/** The workloads by their fixed names: what is run on a mount, and what of it counts. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../scripts/demo/programs.ts';
import type { Programs } from './toolchain.ts';

/** One run of a workload. */
export interface Sample {
  readonly value: number;
  /** Operations behind it, for the cost of one: requests, files, or MiB. */
  readonly operations: number;
}

export interface Workload {
  readonly name: string;
  readonly unit: string;
  readonly better: 'greater' | 'smaller';
  /** 0: each stat asks; 60: the kernel remembers, as in daily use. */
  readonly attributeSeconds: 0 | 60;
  /** What an operation is, for the cost of one. */
  readonly operation: string;
  /**
   * Runs before, on other files: a daemon lives for days, and what is compiled and allocated in its
   * first tenths of a second is no part of what an operation costs. Gives what the same work
   * takes in a new daemon, where that can be told.
   */
  warmUp?(mountPoint: string, programs: Programs, signal: AbortSignal): Promise<Sample | undefined>;
  run(mountPoint: string, programs: Programs, signal: AbortSignal): Promise<Sample>;
}

/** Long enough to outlast a burst of somebody else's, short enough for 5 rounds of 3 servers. */
const SECONDS = '1.5';
const FILES_TO_STAT = '10000';
const FILES_TO_MAKE = '5000';
const FILE_BYTES = '4096';
const STREAM_MIB = 2048;
const WRITE_MIB = 1024;
const MS_PER_SECOND = 1000;

interface WorkloadOutput {
  readonly operations: number;
  readonly seconds: number;
  readonly p99Us: number;
}

async function workload(
  { workload: program }: Programs,
  args: readonly string[],
  signal: AbortSignal,
): Promise<WorkloadOutput> {
  const { stdout } = await run(program, args, signal);
  return JSON.parse(stdout) as WorkloadOutput;
}

function perSecond({ operations, seconds }: WorkloadOutput): Sample {
  return { value: operations / seconds, operations };
}

function statBy(processes: number): Workload['run'] {
  return async (mountPoint, programs, signal) => {
    const folder = join(mountPoint, 'many-10k');
    const args = ['stat', folder, FILES_TO_STAT, SECONDS, String(processes)];
    return perSecond(await workload(programs, args, signal));
  };
}

/** stat(2) while another program streams: what a person at a prompt feels. */
const statUnderStream: Workload['run'] = async (mountPoint, programs, signal) => {
  const stop = new AbortController();
  const streaming = streamUntil(stop.signal, join(mountPoint, 'big'));
  try {
    const folder = join(mountPoint, 'many-10k');
    const args = ['stat', folder, FILES_TO_STAT, SECONDS, '1'];
    const output = await workload(programs, args, signal);
    return { value: output.p99Us, operations: output.operations };
  } finally {
    stop.abort();
    await streaming;
  }
};

async function streamUntil(signal: AbortSignal, file: string): Promise<void> {
  while (!signal.aborted) {
    await dd([`if=${file}`, 'of=/dev/null', 'iflag=direct', `count=${STREAM_MIB}`], signal).catch(
      (error: unknown) => {
        if (!signal.aborted) throw error;
      },
    );
  }
}

async function dd(args: readonly string[], signal: AbortSignal): Promise<void> {
  await run('dd', ['bs=1M', 'status=none', ...args], signal);
}

function randomReads(engine: readonly string[]): Workload['run'] {
  return async (mountPoint, { fio }, signal) => {
    const { stdout } = await run(
      fio,
      [
        '--name=random',
        `--filename=${join(mountPoint, 'big')}`,
        '--rw=randread',
        '--bs=4k',
        '--direct=1',
        '--time_based',
        `--runtime=${SECONDS}`,
        '--group_reporting',
        '--thread',
        '--output-format=json',
        ...engine,
      ],
      signal,
    );
    const { jobs } = JSON.parse(stdout) as FioOutput;
    const read = jobs[0]?.read;
    return { value: read?.iops ?? Number.NaN, operations: read?.total_ios ?? 0 };
  };
}

interface FioOutput {
  readonly jobs: readonly {
    readonly read: { readonly iops: number; readonly total_ios: number };
  }[];
}

/** One dd of `mib` MiB. */
function stream(mib: number, argsOf: (mountPoint: string) => readonly string[]): Workload['run'] {
  return async (mountPoint, _, signal) => {
    // No server asks to keep pages: opening drops those of the run before, here and not in dd.
    await (await open(join(mountPoint, 'big'))).close();
    const started = performance.now();
    await dd([...argsOf(mountPoint), `count=${mib}`], signal);
    const seconds = (performance.now() - started) / MS_PER_SECOND;
    return { value: mib / seconds, operations: mib };
  };
}

const made = (mountPoint: string): string => join(mountPoint, 'made');

const create: Workload['run'] = async (mountPoint, programs, signal) =>
  perSecond(
    await workload(programs, ['create', made(mountPoint), FILES_TO_MAKE, FILE_BYTES], signal),
  );

const createAndUnlink: Workload['run'] = async (mountPoint, programs, signal) => {
  const created = await create(mountPoint, programs, signal);
  await unlink(mountPoint, programs, signal);
  return created;
};

/** Files for `unlink` to take away; those that are there already are written again. */
const makeFiles: NonNullable<Workload['warmUp']> = async (mountPoint, programs, signal) => {
  await create(mountPoint, programs, signal);
  return undefined;
};

const unlink: Workload['run'] = async (mountPoint, programs, signal) =>
  perSecond(await workload(programs, ['unlink', made(mountPoint), FILES_TO_MAKE], signal));

/** The first `ls -l` of a folder, its only one: a second is answered from the kernel. */
function list(folders: readonly string[], names: number): Workload['run'] {
  return async (mountPoint, _, signal) => {
    const times: number[] = [];
    for (const folder of folders) {
      const started = performance.now();
      const toNothing = 'exec ls -l "$1" > /dev/null';
      await run('sh', ['-c', toNothing, 'sh', join(mountPoint, folder)], signal);
      times.push(performance.now() - started);
    }
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    return { value: mean, operations: names * folders.length };
  };
}

const rate = { better: 'greater', operation: 'op' } as const;
const files = { ...rate, unit: '1/s', attributeSeconds: 60, operation: 'file' } as const;
const reads = { ...rate, unit: '1/s', attributeSeconds: 60 } as const;
const bandwidth = {
  better: 'greater',
  operation: 'MiB',
  unit: 'MiB/s',
  attributeSeconds: 60,
} as const;
const listing = { better: 'smaller', operation: 'name', unit: 'ms', attributeSeconds: 60 } as const;

/** In the order they run; a listing of 100,000 names brings its own warmth. */
export const workloads: readonly Workload[] = [
  { ...rate, name: 'stat-1', unit: '1/s', attributeSeconds: 0, run: statBy(1) },
  { ...rate, name: 'stat-4', unit: '1/s', attributeSeconds: 0, run: statBy(4) },
  {
    name: 'stat-p99',
    unit: 'us',
    better: 'smaller',
    attributeSeconds: 0,
    operation: 'stat and its share of the stream',
    run: statUnderStream,
  },
  { ...reads, name: 'rand4k-1', run: randomReads(['--ioengine=psync', '--numjobs=1']) },
  { ...reads, name: 'rand4k-4', run: randomReads(['--ioengine=psync', '--numjobs=4']) },
  { ...reads, name: 'rand4k-aio16', run: randomReads(['--ioengine=libaio', '--iodepth=16']) },
  {
    ...bandwidth,
    name: 'seq-cold',
    run: stream(STREAM_MIB, (at) => [`if=${at}/big`, 'of=/dev/null']),
  },
  {
    ...bandwidth,
    name: 'seq-direct',
    run: stream(STREAM_MIB, (at) => [`if=${at}/big`, 'of=/dev/null', 'iflag=direct']),
  },
  {
    ...bandwidth,
    name: 'write',
    run: stream(WRITE_MIB, (at) => ['if=/dev/zero', `of=${at}/null`, 'conv=notrunc,fsync']),
  },
  { ...files, name: 'create', warmUp: createAndUnlink, run: create },
  { ...files, name: 'unlink', warmUp: makeFiles, run: unlink },
  {
    ...listing,
    name: 'ls-10k',
    warmUp: list(['many-10k'], 10_000),
    run: list(['list-10k-a', 'list-10k-b', 'list-10k-c'], 10_000),
  },
  { ...listing, name: 'ls-100k', run: list(['list-100k'], 100_000) },
];
