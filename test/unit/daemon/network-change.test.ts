import { afterEach, expect, it, vi } from 'vitest';
import { renewingCredentials } from '../../../src/daemon/credentials.ts';
import type { Connection } from '../../../src/daemon/mount-parts.ts';
import type { Surroundings } from '../../../src/daemon/surroundings.ts';
import { silentLog } from '../../../src/lib/log.ts';
import type { NetworkChange } from '../../../src/net/network.ts';
import { RenewingCredentials } from '../../../src/sts/renewing-credentials.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';
import { plainNetwork } from '../../fixtures/plain-network.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

it('credentials are looked at after a change of the network, until they are closed', async () => {
  const listeners = new Set<(change: NetworkChange) => void>();
  const network = {
    ...plainNetwork,
    onChange: (listener: (change: NetworkChange) => void) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
  const checked = vi.spyOn(RenewingCredentials.prototype, 'checkNow');
  const connection = {
    issuer: 'https://iam.example',
    endpoint: 'https://s3.example',
    stsEndpoint: 'https://sts.example',
    region: 'us-east-1',
    sessionName: 'wire',
    expiryWaitMs: 0,
    narrowed: false,
  } satisfies Connection;
  const tokens = { accessToken: async () => await Promise.reject(new Error('nobody asks')) };
  const surroundings = { clock: new FakeClock(), log: silentLog, network, http: {} };
  // Only what credentials are made of.
  const credentials = renewingCredentials(
    connection,
    tokens,
    surroundings as unknown as Surroundings,
  );
  for (const listener of listeners) listener({ slept: true, lost: new Set() });
  expect(checked).toHaveBeenCalledTimes(1);
  await credentials[Symbol.asyncDispose]();
  expect(listeners.size).toBe(0);
});
