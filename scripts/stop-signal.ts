/** Aborts when this process is told to end, so that what was started is taken away first. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => stop.abort());
  }
  return stop.signal;
}

/** Sets the exit code to what `main` gives; being told to end is no failure, and is said under `name`. */
export async function runUntilStopped(
  name: string,
  main: (signal: AbortSignal) => Promise<number>,
): Promise<void> {
  const signal = stopSignal();
  try {
    process.exitCode = await main(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    process.stderr.write(`${name}: interrupted\n`);
    process.exitCode = 130;
  }
}
