import { describe, expect, it } from 'vitest';
import { SAMPLES, Throughput } from '../../../../src/daemon/ui/throughput.ts';
import { mountPoint, statusWith } from './fake-host.ts';

describe('throughput', () => {
  it('is what was moved between two looks, over the time between them', () => {
    const throughput = new Throughput();
    expect(throughput.add(statusWith(700), 1000, 1).mounts).toEqual({});
    expect(throughput.add(statusWith(4700), 3000, 2).mounts).toEqual({
      [mountPoint]: [2000, 2000, 2000, 2000],
    });
    expect(throughput.add(statusWith(4700), 4000, 3)).toEqual({ atMs: 3, mounts: {} });
  });

  it('begins anew with another mount at the same place, and never goes below nothing', () => {
    const throughput = new Throughput();
    throughput.add(statusWith(1000), 0, 0);
    expect(throughput.add(statusWith(5000, { readySinceMs: 6 }), 1000, 1).mounts).toEqual({});
    expect(throughput.add(statusWith(10, { readySinceMs: 6 }), 2000, 2).mounts).toEqual({});
    expect(throughput.add({ mounts: [], logins: [] }, 3000, 3).mounts).toEqual({});
    expect(throughput.add(statusWith(99, { readySinceMs: 6 }), 4000, 4).mounts).toEqual({});
  });

  it('knows nothing of a mount that does not answer', () => {
    const throughput = new Throughput();
    const lost = { mounts: [{ mountPoint, state: 'silent' as const }], logins: [] };
    expect(throughput.add(lost, 0, 0).mounts).toEqual({});
    expect(throughput.add(lost, 1000, 1).mounts).toEqual({});
  });

  it('remembers five minutes and no more', () => {
    const throughput = new Throughput();
    for (let at = 0; at < SAMPLES + 10; at += 1) throughput.add(statusWith(at), at * 1000, at);
    expect(throughput.history).toHaveLength(SAMPLES);
    expect(throughput.history[0]?.atMs).toBe(10);
  });
});
