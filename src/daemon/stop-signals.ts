/** The signals that ask a process to stop, so that a test can send them without a process. */

export const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type StopSignal = (typeof stopSignals)[number];

export interface StopSignals {
  /** Calls `listener` for each signal until disposed. */
  listen(listener: (signal: StopSignal) => void): Disposable;
}

/** Something that delivers signals by name: `process`. */
interface SignalEmitter {
  on(signal: StopSignal, listener: () => void): unknown;
  off(signal: StopSignal, listener: () => void): unknown;
}

export function stopSignalsOf(emitter: SignalEmitter): StopSignals {
  return {
    listen(listener) {
      const heard = stopSignals.map((signal) => ({ signal, hear: () => listener(signal) }));
      for (const { signal, hear } of heard) emitter.on(signal, hear);
      return {
        [Symbol.dispose]: () => {
          for (const { signal, hear } of heard) emitter.off(signal, hear);
        },
      };
    },
  };
}
