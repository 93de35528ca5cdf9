import { describe, expect, it } from 'vitest';
import { LoadQueue, type QueuedLoad } from '../../../src/cache/load-queue.ts';

class Line {
  readonly started: string[] = [];
  readonly dropped: string[] = [];
  hasMemory = true;
  isPaused = false;
  readonly queue: LoadQueue = new LoadQueue({
    aheadLimit: () => 2,
    longLimit: () => 3,
    limit: () => 4,
  });

  add(name: string, how: Partial<Pick<QueuedLoad, 'urgent' | 'long' | 'distance'>>): QueuedLoad {
    const load: QueuedLoad = {
      ...{ urgent: false, long: false, distance: 0, ...how },
      paused: () => this.isPaused,
      start: () => {
        if (this.hasMemory) this.started.push(name);
        return this.hasMemory;
      },
      drop: () => {
        this.dropped.push(name);
      },
    };
    this.queue.add(load);
    return load;
  }
}

describe('LoadQueue', () => {
  it('starts what is waited for first, then what is needed soonest', () => {
    const line = new Line();
    line.add('ahead 1', {});
    line.add('ahead 2', {});
    line.add('far', { distance: 9 });
    line.add('near', { distance: 1 });
    line.add('waited for', { urgent: true });
    expect(line.started).toEqual(['ahead 1', 'ahead 2', 'waited for']);
    line.queue.ended();
    line.queue.ended();
    expect(line.started.slice(3)).toEqual(['near']);
    line.queue.ended();
    expect(line.started.slice(4)).toEqual(['far']);
  });

  it('lets short loads that are waited for go past long ones', () => {
    const line = new Line();
    for (const name of ['1', '2', '3', '4']) line.add(`long ${name}`, { urgent: true, long: true });
    line.add('short', { urgent: true });
    expect(line.started).toEqual(['long 1', 'long 2', 'long 3', 'short']);
    line.queue.ended();
    // Three are running still: as many as long ones may be.
    expect(line.started).toHaveLength(4);
    line.queue.ended();
    expect(line.started.at(-1)).toBe('long 4');
  });

  it('starts nothing ahead that is paused, and what is waited for all the same', () => {
    const line = new Line();
    line.isPaused = true;
    line.add('ahead', {});
    const hurried = line.add('hurried', {});
    line.add('waited for', { urgent: true });
    expect(line.started).toEqual(['waited for']);
    line.queue.hurry(hurried);
    expect(line.started).toEqual(['waited for', 'hurried']);
    line.isPaused = false;
    line.queue.ended();
    expect(line.started.at(-1)).toBe('ahead');
  });

  it('without memory drops what nobody waits for, and keeps the place of who does', () => {
    const line = new Line();
    line.hasMemory = false;
    line.add('ahead', {});
    line.add('first', { urgent: true });
    line.add('second', { urgent: true });
    expect(line.dropped).toEqual(['ahead']);
    expect(line.queue.pump()).toBe(false);
    line.hasMemory = true;
    expect(line.queue.pump()).toBe(true);
    expect(line.started).toEqual(['first', 'second']);
    expect(line.queue.running).toBe(2);
  });
});
