/** The login that is under way on the page, or how the last one ended. One at a time. */
import { LinkedAbort } from '../../lib/abort.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { DeviceCode, LoginEvents } from '../identity.ts';
import type { AskedLogin, PageHost, QrPicture } from './page-host.ts';

/** What the page shows of it. */
export type LoginState =
  | { readonly state: 'asking' }
  | ({
      readonly state: 'waiting';
      readonly qr?: QrPicture;
      /** The code before this one has expired. */
      readonly again: boolean;
      /** A poll got no answer; the next one may. */
      readonly trouble?: string | undefined;
    } & DeviceCode)
  | { readonly state: 'done'; readonly lines: readonly string[] }
  | { readonly state: 'cancelled' }
  | { readonly state: 'failed'; readonly line: string };

export interface LoginListener {
  /** There is something else to show. */
  changed(): void;
  ended(): void;
}

export class LoginWork implements AsyncDisposable {
  readonly #host: Pick<PageHost, 'logIn' | 'qr'>;
  readonly #listener: LoginListener;
  readonly #lineOf: (error: unknown) => string;
  readonly #end = new AbortController();
  #state: LoginState | undefined;
  #notes: string[] = [];
  #abort: LinkedAbort | undefined;
  #running: Promise<void> = Promise.resolve();

  /** @param lineOf puts what went wrong into a line for the person. */
  constructor(
    host: Pick<PageHost, 'logIn' | 'qr'>,
    listener: LoginListener,
    lineOf: (error: unknown) => string,
  ) {
    this.#host = host;
    this.#listener = listener;
    this.#lineOf = lineOf;
  }

  get state(): (LoginState & { readonly notes: readonly string[] }) | undefined {
    return this.#state && { ...this.#state, notes: this.#notes };
  }

  get underWay(): boolean {
    return this.#abort !== undefined;
  }

  /** Returns at once; `state` tells how it goes. @throws WireError `exists` while one is under way. */
  start(asked: AskedLogin): void {
    if (this.#abort !== undefined) {
      const tried = 'log in';
      throw new WireError('exists', { tried, answered: 'a login is under way', next: 'cancel it' });
    }
    this.#abort = new LinkedAbort(this.#end.signal);
    this.#notes = [];
    this.#to({ state: 'asking' });
    this.#running = this.#run(asked, this.#abort);
  }

  cancel(): void {
    this.#abort?.abort(new WireError('interrupted', { tried: 'log in', answered: 'cancelled' }));
  }

  /** Forgets how the last one ended. */
  clear(): void {
    if (this.#abort === undefined) this.#to(undefined);
  }

  /** Ends it, and waits for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new WireError('interrupted', { tried: 'log in', answered: 'the page ended' }));
    await this.#running;
  }

  /** Never rejects. */
  async #run(asked: AskedLogin, abort: LinkedAbort): Promise<void> {
    let end: LoginState;
    try {
      const lines = await this.#host.logIn(asked, this.#events(abort.signal), abort.signal);
      end = { state: 'done', lines };
    } catch (error) {
      end = abort.signal.aborted
        ? { state: 'cancelled' }
        : { state: 'failed', line: this.#lineOf(error) };
    }
    abort[Symbol.dispose]();
    this.#abort = undefined;
    this.#to(end);
    this.#listener.ended();
  }

  #events(signal: AbortSignal): LoginEvents {
    let again = false;
    const tell = (state: LoginState): void => {
      if (!signal.aborted) this.#to(state);
    };
    return {
      code: (code) => {
        const qr = this.#host.qr(code.verificationUriComplete ?? code.verificationUri);
        tell({ state: 'waiting', ...code, again, ...(qr !== undefined && { qr }) });
      },
      trouble: (error) => {
        if (this.#state?.state === 'waiting') tell({ ...this.#state, trouble: error.message });
      },
      pending: () => {
        const { state } = this;
        if (state?.state === 'waiting' && state.trouble !== undefined) {
          tell({ ...state, trouble: undefined });
        }
      },
      restarted: () => {
        again = true;
      },
      note: (text) => {
        this.#notes = [...this.#notes, text];
        this.#listener.changed();
      },
    };
  }

  #to(state: LoginState | undefined): void {
    this.#state = state;
    this.#listener.changed();
  }
}
