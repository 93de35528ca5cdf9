import { describe, expect, it } from 'vitest';
import { type BudgetShare, MemoryBudget } from '../../../src/cache/memory-budget.ts';

/** A consumer that can do without `spare` of what it has. */
class Hoarder {
  spare = 0;
  readonly share: BudgetShare;

  constructor(budget: MemoryBudget, name: string, floorBytes = 0) {
    this.share = budget.join({
      name,
      floorBytes,
      reclaim: (bytes) => {
        const given = Math.min(bytes, this.spare);
        this.spare -= given;
        this.share.give(given);
      },
    });
  }
}

describe('MemoryBudget', () => {
  it('gives all or nothing, and never more than there is', () => {
    const budget = new MemoryBudget(100);
    const one = new Hoarder(budget, 'one');
    expect(one.share.take(60)).toBe(true);
    expect(one.share.take(41)).toBe(false);
    expect(one.share.take(40)).toBe(true);
    expect(budget.used).toBe(100);
    one.share.give(100);
    expect(budget.used).toBe(0);
  });

  it('has others give back what they can do without, and no more than is needed', () => {
    const budget = new MemoryBudget(100);
    const [one, two] = [new Hoarder(budget, 'one'), new Hoarder(budget, 'two')];
    one.share.take(100);
    expect(two.share.take(10)).toBe(false);
    one.spare = 30;
    expect(two.share.take(10)).toBe(true);
    expect(one.share.used).toBe(90);
    expect(two.share.take(30)).toBe(false);
    expect(budget.used).toBeLessThanOrEqual(100);
  });

  it('leaves everyone what they need to go on', () => {
    const budget = new MemoryBudget(100);
    const one = new Hoarder(budget, 'one', 20);
    const two = new Hoarder(budget, 'two');
    expect(two.share.mostBytes).toBe(80);
    expect(two.share.take(81)).toBe(false);
    expect(two.share.take(80)).toBe(true);
    expect(one.share.take(20)).toBe(true);
  });

  it('leaves it to them also where two others share the rest', () => {
    const budget = new MemoryBudget(100);
    const one = new Hoarder(budget, 'one', 20);
    const [two, three] = [new Hoarder(budget, 'two'), new Hoarder(budget, 'three')];
    expect(two.share.take(50)).toBe(true);
    expect(three.share.take(31)).toBe(false);
    expect(three.share.take(30)).toBe(true);
    expect(one.share.take(20)).toBe(true);
    expect(budget.used).toBe(100);
  });

  it('refuses nothing to who insists, and lets nobody else have more meanwhile', () => {
    const budget = new MemoryBudget(100);
    const [one, two] = [new Hoarder(budget, 'one'), new Hoarder(budget, 'two')];
    one.share.take(95);
    two.share.insist(10);
    expect(budget.used).toBe(105);
    expect(one.share.take(1)).toBe(false);
    two.share.give(10);
    expect(one.share.take(5)).toBe(true);
  });

  it('asks for what is too much when it becomes smaller', () => {
    const budget = new MemoryBudget(100);
    const one = new Hoarder(budget, 'one');
    one.share.take(90);
    one.spare = 90;
    budget.resize(50);
    expect(one.share.used).toBe(50);
    expect(one.share.take(1)).toBe(false);
  });

  it('takes back everything of who leaves', () => {
    const budget = new MemoryBudget(100);
    const one = new Hoarder(budget, 'one', 50);
    one.share.take(90);
    one.share.leave();
    expect(budget.used).toBe(0);
    expect(new Hoarder(budget, 'two').share.take(100)).toBe(true);
  });
});
