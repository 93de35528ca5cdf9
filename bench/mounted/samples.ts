/** What was measured so far, by result and by who was measured. */
import { type Measurement, median } from '../report.ts';
import type { Sample } from './workload.ts';

/** What a workload says of its samples. */
type Kind = Pick<Measurement, 'name' | 'unit' | 'better'>;

interface Collected {
  readonly kind: Kind;
  readonly wire: number[];
  readonly others: Record<string, number[]>;
  readonly notes: Record<string, number[]>;
}

export class Samples {
  readonly #byName = new Map<string, Collected>();

  add(kind: Kind, suffix: string, { wire, others, notes = {} }: Sample): void {
    const name = `${kind.name}${suffix}`;
    const collected = this.#byName.get(name) ?? { kind, wire: [], others: {}, notes: {} };
    this.#byName.set(name, collected);
    collected.wire.push(wire);
    for (const [who, value] of Object.entries(others)) append(collected.others, who, value);
    for (const [what, value] of Object.entries(notes)) append(collected.notes, what, value);
  }

  get measurements(): Measurement[] {
    return [...this.#byName].map(([name, { kind, wire, others }]) => {
      const { unit, better } = kind;
      return { name, unit, better, wire, others };
    });
  }

  /** Medians of what was noted. */
  get notes(): Readonly<Record<string, string>> {
    const all = [...this.#byName].flatMap(([name, { notes }]) =>
      Object.entries(notes).map(([what, values]) => {
        const value = median(values);
        return [`${name}, ${what}`, value.toFixed(value < 10 ? 2 : 0)] as const;
      }),
    );
    return Object.fromEntries(all);
  }
}

function append(lists: Record<string, number[]>, name: string, value: number): void {
  (lists[name] ??= []).push(value);
}
