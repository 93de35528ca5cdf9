/** What is told of the work of mounts, besides their log: audit log and access log. */
import { join } from 'node:path';
import type { Settings } from '../config/options.ts';
import { Closers } from '../lib/closers.ts';
import { WireError } from '../lib/wire-error.ts';
import { AccessLog } from './access-log.ts';
import { notedFileSystem } from './access-watch.ts';
import { type Actor, AuditLog } from './audit-log.ts';
import type { WatchingStatus } from './control-protocol.ts';
import type { MountParts } from './mount-parts.ts';
import type { Surroundings } from './surroundings.ts';

export interface WatchingOptions {
  readonly settings: Pick<Settings, 'accessLog' | 'auditLog'>;
  /** Whose login changes buckets. */
  readonly actor: () => Actor;
  /** Something that a person should know, in one line. */
  readonly warn: (line: string) => void;
}

type Facts = Pick<Surroundings, 'paths' | 'pid' | 'clock' | 'log'>;

/** The file in the state folder that holds the audit log unless somebody says otherwise. */
const AUDIT_FILE = 'audit.log';

export class Watching implements AsyncDisposable {
  readonly #closers: Closers;
  readonly #audit: AuditLog | undefined;
  readonly #access: AccessLog | undefined;
  readonly #options: WatchingOptions;
  readonly #facts: Facts;

  private constructor(
    options: WatchingOptions,
    facts: Facts,
    logs: { readonly audit: AuditLog | undefined; readonly access: AccessLog | undefined },
    closers: Closers,
  ) {
    this.#options = options;
    this.#facts = facts;
    this.#audit = logs.audit;
    this.#access = logs.access;
    this.#closers = closers;
  }

  /**
   * The state folder must be there.
   *
   * @throws WireError `config` for a file that was named and cannot be written.
   */
  static async open(options: WatchingOptions, facts: Facts): Promise<Watching> {
    await using closers = new Closers();
    const audit = openAudit(options, facts);
    if (audit !== undefined) closers.defer(() => audit[Symbol.dispose]());
    const access = await openAccess(options, facts);
    if (access !== undefined) closers.use(access);
    return new Watching(options, facts, { audit, access }, closers.move());
  }

  /** What mounts need to be watched. */
  get parts(): Pick<MountParts, 'changes' | 'noted'> {
    const access = this.#access;
    return {
      changes: (mountPoint) => this.#audit?.listener(mountPoint),
      noted: (fileSystem, mountPoint) =>
        access &&
        notedFileSystem(
          fileSystem,
          fileSystem,
          (one) => access.note(mountPoint, one),
          this.#facts.clock,
        ),
    };
  }

  get auditFailures(): number {
    return this.#audit?.failures ?? 0;
  }

  get accessDropped(): number {
    return this.#access?.dropped ?? 0;
  }

  get status(): WatchingStatus {
    const { auditFailures, accessDropped } = this;
    const { accessLog } = this.#options.settings;
    return {
      ...(this.#audit !== undefined && { auditLog: this.#audit.path }),
      ...(auditFailures > 0 && { auditFailures }),
      ...(accessLog !== undefined && { accessLog }),
      ...(accessDropped > 0 && { accessDropped }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closers[Symbol.asyncDispose]();
  }
}

/** Without a place that was named, buckets can be used all the same: that is told. */
function openAudit(
  { settings: { auditLog }, actor, warn }: WatchingOptions,
  { paths, pid, clock, log }: Facts,
): AuditLog | undefined {
  if (auditLog === 'off') return undefined;
  const path = auditLog ?? join(paths.stateDir, AUDIT_FILE);
  try {
    return new AuditLog({ path, pid, actor, clock, log, warn });
  } catch (error) {
    if (auditLog !== undefined) throw refusal(path, 'changes of buckets', error);
    log.error('no audit log', { path, error });
    warn(`there is no audit log: ${path}: ${codeOf(error)}`);
    return undefined;
  }
}

async function openAccess(
  { settings: { accessLog: path } }: WatchingOptions,
  { clock, log }: Facts,
): Promise<AccessLog | undefined> {
  if (path === undefined) return undefined;
  try {
    return await AccessLog.open({ path, clock, log });
  } catch (error) {
    throw refusal(path, 'operations', error);
  }
}

function refusal(path: string, what: string, cause: unknown): WireError {
  const facts = { tried: `note ${what} in ${path}`, answered: codeOf(cause) };
  return new WireError('config', { ...facts, next: 'name a file in a folder of yours' }, { cause });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
