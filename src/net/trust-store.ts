/**
 * The CAs that count: Node's own list and what `trust-sources.ts` names besides. Read when the
 * first server is reached over TLS (70 ms for 150 files), made into one context that every
 * connection shares, and never read again once it is good.
 */
import * as tls from 'node:tls';
import type { Log } from '../lib/log.ts';
import { SharedWork } from '../lib/shared-work.ts';
import { WireError } from '../lib/wire-error.ts';
import {
  BadCertificatesError,
  type FoundCertificates,
  readCertificates,
} from './certificate-files.ts';
import type { TrustSource } from './trust-sources.ts';

export class TrustStore {
  readonly #sources: readonly TrustSource[];
  readonly #log: Log;
  readonly #loading: SharedWork<tls.SecureContext>;
  #context: tls.SecureContext | undefined;

  constructor(sources: readonly TrustSource[], log: Log) {
    this.#sources = sources;
    this.#log = log;
    this.#loading = new SharedWork(async (signal) => await this.#load(signal));
  }

  /** The context, once it has been made. */
  get loaded(): tls.SecureContext | undefined {
    return this.#context;
  }

  /** @throws WireError `config` that names every source that cannot be used. */
  async context(signal: AbortSignal): Promise<tls.SecureContext> {
    return this.#context ?? (await this.#loading.run(signal));
  }

  async #load(signal: AbortSignal): Promise<tls.SecureContext> {
    const extra: string[] = [];
    const faults: string[] = [];
    for (const source of this.#sources) {
      const found = await this.#read(source, signal);
      if (typeof found === 'string') faults.push(found);
      else extra.push(...found.certificates);
    }
    if (faults.length > 0) {
      throw new WireError('config', {
        tried: 'trust the CA certificates that were named',
        answered: faults.join('; '),
        next: 'mend or unname them',
      });
    }
    // One text: OpenSSL's parser is started once, not 144 times.
    const ca = [...defaultCertificates(), ...extra].join('\n');
    // Without any of our own Node's default is the same list, and made already.
    this.#context =
      extra.length === 0 ? tls.createSecureContext() : tls.createSecureContext({ ca });
    return this.#context;
  }

  /** Its certificates, or what is wrong with it. */
  async #read(source: TrustSource, signal: AbortSignal): Promise<FoundCertificates | string> {
    const { name, path, strictness } = source;
    try {
      const found = await readCertificates(path, signal);
      for (const { path: file, why } of found.skipped) {
        this.#log.warn('certificate skipped', { file, why });
      }
      return found;
    } catch (error) {
      if (!(error instanceof BadCertificatesError)) throw error;
      const none = { certificates: [], skipped: [] };
      if (strictness === 'may-be-absent' && error.code === 'ENOENT') return none;
      if (strictness === 'must-be-good') return `${name} ${path}: ${error.message}`;
      this.#log.warn('certificates skipped', { name, file: path, why: error.message });
      return none;
    }
  }
}

/** What Node trusts by itself: its own list or, told by --use-system-ca (Node 22.15), the system's. */
function defaultCertificates(): readonly string[] {
  const { getCACertificates, rootCertificates } = tls as typeof tls & {
    readonly getCACertificates?: (type: 'default') => readonly string[];
  };
  return getCACertificates?.('default') ?? rootCertificates;
}
