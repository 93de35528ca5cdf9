/**
 * `stream-process.js BYTES CONNECTIONS < URL`: an object in ranges of 8 MiB over some connections,
 * in order to stdout.
 */
import { readFileSync, writeSync } from 'node:fs';
import { MiB } from '../../src/lib/bytes.ts';
import { RawConnection } from './connection.ts';

const RANGE_BYTES = 8 * MiB;
const STDOUT = 1;

const [bytes = 0, connections = 1] = process.argv.slice(2).map(Number);
const url = new URL(readFileSync(0, 'utf8').trim());
const { signal } = new AbortController();

/** Settled when the range before has been written. */
let written = Promise.resolve();
let next = 0;

async function fetchRest(): Promise<void> {
  using connection = await RawConnection.open(url, RANGE_BYTES, signal);
  while (next < bytes) {
    const start = next;
    next = Math.min(bytes, start + RANGE_BYTES);
    const before = written;
    const fetched = connection.get(url, { start, end: next }, signal);
    written = Promise.all([fetched, before]).then(([{ body }]) => writeAll(body));
    await written;
  }
}

function writeAll(body: Buffer): void {
  for (let at = 0; at < body.length; ) at += writeSync(STDOUT, body, at);
}

await Promise.all(Array.from({ length: connections }, fetchRest));
