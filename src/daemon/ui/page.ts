/**
 * `wire ui`: a page of this machine that shows what wire does and does what a person asks there, until
 * nobody has looked for a while. Mounts that were made on it are none of its own: they stay.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { replacePrivateFile } from '../../auth/private-file.ts';
import { ensurePrivateDir } from '../../config/paths.ts';
import { LinkedAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { Closers } from '../../lib/closers.ts';
import type { Log } from '../../lib/log.ts';
import { redactKnown } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import { LoginWork } from './login-work.ts';
import { PageDoor } from './page-door.ts';
import { readPageFiles } from './page-files.ts';
import { HostRefusal, type PageHost } from './page-host.ts';
import { NewsDesk } from './page-news.ts';
import { PageServer } from './page-server.ts';
import { PageWorks } from './page-works.ts';

export interface PageOptions {
  /** 0: any free port. */
  readonly port: number;
  /** Ends when no page was open and nothing under way for so long. */
  readonly idleMs: number;
  readonly host: PageHost;
  readonly runtimeDir: string;
  readonly uid: number;
  readonly pid: number;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Where the page is. */
export interface ServedPage {
  readonly port: number;
  /** Opens the page once. */
  readonly url: string;
  /** A private page that leads there: for a browser, whose arguments every user can see. */
  readonly file: string;
}

/** Why it ended: by the signal, on the page itself, or since nobody looked. */
export type PageEnd = 'stopped' | 'closed' | 'idle';

/** @throws WireError `config` when the port, or the folder for `file`, cannot be had. */
export async function servePage(
  options: PageOptions,
  serving: (page: ServedPage) => void,
  signal: AbortSignal,
): Promise<PageEnd> {
  const { host, clock, log, version, port } = options;
  await using closers = new Closers();
  using life = new LinkedAbort(signal);
  const door = new PageDoor();
  // Of each other's making: what is told of them is asked for later.
  const desk: { news?: NewsDesk } = {};
  const changed = (): void => desk.news?.publish();
  const works = closers.use(new PageWorks(changed));
  const listener = { changed, ended: () => desk.news?.lookAgain() };
  const login = closers.use(new LoginWork(host, listener, lineOf));
  const news = new NewsDesk(host, { login, works }, clock, lineOf);
  desk.news = news;
  const closed = new AbortController();
  const over = (): void => {
    closed.abort();
    news.lookAgain();
  };
  const files = await readPageFiles(signal);
  const parts = { host, news, login, works, end: life.signal };
  const events = { over, opened: () => removeDoorFile(options) };
  const server = closers.use(
    await PageServer.listen({ port, version, door, files, parts, log, lineOf, events }, signal),
  );
  const { port: bound, url } = server;
  closers.defer(() => removeDoorFile(options));
  const file = await writeDoorFile(options, url, signal);
  serving({ port: bound, url, file });
  const idle = new IdleWatch(options, () => {
    const { asked, open } = server.use;
    return { asked, isBusy: open || login.underWay || works.all.length > 0 };
  });
  await news.run(() => closed.signal.aborted || idle.isOver, life.signal);
  life.abort(new WireError('interrupted', { tried: 'show the page', answered: 'it has ended' }));
  if (signal.aborted) return 'stopped';
  return closed.signal.aborted ? 'closed' : 'idle';
}

/** For how long nobody has looked. */
class IdleWatch {
  readonly #options: Pick<PageOptions, 'idleMs' | 'clock'>;
  readonly #use: () => { readonly asked: number; readonly isBusy: boolean };
  #asked = 0;
  #sinceMs: number;

  constructor(
    options: Pick<PageOptions, 'idleMs' | 'clock'>,
    use: () => { readonly asked: number; readonly isBusy: boolean },
  ) {
    this.#options = options;
    this.#use = use;
    this.#sinceMs = options.clock.monotonic();
  }

  get isOver(): boolean {
    const { clock, idleMs } = this.#options;
    const { asked, isBusy } = this.#use();
    const nowMs = clock.monotonic();
    if (isBusy || asked !== this.#asked) this.#sinceMs = nowMs;
    this.#asked = asked;
    return nowMs - this.#sinceMs >= idleMs;
  }
}

async function writeDoorFile(
  options: PageOptions,
  url: string,
  signal: AbortSignal,
): Promise<string> {
  await ensurePrivateDir(options.runtimeDir, options.uid, signal);
  const file = doorFileOf(options);
  const text = `<!doctype html><meta charset="utf-8"><title>wire</title>
<meta http-equiv="refresh" content="0;url=${url}"><a href="${url}">wire</a>\n`;
  await replacePrivateFile(file, text);
  return file;
}

/** At the latest at the end: what it says is good once. */
function removeDoorFile(options: PageOptions): void {
  rmSync(doorFileOf(options), { force: true });
}

function doorFileOf({ runtimeDir, pid }: PageOptions): string {
  return join(runtimeDir, `ui-${pid}.html`);
}

/** What went wrong, as the command would say it. */
function lineOf(error: unknown): string {
  if (error instanceof WireError) return error.toLine();
  if (error instanceof HostRefusal) return redactKnown(error.message);
  const told = error instanceof Error ? error.message : String(error);
  return `that did not work: ${redactKnown(told)}; this is a defect of wire: see \`wire logs\``;
}
