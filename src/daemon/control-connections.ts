/**
 * Who is let in at a control socket when many come at once. Whoever has not finished asking, or does
 * not take the answer, makes room for whoever comes: so a status or an unmount gets through, whatever
 * other programs of the same user do there.
 */
import type { Socket } from 'node:net';
import { WireError } from '../lib/wire-error.ts';

/** What may take long: a script that mounts sixty at once, and as much again. */
const MAX_WORK = 128;

/** The same with those who wait for an end. */
const MAX_WORK_AND_ENDS = 160;

/** Beyond the work there is always somebody who makes room. */
const MAX_CONNECTIONS = 192;

/** `arriving`: its request is not whole yet; `taking`: its answer is on the way. */
type Stage = 'arriving' | 'working' | 'taking';

export class ControlConnections {
  /** In the order in which they came. */
  readonly #stages = new Map<Socket, Stage>();

  get size(): number {
    return this.#stages.size;
  }

  /** Takes `socket` in; the one that idles longest goes when there are too many. */
  admit(socket: Socket): void {
    this.#stages.set(socket, 'arriving');
    socket.once('close', () => this.#stages.delete(socket));
    if (this.size <= MAX_CONNECTIONS) return;
    const [idle] = this.#in('taking', 'arriving');
    if (idle === undefined) return;
    // Its close comes later; it counts no more.
    this.#stages.delete(idle);
    idle.destroy();
  }

  /**
   * Its request is whole, and takes its time: it makes room for nobody.
   *
   * @throws WireError `unavailable` when there is too much in hand.
   */
  work(socket: Socket, isEnd: boolean): void {
    if (!this.#stages.has(socket)) return;
    if (this.#in('working').length >= (isEnd ? MAX_WORK_AND_ENDS : MAX_WORK)) {
      const answered = 'it has too many requests in hand';
      throw new WireError('unavailable', { tried: 'ask the daemon', answered, next: 'try again' });
    }
    this.#stages.set(socket, 'working');
  }

  /** It is answered, and has to take that. */
  answered(socket: Socket): void {
    if (this.#stages.has(socket)) this.#stages.set(socket, 'taking');
  }

  #in(...stages: readonly Stage[]): readonly Socket[] {
    return [...this.#stages].flatMap(([socket, stage]) => (stages.includes(stage) ? [socket] : []));
  }
}
