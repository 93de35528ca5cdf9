import { setImmediate as nextTick } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { statusLines } from '../../../src/cli/views/status-view.ts';
import type { MountParts, RightsStatus } from '../../../src/daemon/mount-parts.ts';
import { rightsOf } from '../../../src/daemon/rights.ts';
import type { LiveMountStatus } from '../../../src/daemon/status.ts';
import { checkStore } from '../../../src/daemon/store-check.ts';
import type { WireError } from '../../../src/lib/wire-error.ts';
import { StoreError } from '../../../src/store/errors.ts';
import { FakeMachine, FakeSignals, processOf, specOf } from './fake-mounts.ts';

const { signal } = new AbortController();

interface Told {
  readonly warnings: readonly string[];
  readonly rights: RightsStatus | undefined;
  /** What came first to last: `ready`, `verified`. */
  readonly order: readonly string[];
}

/** A mount whose lease finds out `found`, from its start to its end. */
async function mountWith(found: RightsStatus): Promise<Told> {
  const machine = new FakeMachine();
  const signals = new FakeSignals();
  const warnings: string[] = [];
  const order: string[] = [];
  let rights: RightsStatus = { ...found, enforcement: 'untested' };
  const parts = {
    ...machine.parts,
    connect: async (...args: Parameters<MountParts['connect']>) =>
      Object.defineProperties(await machine.parts.connect(...args), {
        rights: { get: () => rights },
        verifyRights: {
          value: async () => {
            await nextTick();
            order.push('verified');
            rights = found;
            return rights;
          },
        },
      }),
  };
  const process = processOf(parts, {
    ready: () => void order.push('ready'),
    trouble: () => undefined,
    warn: (line) => void warnings.push(line),
  });
  const end = process.run(['/m'], signals, signal);
  while (!order.includes('verified')) await nextTick();
  await nextTick();
  const [status] = process.mounts.status;
  signals.send('SIGTERM');
  await end;
  return { warnings, rights: status?.rights, order };
}

it('tells who mounts that the server ignores the limits, after it is ready', async () => {
  const told = await mountWith({
    limit: 's3://b/p/',
    enforcement: 'not enforced',
    reason: 'to list b/x/ was not refused',
  });
  expect(told.order).toEqual(['ready', 'verified']);
  expect(told.warnings).toHaveLength(1);
  expect(told.warnings[0]).toContain('ignores session policies (to list b/x/ was not refused)');
  expect(told.warnings[0]).toContain('/m');
  expect(told.rights).toMatchObject({ enforcement: 'not enforced' });
});

it('tells who mounts that the limits are wider than they should be', async () => {
  const limit = 's3://b/';
  const { warnings } = await mountWith({ limit, coarser: true, enforcement: 'enforced' });
  expect(warnings).toEqual(['the credentials of /m can do more than was asked for: s3://b/']);
});

it.each(['enforced', 'cannot tell', 'untested'] as const)(
  'warns of nothing when %s',
  async (enforcement) => {
    const { warnings } = await mountWith({ limit: 's3://b/', enforcement });
    expect(warnings).toEqual([]);
  },
);

const mount: LiveMountStatus = {
  ...{ mountPoint: '/m', source: 's3://b', readOnly: false, state: 'ready', readySinceMs: 0 },
  ...{ endpoint: 'https://s3.example', issuer: 'https://iam.example', role: undefined },
  ...{ credentialsUntilMs: undefined, openHandles: 0 },
  ...{ unsavedFiles: 0, unsavedBytes: 0, failures: [], pid: 7 },
};

it.each<[RightsStatus['enforcement'], string]>([
  ['enforced', 'rights limited to s3://b/p/, read-only (enforced)'],
  ['not enforced', 'rights limited to s3://b/p/, read-only (NOT enforced by the server)'],
  ['cannot tell', 'rights limited to s3://b/p/, read-only (no telling whether'],
  ['untested', 'rights limited to s3://b/p/, read-only (not tested yet)'],
])('shows in `wire status` that limits are %s', (enforcement, words) => {
  const rights = { limit: 's3://b/p/, read-only', enforcement };
  const [line] = statusLines({ mounts: [{ ...mount, rights }], logins: [] }, 0);
  expect(line).toContain(words);
});

it('shows no rights that were not asked to be limited', () => {
  for (const rights of [undefined, { enforcement: 'untested' } as const]) {
    const [line] = statusLines({ mounts: [{ ...mount, rights }], logins: [] }, 0);
    expect(line).not.toContain('rights');
  }
});

it('asks for what is mounted and no more, and for nothing with the session policy off', () => {
  const spec = specOf('/m');
  const connection = { ...spec.connection, narrowed: true };
  const source = { kind: 'bucket', bucket: 'b', prefix: 'p/' } as const;
  const limits = { bucket: 'b', prefix: 'p/', readOnly: true };
  expect(rightsOf({ source, readOnly: true, connection })).toEqual(limits);
  const all = { kind: 'buckets' } as const;
  expect(rightsOf({ source: all, readOnly: false, connection })).toEqual({
    prefix: '',
    readOnly: false,
  });
  expect(rightsOf({ source, readOnly: true, connection: spec.connection })).toBeUndefined();
});

it('says what to try where a server may not know how a prefix is escaped', async () => {
  const spec = specOf('/m');
  const denied = new StoreError('access-denied', 'list', { code: 'AccessDenied' });
  const list = async (): Promise<never> => await Promise.reject(denied);
  const stores = { open: () => ({ list }) } as never;
  const lineFor = async (prefix: string, narrowed: boolean): Promise<string> => {
    const source = { kind: 'bucket', bucket: 'b', prefix } as const;
    const asked = { ...spec, source, connection: { ...spec.connection, narrowed } };
    const error = await checkStore(asked, stores, signal).catch((refusal: unknown) => refusal);
    return (error as WireError).toLine();
  };
  expect(await lineFor('al*/', true)).toContain('--session-policy off');
  expect(await lineFor('al*/', false)).not.toContain('--session-policy');
  expect(await lineFor('al/', true)).not.toContain('--session-policy');
});
