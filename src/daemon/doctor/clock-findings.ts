/** Whether the clocks of this machine, the provider and the store agree. Pure. */
import { type Finding, findingsOf } from './finding.ts';
import { spanOf } from './spans.ts';

export interface ClockReading {
  readonly whose: 'provider' | 'store';
  readonly host: string;
  /** Its `Date` less our clock, ms; off by as much as a second and half of `roundTripMs`. */
  readonly aheadMs: number;
  readonly roundTripMs: number;
}

const make = findingsOf('clock');

/**
 * Servers take a token only from the second of its making on (MinIO), and five seconds show that
 * nobody sets a clock. A clock that follows NTP is off by milliseconds.
 */
const AGREED_MS = 5_000;
/** S3 refuses requests that are signed further off (RequestTimeTooSkewed). */
const S3_LIMIT_MS = 900_000;

const setTime = 'set the time by NTP: timedatectl set-ntp true (or as root: chronyc makestep)';

export function clockFindings(readings: readonly ClockReading[]): readonly Finding[] {
  const [first, second] = readings;
  if (first === undefined) return [make.note('no server told its time')];
  const off = readings.filter((reading) => !agrees(reading));
  if (off.length === 0) {
    const hosts = readings.map(({ whose, host }) => `the ${whose} (${host})`);
    return [make.ok(`this machine agrees with ${hosts.join(' and ')}, to the second`)];
  }
  const apart = second === undefined ? 0 : first.aheadMs - second.aheadMs;
  const ours = off.length === readings.length && Math.abs(apart) <= slackOf(first, second);
  if (ours) return [ourFinding(first, readings)];
  return [...off.map(theirFinding), ...tokenFindings(readings)];
}

function agrees(reading: ClockReading): boolean {
  return Math.abs(reading.aheadMs) <= slackOf(reading);
}

function slackOf(...readings: readonly (ClockReading | undefined)[]): number {
  const longest = Math.max(...readings.map((reading) => reading?.roundTripMs ?? 0));
  return AGREED_MS + longest;
}

function ourFinding({ aheadMs, whose, host }: ClockReading, all: readonly ClockReading[]): Finding {
  const by = `${spanOf(aheadMs)} ${aheadMs > 0 ? 'behind' : 'ahead of'}`;
  if (all.length === 1) {
    return make.warning(`this machine is ${by} the ${whose} (${host})`, setTime);
  }
  const beyond = Math.abs(aheadMs) >= S3_LIMIT_MS;
  const more = beyond ? ', and other S3 programs are refused here' : '';
  return make.warning(`this machine is ${by} provider and store${more}`, setTime);
}

function theirFinding({ whose, host, aheadMs }: ClockReading): Finding {
  const by = `${spanOf(aheadMs)} ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
  const seen = `the ${whose} (${host}) is ${by} this machine`;
  return make.warning(seen, `ask whoever runs ${host} to set its time, or: ${setTime}`);
}

/** What comes of a store that thinks a token is of tomorrow, or has ended. */
function tokenFindings(readings: readonly ClockReading[]): readonly Finding[] {
  const provider = readings.find(({ whose }) => whose === 'provider');
  const store = readings.find(({ whose }) => whose === 'store');
  if (provider === undefined || store === undefined) return [];
  const aheadMs = provider.aheadMs - store.aheadMs;
  if (Math.abs(aheadMs) <= slackOf(provider, store)) return [];
  const span = spanOf(aheadMs);
  const seen =
    aheadMs > 0
      ? `the provider is ${span} ahead of the store, which refuses each new token for as long (claim iat)`
      : `the provider is ${span} behind the store, where tokens end sooner by as much (claim exp)`;
  return [
    make.warning(seen, `ask whoever runs ${provider.host} and ${store.host} to set their time`),
  ];
}
