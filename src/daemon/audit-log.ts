/**
 * The audit log: a line for each change that wire has made or tried in a bucket, once its outcome is
 * known, with whose login it was done. A line is in the file before the program that asked hears of
 * the outcome, so that it outlives the process; it is not waited for to be on the disk. A line that
 * cannot be written holds nothing up and undoes nothing: that is told once, and counted.
 */
import { MiB } from '../lib/bytes.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { Change, ChangeListener } from './changes.ts';
import { LineFile } from './line-file.ts';

/** In all some 600,000 lines, the last months of a busy user: 160 MiB at most. */
const limits = { maxBytes: 16 * MiB, older: 9 };

/** Who makes changes. */
export interface Actor {
  readonly issuer: string;
  /** `sub` of the access token; undefined where tokens do not tell. */
  readonly subject: string | undefined;
  /** Where tokens come from: `login`, `file`, … */
  readonly tokenSource: string;
}

export interface AuditOptions {
  readonly path: string;
  readonly pid: number;
  /** Asked for each line: a token may be another person's by now. */
  readonly actor: () => Actor;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
  /** Told, once, that lines are lost. */
  readonly warn: (line: string) => void;
}

export class AuditLog implements Disposable {
  readonly #options: AuditOptions;
  readonly #file: LineFile;
  #failures = 0;

  /** @throws the system's error when the file cannot be opened. */
  constructor(options: AuditOptions) {
    this.#options = options;
    this.#file = new LineFile(options.path, limits);
  }

  get path(): string {
    return this.#options.path;
  }

  /** Lines that could not be written. */
  get failures(): number {
    return this.#failures;
  }

  /** What hears of the changes of one mount. */
  listener(mountPoint: string): ChangeListener {
    return (change) => this.#note(mountPoint, change);
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  #note(mount: string, { action, ...what }: Change): void {
    const { actor, clock, pid, log, warn, path } = this.#options;
    const { issuer, subject, tokenSource } = actor();
    const time = new Date(clock.now()).toISOString();
    const who = { sub: subject ?? null, issuer, source: tokenSource };
    try {
      this.#file.write(JSON.stringify({ time, action, ...what, ...who, mount, pid }));
    } catch (error) {
      this.#failures += 1;
      if (this.#failures > 1) return;
      log.error('audit log not written', { path, error });
      const { code = String(error) } = error as NodeJS.ErrnoException;
      warn(`changes are not in the audit log ${path}: ${code}; they are made all the same`);
    }
  }
}
