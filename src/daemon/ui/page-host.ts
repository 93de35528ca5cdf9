/**
 * What the page shows and does, as the commands do it: the page knows this and nothing of them. A
 * refusal is a WireError, or a line that another process has put into words (`HostRefusal`).
 */
import type { CacheUsage } from '../content-cache.ts';
import type { LoginEvents } from '../identity.ts';
import type { LeftFile } from '../left-behind.ts';
import type { Status } from '../status.ts';
import type { UnsavedRest } from '../unmount.ts';

/** A login, as typed; absent is what the profile says. */
export interface AskedLogin {
  readonly profile?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly scopes?: string;
  readonly clientId?: string;
}

/** Mounts, as typed: one SOURCE with its MOUNTPOINT, or names of mounts in the profile. */
export interface AskedMount {
  readonly profile?: string;
  /** In the place of SOURCE and MOUNTPOINT. */
  readonly names?: readonly string[];
  readonly source?: string;
  readonly mountPoint?: string;
  readonly endpoint?: string;
  readonly issuer?: string;
  readonly role?: string;
  readonly audience?: string;
  readonly stsEndpoint?: string;
  readonly region?: string;
  readonly cache?: string;
  readonly writeBack?: string;
  readonly readOnly: boolean;
  readonly makeFolder: boolean;
}

/** A profile of the configuration file, to choose from. */
export interface OfferedProfile {
  readonly name: string;
  /** The one that is meant where none is named. */
  readonly used: boolean;
  readonly issuer?: string;
  readonly endpoint?: string;
  readonly audience?: string;
  readonly role?: string;
  readonly mounts: readonly OfferedMount[];
}

export interface OfferedMount {
  readonly name: string;
  readonly source: string;
  readonly mountPoint?: string;
  readonly readOnly: boolean;
}

/** A QR code: dark modules as an SVG path, in a square of `size` units. */
export interface QrPicture {
  readonly size: number;
  readonly path: string;
}

export interface PageHost {
  status(signal: AbortSignal): Promise<Status>;
  statusAgain(before: Status, signal: AbortSignal): Promise<Status>;
  listLeft(signal: AbortSignal): Promise<readonly LeftFile[]>;
  cacheUsage(signal: AbortSignal): Promise<CacheUsage>;
  profiles(signal: AbortSignal): Promise<readonly OfferedProfile[]>;
  /** Undefined where the text is too long for one. */
  qr(text: string): QrPicture | undefined;
  /** @returns the lines that `wire login` ends with. */
  logIn(asked: AskedLogin, events: LoginEvents, signal: AbortSignal): Promise<readonly string[]>;
  /** @returns the lines of `wire logout`, as the next ones of their commands. */
  logOut(issuer: string, forgetClient: boolean, signal: AbortSignal): Promise<readonly string[]>;
  /** Returns when it is mounted, and served in the background. */
  mount(asked: AskedMount, signal: AbortSignal): Promise<readonly string[]>;
  unmount(
    mountPoint: string,
    lazy: boolean,
    progress: (left: UnsavedRest) => void,
    signal: AbortSignal,
  ): Promise<readonly string[]>;
  refresh(mountPoint: string, signal: AbortSignal): Promise<readonly string[]>;
  clearCache(signal: AbortSignal): Promise<readonly string[]>;
}

/** What another process refused, in its own line. */
export class HostRefusal extends Error {
  override readonly name = 'HostRefusal';
}
