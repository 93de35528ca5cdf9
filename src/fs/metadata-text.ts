/** Numbers as they stand in metadata. Undefined: it is none, or one that cannot be. */
import type { DeviceNumber } from './filesystem.ts';

/** Ids end below -1, which stands for nobody in particular: chown(2). */
const MOST_ID = 2 ** 32 - 2;
/** All bits of st_mode. */
const MOST_MODE = 0o177777;
/** Before 1970 times may be negative; beyond this no `Date` can tell them. */
const MOST_MS = 8.64e15;

/** A number of a user or group. */
export function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MOST_ID ? id : undefined;
}

/**
 * st_mode in decimal, as s3fs writes it, or in octal, as most do. One that may be `either` is octal
 * where it begins with a zero, as rclone writes it.
 */
export function modeOf(text: string | undefined, base: 'either' | 'octal'): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const isOctal = base === 'octal' || text.startsWith('0');
  if (isOctal && !/^[0-7]+$/.test(text)) return undefined;
  const mode = Number.parseInt(text, isOctal ? 8 : 10);
  return mode <= MOST_MODE ? mode : undefined;
}

/**
 * Ms since the epoch: of seconds with a fraction (s3fs, rclone, gsutil), of a number with its unit
 * (DataSync), or of a time as RFC 3339 writes it (gcsfuse, rclone).
 */
export function timeOf(text: string | undefined): number | undefined {
  if (text === undefined || text.length > 64) return undefined;
  const ms = secondsOf(text) ?? unitsOf(text) ?? dateOf(text);
  return ms !== undefined && Math.abs(ms) <= MOST_MS ? ms : undefined;
}

/** Seconds with nine digits behind the point, or none: s3fs takes them for a number of nanoseconds. */
export function textOfSeconds(ms: number | undefined): string | undefined {
  if (ms === undefined || !Number.isFinite(ms) || Math.abs(ms) > MOST_MS) return undefined;
  // The digits of nanoseconds, with the point moved: a division would change the last of them.
  const digits = Math.abs(ms).toFixed(6).replace('.', '').padStart(10, '0');
  const fraction = digits.slice(-9);
  const seconds = digits.slice(0, -9);
  const isZero = /^0+$/.test(digits);
  const sign = ms < 0 && !isZero ? '-' : '';
  return /^0+$/.test(fraction) ? `${sign}${seconds}` : `${sign}${seconds}.${fraction}`;
}

/** A number of a device as Linux packs it into 32 bits (`new_encode_dev`). */
export function deviceOf(text: string | undefined): DeviceNumber | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const word = Number(text);
  if (word > 0xffff_ffff) return undefined;
  return { major: (word >>> 8) & 0xfff, minor: (word & 0xff) | ((word >>> 12) & 0xfff00) };
}

export function deviceText({ major, minor }: DeviceNumber): string {
  const word = (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12);
  return String(word >>> 0);
}

function secondsOf(text: string): number | undefined {
  const match = /^(-?)(\d{1,13})(?:\.(\d{1,20}))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = '', seconds = '', fraction = ''] = match;
  const thousandths = fraction.padEnd(3, '0');
  return Number(`${sign}${seconds}${thousandths.slice(0, 3)}.${thousandths.slice(3)}`);
}

function unitsOf(text: string): number | undefined {
  const match = /^(\d{1,20})(ns|us|ms|s)$/.exec(text);
  if (match === null) return undefined;
  const unitMs = { ns: 1e-6, us: 1e-3, ms: 1, s: 1000 }[match[2] as 'ns' | 'us' | 'ms' | 's'];
  return Number(match[1]) * unitMs;
}

function dateOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
