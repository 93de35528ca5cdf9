/**
 * Logins and temporary credentials of one process: mounts with the same connection and the same
 * rights share them, so that there is one renewal of a lease however many mounts use it.
 */
import type { ObjectStores } from '../store/object-store.ts';
import type { Rights } from '../sts/session-policy.ts';
import type { Connection, RightsStatus, StoreLease } from './mount-parts.ts';

/** What one connection holds: given back when its last lease is. */
export interface SharedStores extends AsyncDisposable {
  readonly stores: ObjectStores;
  readonly credentialsUntilMs: number | undefined;
  /** Why they cannot be renewed just now. */
  readonly degraded: string | undefined;
  /** As `StoreLease`. */
  readonly concerns?: readonly string[];
  readonly rights?: RightsStatus | undefined;
  /** As `StoreLease`. */
  readonly verifyRights?: () => Promise<RightsStatus | undefined>;
  /** Gets the first credentials: the login, the role and STS are fine, or it throws. */
  check(signal: AbortSignal): Promise<void>;
}

/** A share in `SharedStores`. */
export interface CheckedLease extends StoreLease {
  check(signal: AbortSignal): Promise<void>;
}

/** Makes the shared part; no request is made. Without `rights`: all that the role has. */
export type OpenStores = (connection: Connection, rights: Rights | undefined) => SharedStores;

export class Connections {
  readonly #open: OpenStores;
  readonly #shared = new Map<string, { readonly stores: SharedStores; leases: number }>();

  constructor(open: OpenStores) {
    this.#open = open;
  }

  /** How many connections are held; for tests and status. */
  get size(): number {
    return this.#shared.size;
  }

  /** @param rights what the credentials may do at most; default: what the role may. */
  lease(connection: Connection, rights?: Rights): CheckedLease {
    const key = keyOf(connection, rights);
    const shared = this.#shared.get(key) ?? { stores: this.#open(connection, rights), leases: 0 };
    this.#shared.set(key, shared);
    shared.leases += 1;
    let returned = false;
    return {
      stores: shared.stores.stores,
      get credentialsUntilMs() {
        return shared.stores.credentialsUntilMs;
      },
      get degraded() {
        return shared.stores.degraded;
      },
      get concerns() {
        return shared.stores.concerns ?? [];
      },
      get rights() {
        return shared.stores.rights;
      },
      verifyRights: async () => await shared.stores.verifyRights?.(),
      check: async (signal) => await shared.stores.check(signal),
      [Symbol.asyncDispose]: async () => {
        if (returned) return;
        returned = true;
        shared.leases -= 1;
        if (shared.leases > 0) return;
        this.#shared.delete(key);
        await shared.stores[Symbol.asyncDispose]();
      },
    };
  }
}

function keyOf(connection: Connection, rights: Rights | undefined): string {
  return JSON.stringify([connection, rights ?? {}].map((part) => Object.entries(part).sort()));
}
