/** Times as people read them. */

const dayMs = 86_400_000;

/** `4:05`, for a countdown. */
export function formatCountdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** `14:05` for today, `24 Dec 14:05` otherwise, `24 Dec 2027` for another year; local time. */
export function formatUntil(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const now = new Date(nowMs);
  const time = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  if (at.toDateString() === now.toDateString()) return time;
  const date = at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  if (Math.abs(atMs - nowMs) < 180 * dayMs) return `${date} ${time}`;
  return `${date} ${at.getFullYear()}`;
}

/** `12 µs`, `1.2 ms`, `300 ms`, `4.2 s`: how long something took. */
export function formatTaken(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
