/** Figures as people read them: the same as in the commands (a test compares). Pure. */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/**
 * `1.5 MiB`.
 *
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/**
 * `12 µs`, `1.2 ms`, `300 ms`, `4.2 s`: how long something took.
 *
 * @param {number} ms
 */
export function formatTaken(ms) {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/**
 * `4:05`, for a countdown.
 *
 * @param {number} ms
 */
export function formatCountdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

const DAY_MS = 86_400_000;

/**
 * `14:05` for today, `24 Dec 14:05` otherwise, `24 Dec 2027` for another year; local time.
 *
 * @param {number} atMs
 * @param {number} nowMs
 */
export function formatUntil(atMs, nowMs) {
  const at = new Date(atMs);
  const now = new Date(nowMs);
  const time = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  if (at.toDateString() === now.toDateString()) return time;
  const date = at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  if (Math.abs(atMs - nowMs) < 180 * DAY_MS) return `${date} ${time}`;
  return `${date} ${at.getFullYear()}`;
}

/** @param {number} count */
export function countFiles(count) {
  return count === 1 ? '1 file' : `${count} files`;
}

/**
 * What others have named, in one line that cannot be read in another order (Unicode TR9).
 *
 * @param {string} text
 */
export function printable(text) {
  return text.replaceAll(/[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '?');
}
