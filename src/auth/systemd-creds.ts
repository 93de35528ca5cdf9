/**
 * systemd-creds(1): seals a small secret so that only this machine opens it, with a key of the
 * host that only root may read, and the TPM where there is one. For root; for others from systemd
 * 256 on. The secret goes through pipes, never through arguments.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

import { LinkedAbort, raceAbort } from '../lib/abort.ts';
import type { Clock } from '../lib/clock.ts';

export interface SystemdCreds {
  /** `value` sealed, base64 in one line. @throws Error when there is no such program or it fails. */
  encrypt(value: Buffer, signal: AbortSignal): Promise<string>;
  /** @throws Error as `encrypt`, or when another machine sealed it. */
  decrypt(credential: string, signal: AbortSignal): Promise<Buffer>;
}

/** Bound into the credential: one made for another use does not open. */
const NAME = 'wire-vault';
/** A TPM takes a second or two; polkit may ask somebody who is not there. */
const PATIENCE_MS = 15_000;
/** A sealed key is some hundred bytes. */
const MAX_CHARS = 65_536;

export function systemSystemdCreds(clock: Clock): SystemdCreds {
  return {
    encrypt: async (value, signal) => {
      const sealed = await run('encrypt', value, clock, signal);
      return sealed.toString('latin1').replaceAll(/\s/g, '');
    },
    decrypt: async (credential, signal) => {
      return await run('decrypt', Buffer.from(credential, 'latin1'), clock, signal);
    },
  };
}

async function run(
  verb: 'encrypt' | 'decrypt',
  input: Buffer,
  clock: Clock,
  signal: AbortSignal,
): Promise<Buffer> {
  const scope = process.geteuid?.() === 0 ? [] : ['--user'];
  const child = spawn('systemd-creds', [...scope, verb, `--name=${NAME}`, '-', '-'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  using limit = new LinkedAbort(signal);
  const late = new Error(`no answer within ${PATIENCE_MS / 1000} s`);
  const expiry = clock.sleep(PATIENCE_MS, limit.signal).then(
    () => limit.abort(late),
    () => undefined,
  );
  try {
    return await raceAbort(outputOf(child, input), limit.signal);
  } finally {
    limit.abort();
    child.kill('SIGKILL');
    await expiry;
  }
}

async function outputOf(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  input: Buffer,
): Promise<Buffer> {
  const output: Buffer[] = [];
  let said = '';
  let size = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= MAX_CHARS) output.push(chunk);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < MAX_CHARS) said += text;
  });
  // It may end without having read: its exit code tells why.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return await new Promise((resolve, reject) => {
    child.once('error', (error) => reject(absent(error)));
    child.once('close', (code) => {
      const last = said.trim().split('\n').at(-1) ?? '';
      if (code === 0 && size > 0) resolve(Buffer.concat(output));
      else reject(new Error(last === '' ? `it ended with ${code ?? 'a signal'}` : last));
    });
  });
}

function absent(error: Error): Error {
  const missing = 'code' in error && error.code === 'ENOENT';
  return missing ? new Error('there is no such program', { cause: error }) : error;
}
