/**
 * A mytoken server as a source. A mytoken may rotate: the server then kills the one that was sent.
 * Invariant: a successor is in its file, for this process and all others, before the access token
 * that came with it is handed out; one that could not be written is kept, and written before the
 * file is used again.
 */
import path from 'node:path';

import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Secret } from '../../lib/secret.ts';
import { WireError } from '../../lib/wire-error.ts';
import type { HttpOptions } from '../../net/http.ts';
import { withFileLock } from '../file-lock.ts';
import { decodeJwt } from '../jwt.ts';
import { readPrivateFile, removeLeftovers, replacePrivateFile } from '../private-file.ts';
import type { AccessToken } from '../token-source.ts';
import { KeptTokens } from './kept-tokens.ts';
import { mytokenEndpoint, tradeMytoken } from './mytoken-server.ts';
import { type Finding, notThere, type Wanted } from './source.ts';
import { tokenIn } from './token-text.ts';

/** A successor that is on its way is the only mytoken there is: who ends wire waits this long. */
const PARTING_MS = 5000;

export interface MytokenFacts {
  /** `--mytoken-server`; without it a mytoken says itself where it is from. */
  readonly server: string | undefined;
  /** `--mytoken-file`, absolute. */
  readonly file: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly http: HttpOptions;
}

/** @throws WireError `usage` when the file or the server is missing; `config` for a bad file. */
export async function lookForMytoken(facts: MytokenFacts, wanted: Wanted): Promise<Finding> {
  const { server: named, file, clock } = facts;
  if (named === undefined && file === undefined) {
    return notThere('no --mytoken-file, WIRE_MYTOKEN_FILE or `mytoken-file:`');
  }
  const tried = 'use a mytoken';
  if (file === undefined) {
    const answered = 'its file is not named';
    throw new WireError('usage', { tried, answered, next: 'name it with --mytoken-file FILE' });
  }
  const server = named ?? decodeJwt(await readMytoken(file))?.issuer;
  if (server === undefined) {
    const answered = `the mytoken in ${file} does not say which server it is from`;
    throw new WireError('usage', { tried, answered, next: 'say it with --mytoken-server URL' });
  }
  if (named !== undefined) await readMytoken(file);
  const trade = new MytokenTrade({ ...facts, file, server, wanted });
  const source = {
    place: `the mytoken in ${file}, at ${server}`,
    tokens: new KeptTokens(async (_, signal) => await trade.token(signal), clock, PARTING_MS),
    fixed: false,
    notes: [],
  };
  return { there: true, source };
}

interface TradeOptions extends MytokenFacts {
  readonly file: string;
  readonly server: string;
  readonly wanted: Wanted;
}

class MytokenTrade {
  readonly #options: TradeOptions;
  #endpoint: string | undefined;
  /** A successor that is in no file yet: the only mytoken there is. */
  #unsaved: Secret | undefined;

  constructor(options: TradeOptions) {
    this.#options = options;
  }

  async token(signal: AbortSignal): Promise<AccessToken> {
    const { file, server, clock, http } = this.#options;
    this.#endpoint ??= await mytokenEndpoint(server, http, signal);
    const endpoint = this.#endpoint;
    const work = async (locked: AbortSignal): Promise<AccessToken> => {
      return await this.#trade(endpoint, locked);
    };
    try {
      return await withFileLock(`${file}.lock`, clock, work, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof WireError) throw error;
      throw cannotWrite(file, error);
    }
  }

  /** Another process may have rotated it since: what is in the file now counts. */
  async #trade(endpoint: string, signal: AbortSignal): Promise<AccessToken> {
    const { file, wanted, log } = this.#options;
    await removeLeftovers(file);
    if (this.#unsaved !== undefined) await this.#save(this.#unsaved);
    const mytoken = await readMytoken(file);
    signal.throwIfAborted();
    const { access, successor } = await tradeMytoken(endpoint, mytoken, wanted, this.#options);
    if (successor !== undefined && successor.reveal() !== mytoken.reveal()) {
      this.#unsaved = successor;
      await this.#save(successor);
      log.info('mytoken rotated', { file });
    }
    return access;
  }

  async #save(successor: Secret): Promise<void> {
    const { file } = this.#options;
    try {
      await replacePrivateFile(file, `${successor.reveal()}\n`);
      this.#unsaved = undefined;
    } catch (error) {
      throw cannotWrite(file, error);
    }
  }
}

/** @throws WireError `config` when it is missing, empty, or open to others: it is a whole login. */
async function readMytoken(file: string): Promise<Secret> {
  const place = `the file ${file}`;
  const content = await readPrivateFile(file);
  const mytoken = content === undefined ? undefined : tokenIn(content.toString('utf8'), place);
  if (mytoken !== undefined) return mytoken;
  const answered = content === undefined ? 'there is no such file' : 'it is empty';
  const next = 'write the mytoken into it, with mode 600';
  throw new WireError('config', { tried: `use the mytoken in ${place}`, answered, next });
}

function cannotWrite(file: string, error: unknown): WireError {
  const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const facts = {
    tried: `keep what a mytoken server makes of ${file}`,
    answered: `${path.dirname(file)} cannot be written to (${reason})`,
    next: 'a mytoken may rotate: keep it in a folder of your own; wire tries again',
  };
  return new WireError('unavailable', facts, { cause: error });
}
