/**
 * Temporary credentials that can do no more than a mount needs. Where an STS refuses the policy
 * that says so, the next coarser one is tried; it is never left out without being asked to.
 */
import type { Log } from '../lib/log.ts';
import type { CredentialSource, Credentials } from '../sts/credential-source.ts';
import type { RenewalState } from '../sts/renewing-credentials.ts';
import { PolicyRefused, type SessionPolicy } from '../sts/session-policy.ts';

/** `RenewingCredentials`, as far as it is used here. */
export interface PolicyCredentials extends CredentialSource, AsyncDisposable {
  readonly state: RenewalState;
}

export interface NarrowedOptions {
  /** The narrowest first. */
  readonly policies: readonly [SessionPolicy, ...SessionPolicy[]];
  readonly open: (policy: string) => PolicyCredentials;
  readonly log: Log;
}

/** What is in use; replaced as a whole when its policy is refused. */
interface Step {
  readonly policy: SessionPolicy;
  readonly credentials: PolicyCredentials;
  readonly coarser: readonly SessionPolicy[];
}

export class NarrowedCredentials implements PolicyCredentials {
  readonly #options: NarrowedOptions;
  #step: Step;
  /** Of refused policies: nobody waits for their end but the disposal. */
  readonly #ending: Promise<void>[] = [];

  constructor(options: NarrowedOptions) {
    const [first, ...coarser] = options.policies;
    this.#options = options;
    this.#step = this.#open(first, coarser);
  }

  /** The policy of the credentials that are handed out. */
  get policy(): SessionPolicy {
    return this.#step.policy;
  }

  get state(): RenewalState {
    return this.#step.credentials.state;
  }

  /** @throws as `CredentialSource`; `PolicyRefused` when no policy is taken. */
  async credentials(signal: AbortSignal): Promise<Credentials> {
    return await this.#attempt(async (source) => await source.credentials(signal));
  }

  /** @throws as `credentials`. */
  async lasting(wantedMs: number, signal: AbortSignal): Promise<Credentials> {
    return await this.#attempt(async (source) =>
      source.lasting === undefined
        ? await source.credentials(signal)
        : await source.lasting(wantedMs, signal),
    );
  }

  /** @throws as `credentials`. */
  async renew(refused: Credentials, signal: AbortSignal): Promise<Credentials> {
    return await this.#attempt(async (source) => await source.renew(refused, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#step.credentials[Symbol.asyncDispose]();
    await Promise.all(this.#ending);
  }

  /** Ends after as many rounds as there are policies. */
  async #attempt(ask: (source: CredentialSource) => Promise<Credentials>): Promise<Credentials> {
    for (;;) {
      const step = this.#step;
      try {
        return await ask(step.credentials);
      } catch (error) {
        if (!(error instanceof PolicyRefused)) throw error;
        // Another caller may have gone on already.
        if (step === this.#step && !this.#goOn(step, error)) throw error;
      }
    }
  }

  /** @returns false when there is no coarser policy. */
  #goOn({ credentials, coarser }: Step, error: PolicyRefused): boolean {
    const [next, ...rest] = coarser;
    if (next === undefined) return false;
    this.#options.log.warn('a coarser session policy is tried', { error });
    this.#step = this.#open(next, rest);
    const ending = Promise.resolve(credentials[Symbol.asyncDispose]());
    ending.catch(() => undefined); // told by the disposal
    this.#ending.push(ending);
    return true;
  }

  #open(policy: SessionPolicy, coarser: readonly SessionPolicy[]): Step {
    return { policy, coarser, credentials: this.#options.open(policy.json) };
  }
}
