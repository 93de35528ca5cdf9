/** Tells a process from a later one with the same pid. */
import { readFileSync } from 'node:fs';

/**
 * When process `pid` started: field 22 of /proc/PID/stat (`proc(5)`), an opaque text to compare;
 * `alive` where there is no /proc. Empty when no such process runs: one that has ended keeps its
 * place until its parent asks, and field 3 says so.
 */
export function startOfProcess(pid: number): string {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The name in field 2 may hold spaces and brackets; count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state = '', started] = [fields[0], fields[19]];
  if (stat !== '' && started !== undefined) return 'ZX'.includes(state) ? '' : started;
  return attempt(() => {
    process.kill(pid, 0);
    return 'alive';
  });
}

/** What `read` gives, or nothing where it throws. */
export function attempt(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
