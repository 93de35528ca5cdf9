/**
 * Whether a server holds credentials to their session policy. MinIO with an authorization plugin
 * (OPA) takes the policy and ignores it, so what it says cannot be believed: something that the
 * policy forbids is asked for. A refusal alone proves nothing, since the role may forbid it too;
 * therefore it is asked for first with all rights of the role, and only what passes then counts.
 * And credentials that are refused everything, whatever the policy says, hold to nothing either:
 * after a refusal something that the policy lets through has to pass.
 *
 * Nothing is read, made or changed by it: a listing of a prefix with a random name, or the end of
 * an upload that does not exist.
 */
import { WireError } from '../lib/wire-error.ts';
import type { ObjectStores } from '../store/object-store.ts';
import type { Rights } from '../sts/session-policy.ts';

export type Enforcement = 'enforced' | 'not enforced' | 'cannot tell';

export interface CanaryVerdict {
  readonly enforcement: Enforcement;
  /** What was found, as a clause. */
  readonly reason: string;
}

export interface CanaryOptions {
  /** What the policy lets through. */
  readonly rights: Rights;
  /** With all rights of the role. */
  readonly wide: ObjectStores;
  /** With the policy. */
  readonly narrowed: ObjectStores;
  /** A name that nobody uses. */
  readonly name: string;
}

/** Something harmless that the policy forbids. */
interface Probe {
  readonly what: string;
  readonly ask: (stores: ObjectStores, signal: AbortSignal) => Promise<unknown>;
}

type Answer =
  | { readonly kind: 'passed' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unclear'; readonly reason: string };

/** Other buckets that are tried: the role may be for one alone. */
const MAX_BUCKETS = 3;

/** Throws nothing but `signal.reason`. */
export async function testEnforcement(
  options: CanaryOptions,
  signal: AbortSignal,
): Promise<CanaryVerdict> {
  let reason = 'nothing was found that the role may do and the policy forbids';
  for await (const { what, ask } of probes(options, signal)) {
    const control = await answerOf(async () => await ask(options.wide, signal), signal);
    if (control.kind === 'unclear') reason = `${what}: ${control.reason}`;
    if (control.kind !== 'passed') continue;
    const narrowed = await answerOf(async () => await ask(options.narrowed, signal), signal);
    switch (narrowed.kind) {
      case 'refused':
        return await confirmed(`${what} was refused`, options, signal);
      case 'passed':
        return { enforcement: 'not enforced', reason: `${what} was not refused` };
      case 'unclear':
        reason = `${what}: ${narrowed.reason}`;
    }
  }
  return { enforcement: 'cannot tell', reason };
}

/** Whether `refusal` is the policy's: then what it lets through is not refused. */
async function confirmed(
  refusal: string,
  { rights, narrowed, name }: CanaryOptions,
  signal: AbortSignal,
): Promise<CanaryVerdict> {
  const { bucket, prefix } = rights;
  const answer = await answerOf(async () => {
    if (bucket === undefined) await narrowed.buckets(signal);
    else await listing(bucket, prefix + name).ask(narrowed, signal);
  }, signal);
  if (answer.kind === 'passed') return { enforcement: 'enforced', reason: refusal };
  const why = answer.kind === 'refused' ? 'was refused too' : `got no answer (${answer.reason})`;
  return { enforcement: 'cannot tell', reason: `${refusal}, but what is allowed ${why}` };
}

async function* probes(options: CanaryOptions, signal: AbortSignal): AsyncGenerator<Probe> {
  const { rights, wide, name } = options;
  const { bucket, prefix, readOnly } = rights;
  if (bucket !== undefined && prefix !== '') yield listing(bucket, name);
  if (bucket !== undefined && readOnly) yield endOfNoUpload(bucket, prefix + name, name);
  const others = await otherBuckets(wide, bucket, signal);
  for (const other of others) {
    if (bucket !== undefined) yield listing(other, name);
    else if (readOnly) yield endOfNoUpload(other, name, name);
  }
}

function listing(bucket: string, name: string): Probe {
  const request = { prefix: `${name}/`, delimiter: '/', maxKeys: 1 } as const;
  return {
    what: `to list ${bucket}/${name}/`,
    ask: async (stores, signal) => await stores.open(bucket).list(request, signal),
  };
}

/** Rights are looked at before uploads are; that there is none counts as passed. */
function endOfNoUpload(bucket: string, key: string, uploadId: string): Probe {
  return {
    what: `to end an upload in ${bucket} that is none`,
    ask: async (stores, signal) => await stores.open(bucket).abortUpload({ key, uploadId }, signal),
  };
}

async function otherBuckets(
  wide: ObjectStores,
  bucket: string | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    const all = await wide.buckets(signal);
    return all
      .map(({ name }) => name)
      .filter((name) => name !== bucket)
      .slice(0, MAX_BUCKETS);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof WireError) return [];
    throw error;
  }
}

async function answerOf(ask: () => Promise<unknown>, signal: AbortSignal): Promise<Answer> {
  try {
    await ask();
    return { kind: 'passed' };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WireError)) throw error;
    if (error.kind === 'access-denied') return { kind: 'refused' };
    return { kind: 'unclear', reason: error.facts.answered };
  }
}
