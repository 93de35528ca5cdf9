/** What tests of token sources share: folders, tokens, and a look at errors for secrets. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';

import { expect } from 'vitest';

import type { Finding, FoundSource } from '../../../../src/auth/sources/source.ts';
import { WireError } from '../../../../src/lib/wire-error.ts';
import { unsignedJwt } from '../../../fixtures/fake-issuer.ts';

export const never: AbortSignal = new AbortController().signal;
export const euid: number = process.geteuid?.() ?? -1;

export class Folder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), 'wire-source-')));
  }

  at(name: string): string {
    return join(this.path, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** A JWT of alice's; `over` replaces claims. */
export function jwt(over: Readonly<Record<string, unknown>> = {}): string {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  return unsignedJwt({
    iss: 'https://iam.example/',
    sub: 'sub-alice',
    aud: 'object',
    exp,
    ...over,
  });
}

export function found(finding: Finding): FoundSource {
  if (!finding.there) throw new Error(`not there: ${finding.why}`);
  return finding.source;
}

export async function reveal(source: FoundSource, minLifeMs = 0): Promise<string> {
  return (await source.tokens.accessToken(minLifeMs, never)).token.reveal();
}

/** The refusal, once it is clear that nobody can read `secrets` in it. */
export async function refusal(
  work: Promise<unknown>,
  ...secrets: readonly string[]
): Promise<WireError> {
  const error: unknown = await work.then(
    (value) => new Error(`no refusal but ${inspect(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof WireError)) throw error;
  const printed =
    inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error) + error.toLine();
  for (const secret of secrets) expect(printed).not.toContain(secret);
  return error;
}
