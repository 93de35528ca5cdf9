/**
 * The first look at a store, before a mount says it is ready: a missing bucket, a refused identity
 * and a wrong endpoint are told now, in words, and not later as an errno.
 */
import { formatSource } from '../config/source.ts';
import { WireError, type WireErrorKind } from '../lib/wire-error.ts';
import type { ObjectStores } from '../store/object-store.ts';
import { escapePattern } from '../sts/session-policy.ts';
import type { MountSpec } from './mount-parts.ts';

/** @throws WireError of the store's refusal, with what to do next. */
export async function checkStore(
  spec: MountSpec,
  stores: ObjectStores,
  signal: AbortSignal,
): Promise<void> {
  const { source } = spec;
  try {
    if (source.kind === 'buckets') {
      await stores.buckets(signal);
      return;
    }
    const request = { prefix: source.prefix, delimiter: '/', maxKeys: 1 } as const;
    await stores.open(source.bucket).list(request, signal);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw explain(error, spec);
  }
}

function explain(error: WireError, spec: MountSpec): WireError {
  const { endpoint } = spec.connection;
  const tried = `list ${formatSource(spec.source)} at ${endpoint}`;
  const next = nextStep[error.kind]?.(spec, error) ?? error.facts.next;
  const facts = { tried, answered: error.facts.answered };
  const told = next === undefined ? facts : { ...facts, next };
  return new WireError(error.kind, told, { cause: error });
}

const nextStep: Readonly<
  Partial<Record<WireErrorKind, (spec: MountSpec, error: WireError) => string>>
> = {
  'not-found': () => 'check the name of the bucket; `wire mount s3:// DIR` shows yours',
  'access-denied': ({ source, connection }) => {
    if (source.kind === 'buckets') {
      return 'name one bucket (s3://BUCKET), or ask for the right to list buckets';
    }
    if (connection.narrowed && escapePattern(source.prefix) !== source.prefix) {
      return 'MinIO and Ceph RGW know no `*`, `?` or `${` in a session policy: try --session-policy off, or mount the folder above';
    }
    return 'check the name and --role, or ask the owner of the bucket for access';
  },
  unreachable: (_, { facts }) => facts.next ?? 'check --endpoint and the network',
  unavailable: () => 'try again later',
  'login-expired': ({ connection }, { facts }) =>
    facts.next ?? `run: wire login ${connection.issuer}`,
};
