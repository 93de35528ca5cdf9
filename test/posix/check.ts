/** What the checks of the table are made of. */
import { isDeepStrictEqual } from 'node:util';
import { outcome, type SystemCalls } from './system-calls.ts';

/** What a check that holds ends with. */
export const HOLDS = 'holds';

/** Nobody on this machine: has no rights but those that all have. */
export const USER = 54_321;
export const OTHER_USER = 54_322;

/** A check's folder, and more processes that can work in it. */
export interface Place {
  /** Absolute. Checks use relative paths: their processes stand in it. */
  readonly folder: string;
  /** Another process of root, in the same folder. It ends with the check. */
  readonly another: () => Promise<SystemCalls>;
  /** Runs a program in the folder. @returns its output. @throws Error when it fails. */
  readonly run: (program: string, ...args: readonly string[]) => Promise<string>;
}

/** @throws Differs or Refused when the file system does something else. */
export type Check = (sys: SystemCalls, place: Place) => Promise<void>;

/** Checks by what they hold, as a sentence about the file system. */
export type Checks = Readonly<Record<string, Check>>;

/** What a check saw and what it should have been. */
export class Differs extends Error {}

function show(value: unknown): string {
  const text = JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'bigint' ? `${part}n` : part,
  );
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/** @throws Differs unless both are the same, deeply. `what` says of what it is, when that is not plain. */
export function same(actual: unknown, expected: unknown, what = ''): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Differs(`${what === '' ? '' : `${what}: `}${show(actual)}, not ${show(expected)}`);
}

/** @throws Differs unless `claim`. */
export function holds(claim: boolean, what: string): void {
  if (!claim) throw new Differs(`not so: ${what}`);
}

/** @throws Differs unless the bytes are the same. */
export function sameBytes(actual: Buffer, expected: Buffer): void {
  if (actual.equals(expected)) return;
  if (actual.length !== expected.length) {
    throw new Differs(`${actual.length} bytes, not ${expected.length}`);
  }
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  throw new Differs(`byte ${at} is ${String(actual[at])}, not ${String(expected[at])}`);
}

/** @throws Differs unless the call ends with one of the errors that POSIX and Linux leave open. */
export async function refuses(
  code: string | readonly string[],
  work: Promise<unknown>,
): Promise<void> {
  const ended = await outcome(work);
  const codes = typeof code === 'string' ? [code] : code;
  if (!codes.includes(ended)) throw new Differs(`${ended}, not ${codes.join(' or ')}`);
}

/** Bytes that differ everywhere, always the same ones for a seed. */
export function pattern(length: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let at = 0; at < words.length; at += 1) words[at] = Math.imul(at + seed, 0x9e3779b1);
  return Buffer.from(words.buffer, 0, length);
}
