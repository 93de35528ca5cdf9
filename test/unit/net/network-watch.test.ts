import { networkInterfaces } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  changeBetween,
  type Look,
  machineAddresses,
  type NetworkChange,
  NetworkWatch,
} from '../../../src/net/network-watch.ts';
import { FakeClock } from '../../fixtures/fake-clock.ts';

const home = ['192.168.1.7', '2001:db8::7'];
const away = ['10.20.30.40'];

function look(atMs: number, addresses: readonly string[] = home, asleepMs = 0): Look {
  return { wallMs: 1e12 + atMs + asleepMs, monotonicMs: atMs, addresses: new Set(addresses) };
}

describe('changeBetween', () => {
  it('says nothing of two looks that find the same', () => {
    expect(changeBetween(look(0), look(2000))).toBeUndefined();
  });

  it('says nothing of a clock that is set a little, or set back', () => {
    for (const by of [-3_600_000, -10, 500, 9000]) {
      expect(changeBetween(look(0), look(2000, home, by))).toBeUndefined();
    }
  });

  it('tells a suspended machine by its wall clock, a stopped process by its late look', () => {
    expect(changeBetween(look(0), look(2000, home, 60_000))?.slept).toBe(true);
    expect(changeBetween(look(0), look(62_000))?.slept).toBe(true);
  });

  it('tells addresses that are lost, and that there are new ones', () => {
    expect(changeBetween(look(0), look(2000, away))?.lost).toEqual(new Set(home));
    expect(changeBetween(look(0), look(2000, []))?.lost).toEqual(new Set(home));
    expect(changeBetween(look(0, []), look(2000))).toEqual({ slept: false, lost: new Set() });
    expect(changeBetween(look(0), look(2000, [...home, ...away]))?.lost).toEqual(new Set());
  });

  it('misses no change of addresses, in whatever order they come', () => {
    const addresses = fc.uniqueArray(fc.ipV4(), { maxLength: 6 });
    fc.assert(
      fc.property(addresses, addresses, (before, now) => {
        const change = changeBetween(look(0, before), look(2000, now));
        const same = before.length === now.length && before.every((one) => now.includes(one));
        expect(change === undefined).toBe(same);
        const lost = before.filter((one) => !now.includes(one));
        expect([...(change?.lost ?? [])].sort()).toEqual(lost.sort());
      }),
    );
  });
});

describe('machineAddresses', () => {
  it('are those of the interfaces but for loopback and link-local ones', () => {
    const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
    const addresses = machineAddresses();
    for (const { address, internal } of all) {
      const kept = !internal && !address.toLowerCase().startsWith('fe80');
      expect([address, addresses.has(address)]).toEqual([address, kept]);
    }
  });
});

describe('NetworkWatch', () => {
  it('tells each change once, within two seconds, and nothing after its end', async () => {
    const clock = new FakeClock();
    let addresses = new Set(home);
    const told: NetworkChange[] = [];
    const watch = new NetworkWatch({
      clock,
      addresses: () => addresses,
      changed: (change) => void told.push(change),
    });
    await clock.advance(20_000);
    expect(told).toEqual([]);
    addresses = new Set(away);
    await clock.advance(2000);
    expect(told).toEqual([{ slept: false, lost: new Set(home) }]);
    await clock.advance(20_000);
    expect(told).toHaveLength(1);
    clock.jumpWall(3_600_000);
    await clock.advance(2000);
    expect(told[1]).toEqual({ slept: true, lost: new Set() });
    await watch[Symbol.asyncDispose]();
    expect(clock.sleeping).toBe(0);
    addresses = new Set(home);
    await clock.advance(20_000);
    expect(told).toHaveLength(2);
  });
});
