/** The store of one connection, with credentials that may do no more than they are needed for. */
import type { TokenSource } from '../auth/token-source.ts';
import { createS3Stores } from '../s3/s3-object-stores.ts';
import { policyPlaceOf, type Rights, sessionPolicies } from '../sts/session-policy.ts';
import type { SharedStores } from './connections.ts';
import { renewingCredentials, roleRequestOf } from './credentials.ts';
import type { Connection, RightsStatus } from './mount-parts.ts';
import { NarrowedCredentials, type PolicyCredentials } from './narrowed-credentials.ts';
import { PolicyCheck } from './policy-check.ts';
import type { Surroundings } from './surroundings.ts';

/** What of a connection gives credentials out. */
export interface RightsKeeper extends AsyncDisposable {
  readonly credentials: PolicyCredentials;
  readonly rights: RightsStatus;
  /** Undefined where nothing was narrowed. */
  readonly check: PolicyCheck | undefined;
}

/** Makes no request. Without `rights` the credentials may do whatever the role may. */
export function openCredentials(
  connection: Connection,
  rights: Rights | undefined,
  tokens: TokenSource,
  surroundings: Surroundings,
): RightsKeeper {
  const open = (policy?: string): PolicyCredentials =>
    renewingCredentials(connection, tokens, surroundings, policy);
  if (rights === undefined) {
    const credentials = open();
    return {
      credentials,
      rights: { enforcement: 'untested' },
      check: undefined,
      [Symbol.asyncDispose]: async () => await credentials[Symbol.asyncDispose](),
    };
  }
  const place = policyPlaceOf(connection.endpoint, roleRequestOf(connection).roleArn);
  const { log } = surroundings;
  const narrowed = new NarrowedCredentials({ policies: sessionPolicies(rights, place), open, log });
  const check = new PolicyCheck({ connection, tokens, narrowed, surroundings });
  return {
    credentials: narrowed,
    get rights() {
      return rightsStatus(narrowed, check);
    },
    check,
    [Symbol.asyncDispose]: async () => {
      await check[Symbol.asyncDispose]();
      await narrowed[Symbol.asyncDispose]();
    },
  };
}

export function openStores(
  connection: Connection,
  rights: Rights | undefined,
  tokens: TokenSource,
  surroundings: Surroundings,
): SharedStores {
  const { clock, log, network } = surroundings;
  const { endpoint, region, addressing = 'auto', requesterPays = false, keep } = connection;
  const keeper = openCredentials(connection, rights, tokens, surroundings);
  const { credentials } = keeper;
  const stores = createS3Stores({
    ...{ endpoint, region, addressing, requesterPays },
    ...(keep !== undefined && { keep }),
    ...{ credentials, network, clock, log },
  });
  return {
    stores,
    get credentialsUntilMs() {
      return credentials.state.expiresAtMs;
    },
    get degraded() {
      return credentials.state.degraded;
    },
    get concerns() {
      return credentials.state.concerns;
    },
    get rights() {
      return keeper.rights;
    },
    verifyRights: async () => {
      await keeper.check?.run();
      return keeper.rights;
    },
    check: async (signal) => {
      await credentials.credentials(signal);
    },
    [Symbol.asyncDispose]: async () => {
      await stores[Symbol.asyncDispose]();
      await keeper[Symbol.asyncDispose]();
    },
  };
}

function rightsStatus({ policy }: NarrowedCredentials, check: PolicyCheck): RightsStatus {
  const { rights, coarser } = policy;
  return {
    limit: formatRights(rights),
    enforcement: 'untested',
    ...(coarser && { coarser }),
    ...check.verdict,
  };
}

function formatRights({ bucket, prefix, readOnly }: Rights): string {
  const place = bucket === undefined ? 's3://' : `s3://${bucket}/${prefix}`;
  return readOnly ? `${place}, read-only` : place;
}
