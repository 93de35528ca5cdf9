/** Several failures of one command. */
import type { WireError } from '../lib/wire-error.ts';
import type { Terminal } from './terminal.ts';

/** Tells all but the first, which it throws; nothing where there is none. */
export function tellAll(failures: readonly WireError[], terminal: Terminal): void {
  const [first, ...others] = failures;
  for (const failure of others) terminal.fail(failure.toLine());
  if (first !== undefined) throw first;
}
