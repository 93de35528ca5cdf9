/** One promise of the S3 interface, tried on a server: resolves when it is kept. */
import { S3ServiceException } from '@aws-sdk/client-s3';
import type { Target } from './target.ts';

export type Check = (target: Target, signal: AbortSignal) => Promise<void>;

/** Checks by what they promise, in the order of their run. */
export type Checks = Readonly<Record<string, Check>>;

/** The server answered, and otherwise than it should. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch';
}

/** @throws Mismatch unless `holds`. `found` says what was there instead. */
export function expect(holds: boolean, found: string): asserts holds {
  if (!holds) throw new Mismatch(found);
}

export function expectText(actual: string | undefined, wanted: string): void {
  expect(actual === wanted, `got ${actual ?? 'nothing'}, not ${wanted}`);
}

/** @throws Mismatch unless `actual` holds the very bytes of `wanted`. */
export function expectBytes(actual: Uint8Array, wanted: Uint8Array): void {
  const same = Buffer.compare(actual, wanted) === 0;
  expect(same, `got ${actual.length} bytes, not the ${wanted.length} that were stored`);
}

/** @throws Mismatch unless `request` fails with one of these codes or HTTP statuses. */
export async function expectRefusal(
  request: Promise<unknown>,
  ...answers: readonly (string | number)[]
): Promise<void> {
  let failure: unknown;
  try {
    await request;
  } catch (error) {
    failure = error;
  }
  expect(failure !== undefined, 'done without an error');
  if (!(failure instanceof S3ServiceException)) {
    throw new Mismatch(describeError(failure), { cause: failure });
  }
  const { name, $metadata } = failure;
  const status = $metadata.httpStatusCode ?? 0;
  expect(answers.includes(name) || answers.includes(status), describeError(failure));
}

/** `NoSuchKey (404): The specified key does not exist.`, short enough for one line. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof S3ServiceException)) return error.message;
  const message = error.message.replaceAll('\n', ' ').slice(0, 80);
  return `${error.name} (${error.$metadata.httpStatusCode ?? '-'}): ${message}`;
}
