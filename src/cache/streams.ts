/**
 * The streams of one handle: threads may read a file in several places through one descriptor, and
 * the kernel sends neighbours in any order. Which one a read belongs to is decided here.
 */
import {
  BACK_BYTES,
  continueStream,
  likeness,
  type ReadaheadLimits,
  type ReadaheadStep,
  type ReadEvent,
  type Stream,
  startStream,
} from './readahead.ts';

/** Places that are remembered of one handle. */
const MAX_STREAMS = 8;

/** A stream, and how far it has read since it was decided on. */
interface Place {
  stream: Stream;
  position: number;
  runBytes: number;
}

export class Streams {
  /** The one that was read last comes first. */
  readonly #places: Place[] = [];

  /** Whether the last read was one of a run in order. */
  get inOrder(): boolean {
    return (this.#places[0]?.stream.windowBytes ?? 0) > 0;
  }

  /**
   * Whether a read that found all in memory changes nothing but how far its stream is. Then that is
   * noted, and `follow` need not be called. Allocates nothing.
   */
  coast(start: number, end: number): boolean {
    const place = this.#places[0];
    if (place === undefined) return false;
    const { windowBytes, refillAt } = place.stream;
    if (windowBytes === 0 || end >= refillAt || start < place.position - BACK_BYTES) return false;
    if (start > place.stream.fetchedTo) return false;
    place.position = Math.max(place.position, end);
    place.runBytes += end - start;
    return true;
  }

  /** What to ask for because of `read`; undefined when it tells nothing. */
  follow(read: ReadEvent, limits: ReadaheadLimits): ReadaheadStep | undefined {
    const at = this.#find(read);
    const known = this.#places[at];
    if (known === undefined) {
      if (!read.stalled) return undefined;
      const step = startStream(read, this.#places.length === 0, limits);
      this.#forgetOne();
      this.#places.unshift(placeOf(step.stream));
      return step;
    }
    const step = continueStream(current(known), read, limits);
    if (at > 0) {
      this.#places.splice(at, 1);
      this.#places.unshift(placeOf(step.stream));
    } else this.#places[0] = placeOf(step.stream);
    return step;
  }

  #find(read: ReadEvent): number {
    let best = -1;
    let most = 0;
    for (let at = 0; at < this.#places.length; at += 1) {
      const place = this.#places[at];
      const like = place === undefined ? 0 : likeness(current(place), read);
      if (like > most) [best, most] = [at, like];
    }
    return best;
  }

  /** Makes room: the oldest without a window first. */
  #forgetOne(): void {
    if (this.#places.length < MAX_STREAMS) return;
    const at = this.#places.findLastIndex(({ stream }) => stream.windowBytes === 0);
    this.#places.splice(at < 0 ? this.#places.length - 1 : at, 1);
  }
}

function placeOf(stream: Stream): Place {
  return { stream, position: stream.position, runBytes: stream.runBytes };
}

function current({ stream, position, runBytes }: Place): Stream {
  if (position === stream.position && runBytes === stream.runBytes) return stream;
  return { ...stream, position, runBytes };
}
