/** The object stores that a benchmark can be run against, started here and gone afterwards. */
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { s3Client } from '../../scripts/servers/real-server.ts';
import type { AdminKey } from '../../scripts/servers/signed-request.ts';
import { prepareServer, startServer } from '../../scripts/servers/start.ts';
import { DEMO_BUCKET } from '../../src/demo/playground-people.ts';
import { Closers } from '../../src/lib/closers.ts';
import { ChildProgram } from '../child-program.ts';
import type { Plant, PlaygroundFacts } from './playground-process.ts';

export const storeNames = ['playground', 'rgw', 'minio'] as const;
export type StoreName = (typeof storeNames)[number];

export interface BenchStore extends AsyncDisposable {
  readonly name: StoreName;
  readonly version: string;
  readonly issuer: string;
  /** Of objects and of STS. */
  readonly endpoint: string;
  readonly audience: string;
  readonly role?: string;
  readonly bucket: string;
  /** As root: past the rights of people. */
  readonly client: S3Client;
  /** Small objects of the same content. */
  plant(keys: readonly string[], body: string, signal: AbortSignal): Promise<void>;
}

/** Puts at a time: what Ceph RGW takes without queueing. */
const PUTS = 16;

export async function startStore(name: StoreName, signal: AbortSignal): Promise<BenchStore> {
  return name === 'playground' ? await startDemo(signal) : await startReal(name, signal);
}

async function startDemo(signal: AbortSignal): Promise<BenchStore> {
  await using closers = new Closers();
  const script = new URL('./playground-process.js', import.meta.url);
  const child = closers.use(await ChildProgram.start<PlaygroundFacts>(script, [], signal));
  const { root, ...where } = child.facts;
  return {
    ...{ name: 'playground', version: 'playground', ...where },
    client: clientOf(where.endpoint, root, closers),
    plant: async (keys, body, signal) => {
      await child.ask('plant', { keys, body } satisfies Plant, signal);
    },
    ...closedBy(closers),
  };
}

async function startReal(name: 'rgw' | 'minio', signal: AbortSignal): Promise<BenchStore> {
  await using closers = new Closers();
  const say = (line: string): void => void process.stderr.write(`bench: ${line}\n`);
  const program = name === 'rgw' ? 'rgw' : 'minio-claims';
  await prepareServer(program, say, signal);
  const server = closers.use(await startServer(program, {}, signal));
  const { version, endpoint, audience, role, iam, root } = server;
  const client = clientOf(endpoint, root, closers);
  return {
    ...{ name, version, issuer: iam.issuer, endpoint, audience, bucket: DEMO_BUCKET, client },
    ...(role !== undefined && { role }),
    plant: async (keys, body, signal) => await putAll(client, keys, body, signal),
    ...closedBy(closers),
  };
}

function clientOf(endpoint: string, root: AdminKey, closers: Closers): S3Client {
  const client = s3Client(endpoint, root);
  closers.defer(() => client.destroy());
  return client;
}

function closedBy(closers: Closers): AsyncDisposable {
  const held = closers.move();
  return { [Symbol.asyncDispose]: async () => await held[Symbol.asyncDispose]() };
}

async function putAll(
  client: S3Client,
  keys: readonly string[],
  body: string,
  signal: AbortSignal,
): Promise<void> {
  const waiting = keys.values();
  const putRest = async (): Promise<void> => {
    for (const Key of waiting) {
      const command = new PutObjectCommand({ Bucket: DEMO_BUCKET, Key, Body: body });
      await client.send(command, { abortSignal: signal });
    }
  };
  await Promise.all(Array.from({ length: PUTS }, putRest));
}
