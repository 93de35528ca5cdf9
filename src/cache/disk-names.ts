/**
 * Names in the cache folder: `wire-blocks/<identity>/<xx>/<name>.record` and, for an object of more
 * than one block, `<name>.<generation>.data`. Whatever is named otherwise is not ours.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

/** In the folder that the person named: ours alone, whatever else is there. */
export const ROOT_NAME = 'wire-blocks';

const OWNER = /^(?:clear|sealed)-[\da-f]{32}$/;
const SHARD = /^[\da-f]{2}$/;
const OBJECT =
  /^(?<name>[\da-f]{40})\.(?:(?<record>record)|(?<generation>[\da-f]{16})\.(?:data|new))$/;

export function isOwnerName(name: string): boolean {
  return OWNER.test(name);
}

export function isShardName(name: string): boolean {
  return SHARD.test(name);
}

/** Which object a file in a shard belongs to; undefined when it is not ours. */
export function objectNameOf(
  file: string,
): { readonly name: string; readonly isRecord: boolean } | undefined {
  const parts = OBJECT.exec(file)?.groups;
  if (parts?.['name'] === undefined) return undefined;
  return { name: parts['name'], isRecord: parts['record'] !== undefined };
}

/** 160 bits of the digest: enough to tell apart; the record holds the rest. */
export function nameOf(digest: Buffer): string {
  return digest.toString('hex', 0, 20);
}

/** A shard keeps the first 8 bits: folders stay short enough to be looked through in one go. */
export function shardOf(name: string): string {
  return name.slice(0, 2);
}

export function recordPath(shard: string, name: string): string {
  return join(shard, `${name}.record`);
}

export function dataPath(shard: string, name: string, generation: string): string {
  return join(shard, `${name}.${generation}.data`);
}

/** A record that is being written, before it takes its name. */
export function newRecordPath(shard: string, name: string, generation: string): string {
  return join(shard, `${name}.${generation}.new`);
}

export function newGeneration(): string {
  return randomBytes(8).toString('hex');
}
