/** Certificates of CAs as they lie on disk: PEM or DER files, and folders named by hash. */
import { X509Certificate } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface FoundCertificates {
  /** PEM. */
  readonly certificates: readonly string[];
  /** Files of a folder that were skipped, and why. */
  readonly skipped: readonly BadFile[];
}

export interface BadFile {
  readonly path: string;
  readonly why: string;
}

/** A file, or a folder as a whole, that cannot be used. */
export class BadCertificatesError extends Error {
  override readonly name = 'BadCertificatesError';
  /** ENOENT and the like; undefined when it could be read. */
  readonly code: string | undefined;

  constructor(why: string, cause?: unknown) {
    super(why, { cause });
    this.code = codeOf(cause);
  }
}

/** A bundle of all the CAs there are is 0.3 MB; what is larger is something else. */
const LARGEST_FILE_BYTES = 16 * 2 ** 20;
/** Files of a folder that are read at a time. */
const READ_AT_ONCE = 16;
/** `openssl rehash` and the IGTF's packages: hash of the subject, and a number among equals. */
const hashedName = /^[0-9a-f]{8}\.\d+$/;
const plainName = /\.(?:pem|crt|cer)$/i;

const pemBlock =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;

/**
 * The certificates of a file or folder. In a folder one that is broken is skipped; expired ones
 * are as good as others here: whether they still count is said where they are used.
 *
 * @throws BadCertificatesError; `signal.reason` once aborted.
 */
export async function readCertificates(
  path: string,
  signal: AbortSignal,
): Promise<FoundCertificates> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) return await readFolder(path, signal);
    return { certificates: await readOne(path, signal), skipped: [] };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof BadCertificatesError) throw error;
    throw new BadCertificatesError(wordsOf(error), error);
  }
}

async function readFolder(folder: string, signal: AbortSignal): Promise<FoundCertificates> {
  const names = (await readdir(folder)).sort();
  const hashed = names.filter((name) => hashedName.test(name));
  const chosen = hashed.length > 0 ? hashed : names.filter((name) => plainName.test(name));
  // Links of several kinds of hash lead to the same certificate.
  const certificates = new Set<string>();
  const skipped: BadFile[] = [];
  for (let at = 0; at < chosen.length; at += READ_AT_ONCE) {
    const paths = chosen.slice(at, at + READ_AT_ONCE).map((name) => join(folder, name));
    const read = paths.map(async (path) => await readOne(path, signal));
    for (const [index, result] of (await Promise.allSettled(read)).entries()) {
      signal.throwIfAborted();
      if (result.status === 'fulfilled') for (const pem of result.value) certificates.add(pem);
      else skipped.push({ path: paths[index] ?? folder, why: wordsOf(result.reason) });
    }
  }
  if (certificates.size > 0) return { certificates: [...certificates], skipped };
  const [first] = skipped;
  throw new BadCertificatesError(
    first === undefined
      ? 'no certificate lies in that folder under a name such as 1a2b3c4d.0 or ca.pem'
      : `${first.path}: ${first.why}`,
  );
}

async function readOne(path: string, signal: AbortSignal): Promise<readonly string[]> {
  const found = await stat(path);
  if (!found.isFile()) throw new BadCertificatesError('it is not a file');
  if (found.size > LARGEST_FILE_BYTES)
    throw new BadCertificatesError('it is too large for certificates');
  const bytes = await readFile(path, { signal });
  const blocks = bytes.toString('latin1').match(pemBlock) ?? [];
  if (blocks.length === 0) return [parse(bytes, 'it holds no certificate').toString()];
  for (const [index, block] of blocks.entries()) {
    parse(block, `certificate ${index + 1} of ${blocks.length} in it is broken`);
  }
  return blocks;
}

function parse(certificate: string | Buffer, why: string): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch (error) {
    throw new BadCertificatesError(why, error);
  }
}

const words: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'it may not be read',
  ENOTDIR: 'there is no such file',
  ELOOP: 'its links lead in a circle',
};

function wordsOf(error: unknown): string {
  if (error instanceof BadCertificatesError) return error.message;
  const code = codeOf(error);
  return (code === undefined ? undefined : words[code]) ?? code ?? 'it cannot be read';
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
