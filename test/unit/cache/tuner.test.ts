import { describe, expect, it } from 'vitest';
import {
  initialTuner,
  type TransferSample,
  type TunerState,
  tunerAfter,
} from '../../../src/cache/tuner.ts';
import { MiB } from '../../../src/lib/bytes.ts';
import { type EndpointModel, type Pace, throughput } from '../../fixtures/simulated-endpoint.ts';

/** What may be read ahead of one reader with 48 MiB of memory. */
const WINDOW_BYTES = 24 * MiB;

const afterTenSeconds = { fromMs: 10_000, toMs: 20_000 };

/** A fixed setting is the same at any time. */
const soon = { fromMs: 1000, toMs: 4000 };

/** 125,000 bytes per ms are 1 Gbit/s. */
const endpoints: Readonly<Record<string, EndpointModel>> = {
  'a fast LAN': { ttfbMs: 1, lineRate: 1_200_000, connectionRate: 500_000 },
  '20 ms at 1 Gbit/s': { ttfbMs: 22, lineRate: 125_000, connectionRate: 30_000 },
  '80 ms at 1 Gbit/s': { ttfbMs: 85, lineRate: 125_000, connectionRate: 12_000 },
  'a line that one connection fills': { ttfbMs: 20, lineRate: 12_500, connectionRate: 12_500 },
  'at most 8 connections': {
    ttfbMs: 15,
    lineRate: 400_000,
    connectionRate: 40_000,
    connections: 8,
  },
  'SlowDown above 50 requests a second': {
    ttfbMs: 10,
    lineRate: 400_000,
    connectionRate: 50_000,
    requestsPerSecond: 50,
  },
};

function fixed(loads: number, partBytes: number): Pace {
  return { loads, partBytes, note: () => undefined };
}

class Tuned implements Pace {
  state: TunerState;
  slowDowns = 0;

  constructor(from: Partial<TunerState> = {}) {
    this.state = { ...initialTuner, ...from };
  }

  get loads(): number {
    return this.state.loads;
  }

  get partBytes(): number {
    return Math.min(this.state.partBytes, WINDOW_BYTES / 4);
  }

  note(sample: TransferSample): void {
    if (sample.slowDown) this.slowDowns += 1;
    this.state = tunerAfter(this.state, sample);
  }
}

function bestFixed(model: EndpointModel): number {
  let best = 0;
  for (const loads of [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64]) {
    for (const part of [MiB / 2, MiB, 2 * MiB, 4 * MiB, 6 * MiB, 8 * MiB, 12 * MiB]) {
      best = Math.max(best, throughput(model, fixed(loads, part), WINDOW_BYTES, soon));
    }
  }
  return best;
}

function answered(nowMs: number, changes: Partial<TransferSample> = {}): TransferSample {
  const usual = { bytes: MiB, ttfbMs: 5, durationMs: 20, slowDown: false };
  return { ...usual, waiting: true, wanted: true, running: 8, nowMs, ...changes };
}

describe('tunerAfter', () => {
  for (const [name, model] of Object.entries(endpoints)) {
    it(`reaches 0.9 of the best fixed setting within 10 s: ${name}`, () => {
      const best = bestFixed(model);
      for (const from of [{}, { loads: 2, partBytes: MiB }, { loads: 32, partBytes: 8 * MiB }]) {
        const tuned = new Tuned(from);
        const rate = throughput(model, tuned, WINDOW_BYTES, afterTenSeconds);
        const { loads, partBytes } = tuned.state;
        const told = `from ${JSON.stringify(from)} to ${loads} of ${partBytes / MiB} MiB`;
        expect(rate / best, told).toBeGreaterThanOrEqual(0.9);
      }
    });
  }

  it('asks for half as much, in longer requests, of a server that refuses', () => {
    const before = { ...initialTuner, loads: 8, partBytes: MiB };
    const after = tunerAfter(before, answered(100, { slowDown: true, bytes: 0 }));
    expect(after).toMatchObject({ loads: 4, partBytes: 2 * MiB });
  });

  it('takes refusals that come together for one', () => {
    const tuned = new Tuned({ loads: 16 });
    for (let at = 0; at < 10; at += 1) tuned.note(answered(100 + at, { slowDown: true }));
    expect(tuned.loads).toBe(8);
  });

  it('learns nothing from readers at random, nor from one who asks for no more', () => {
    const tuned = new Tuned();
    for (let at = 0; at < 2000; at += 1) {
      tuned.note(answered(at * 10, { bytes: 4096 }));
      tuned.note(answered(at * 10, { waiting: false, wanted: false }));
    }
    expect(tuned.state).toMatchObject({ loads: initialTuner.loads, base: undefined });
  });

  it('stays with what it has while no neighbour is better, and looks again later', () => {
    const tuned = new Tuned();
    const settings = new Set<string>();
    let quiet = 0;
    // One answer every 10 ms, whatever is asked for.
    for (let at = 0; at < 3000; at += 1) {
      const before = `${tuned.state.loads} ${tuned.state.partBytes}`;
      tuned.note(answered(at * 10, { bytes: 4 * MiB }));
      settings.add(before);
      quiet = `${tuned.state.loads} ${tuned.state.partBytes}` === before ? quiet + 1 : 0;
    }
    expect(settings.size).toBeGreaterThan(1);
    expect(tuned.loads).toBeLessThanOrEqual(initialTuner.loads);
    expect(quiet).toBeGreaterThan(5);
  });
});
