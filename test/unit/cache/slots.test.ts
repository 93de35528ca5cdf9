import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryBudget } from '../../../src/cache/memory-budget.ts';
import { BLOCK_BYTES, type Slot, SlotPool } from '../../../src/cache/slots.ts';
import { MiB } from '../../../src/lib/bytes.ts';

interface Kept {
  readonly slot: Slot;
  readonly mark: number;
  holds: number;
  owned: boolean;
  lent: boolean;
}

/** A pool, and what must not change in it: a mark in every slot that somebody holds. */
class Model {
  readonly budget: MemoryBudget;
  readonly pool: SlotPool;
  readonly kept = new Set<Kept>();
  #marks = 0;

  constructor(bytes: number) {
    this.budget = new MemoryBudget(bytes);
    this.pool = new SlotPool({
      budget: this.budget,
      evict: () => this.#evict(),
      freed: () => undefined,
      reusing: (memory) => memory.fill(0xee),
    });
  }

  take(): void {
    const slot = this.pool.take();
    if (slot === undefined) {
      // Only when every slot is held.
      expect(this.kept.size * BLOCK_BYTES).toBeGreaterThanOrEqual(this.pool.bytes);
      return;
    }
    this.#marks += 1;
    new DataView(slot.bytes.buffer, slot.bytes.byteOffset).setUint32(0, this.#marks);
    this.kept.add({ slot, mark: this.#marks, holds: 1, owned: false, lent: false });
  }

  own(each: Kept): void {
    if (each.owned) return;
    each.owned = true;
    this.pool.own(each.slot, { evict: () => this.#disown(each) });
  }

  release(each: Kept): void {
    if (each.holds === 0) return;
    each.holds -= 1;
    this.pool.release(each.slot);
    this.#tidy(each);
  }

  endTurn(): void {
    for (const each of [...this.kept]) {
      each.lent = false;
      this.#tidy(each);
    }
  }

  check(): void {
    expect(this.budget.used).toBe(this.pool.bytes);
    expect(this.budget.used).toBeLessThanOrEqual(this.budget.bytes);
    for (const { slot, mark } of this.kept) {
      expect(new DataView(slot.bytes.buffer, slot.bytes.byteOffset).getUint32(0)).toBe(mark);
    }
    const held = [...this.kept].filter(({ holds, lent }) => holds > 0 || lent).length;
    expect(this.pool.held).toBe(held);
  }

  #evict(): boolean {
    for (const each of this.kept) {
      if (!each.owned || each.holds > 0 || each.lent) continue;
      this.#disown(each);
      return true;
    }
    return false;
  }

  #disown(each: Kept): void {
    each.owned = false;
    this.pool.disown(each.slot);
    this.#tidy(each);
  }

  #tidy(each: Kept): void {
    if (!each.owned && !each.lent && each.holds === 0) this.kept.delete(each);
  }
}

const anyStep = fc.record({
  do: fc.constantFrom('take', 'take', 'take', 'own', 'hold', 'release', 'lend', 'turn', 'trim'),
  at: fc.nat(100),
});

describe('SlotPool', () => {
  it('never gives out again what is held or lent, nor exceeds its budget, in any history', async () => {
    const histories = fc.array(anyStep, { maxLength: 120, size: 'max' });
    const sizes = fc.constantFrom(BLOCK_BYTES, MiB, 3 * MiB + 1);
    const property = fc.asyncProperty(histories, sizes, async (steps, bytes) => {
      const model = new Model(bytes);
      for (const { do: what, at } of steps) {
        const each = [...model.kept][at % Math.max(model.kept.size, 1)];
        if (what === 'take') model.take();
        else if (what === 'trim') model.pool.trim();
        else if (what === 'turn') {
          await turn();
          model.endTurn();
        } else if (each === undefined) continue;
        else if (what === 'own') model.own(each);
        else if (what === 'release') model.release(each);
        else if (what === 'lend') {
          model.pool.lend(each.slot);
          each.lent = true;
        } else {
          model.pool.hold(each.slot);
          each.holds += 1;
        }
        model.check();
      }
      await turn();
      model.endTurn();
      for (const each of [...model.kept]) while (each.holds > 0) model.release(each);
      expect(model.pool.held).toBe(0);
      model.pool.trim();
      expect(model.budget.used).toBe(0);
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it('takes memory only when it needs it, and reuses what is free', () => {
    const model = new Model(64 * MiB);
    expect(model.budget.used).toBe(0);
    for (let at = 0; at < 100; at += 1) {
      model.take();
      for (const each of [...model.kept]) model.release(each);
    }
    expect(model.budget.used).toBe(2 * MiB);
  });

  it('gives back slabs when the budget becomes smaller, those in use when they are let go', () => {
    const model = new Model(16 * MiB);
    for (let at = 0; at < 128; at += 1) model.take();
    expect(model.budget.used).toBe(16 * MiB);
    model.budget.resize(4 * MiB);
    expect(model.budget.used).toBe(16 * MiB);
    for (const each of [...model.kept]) model.release(each);
    expect(model.budget.used).toBeLessThanOrEqual(4 * MiB);
  });

  it('refuses to release what nobody holds', () => {
    const model = new Model(MiB);
    const slot = model.pool.take();
    if (slot === undefined) throw new Error('no slot');
    model.pool.release(slot);
    expect(() => model.pool.release(slot)).toThrow('nobody held');
  });
});
