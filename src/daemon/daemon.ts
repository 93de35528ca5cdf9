/**
 * What the command asks for: log in, mount, unmount, look. The command knows this interface and
 * nothing below it; `createDaemon` composes the real one.
 */

import type { Settings } from '../config/options.ts';
import type { ListedBuckets } from './bucket-list.ts';
import type { CacheUsage, ClearedCache } from './content-cache.ts';
import type { CheckupEvents } from './doctor/checkup.ts';
import type { Finding } from './doctor/finding.ts';
import type { CheckupRequest } from './doctor/visit.ts';
import type { LoginEvents, LoginInput, LoginOutcome, LogoutOutcome } from './identity.ts';
import type {
  CredentialsEvents,
  CredentialsRequest,
  IssuedCredentials,
  ServeEvents,
} from './issue-credentials.ts';
import type { LeftFile } from './left-behind.ts';
import type { FileProgress, FileVerb } from './mount-parts.ts';
import type { MountEvents } from './mount-process.ts';
import type { MountsRequest } from './mounts-request.ts';
import type { PrintedToken, TokenRequest } from './printed-token.ts';
import type { Remountable } from './remount.ts';
import type { Report, ReportRequest } from './report/report.ts';
import type { Status } from './status.ts';
import type { StopSignals } from './stop-signals.ts';
import type { UnsavedRest } from './unmount.ts';
import type { WhoAmI } from './who-am-i.ts';

export interface Daemon {
  /** @throws WireError as `auth/login.ts`. */
  login(input: LoginInput, events: LoginEvents, signal: AbortSignal): Promise<LoginOutcome>;

  /** Without an issuer: the only login. */
  logout(
    issuer: string | undefined,
    forgetClient: boolean,
    signal: AbortSignal,
  ): Promise<LogoutOutcome>;

  /** Mounts and serves until all mounts have ended; see `MountProcess.run`. */
  mount(
    request: MountsRequest,
    events: MountEvents,
    signals: StopSignals,
    signal: AbortSignal,
  ): Promise<void>;

  /** Is the user's daemon, until its last mount has ended; see `serveDaemon`. */
  serve(ready: () => Promise<void>, signals: StopSignals, signal: AbortSignal): Promise<void>;

  /**
   * @param progress told now and then what is still to be saved.
   * @throws WireError `not-found` when nothing is mounted there; `mount-point` when it is in use;
   *   `not-saved` when something is not in its bucket: the message says where it is.
   */
  unmount(
    mountPoint: string,
    lazy: boolean,
    progress: (left: UnsavedRest) => void,
    signal: AbortSignal,
  ): Promise<void>;

  /**
   * Cuts off a mount that does not answer, and takes it away; asks nothing of who serves it.
   *
   * @throws WireError `not-found` when nothing is mounted there; `mount-point` without the right to.
   */
  forceUnmount(mountPoint: string, signal: AbortSignal): Promise<void>;

  /** Mount points of this user: of living processes, and dead ones that wire has made. */
  ownMounts(signal: AbortSignal): Promise<readonly string[]>;

  /** Mounts that can be mounted again, by their notes. */
  remountable(signal: AbortSignal): Promise<readonly Remountable[]>;

  /** Whether a login at `issuer` is kept; not when the vault does not open, which the log tells. */
  isLoggedIn(issuer: string, signal: AbortSignal): Promise<boolean>;

  status(signal: AbortSignal): Promise<Status>;

  /** Mounts as they are now; logins and what is left behind, which take longer, as `before`. */
  statusAgain(before: Status, signal: AbortSignal): Promise<Status>;

  /**
   * Does `verb` with what lies at `path` and below it, in whichever mount that is.
   *
   * @throws WireError `not-found` when no mount of a living process is there, or nothing in it.
   */
  files(
    verb: FileVerb,
    path: string,
    progress: (done: FileProgress) => void,
    signal: AbortSignal,
  ): Promise<FileProgress>;

  /** What is kept on the local disk, where `settings` say. */
  cacheUsage(settings: Settings, signal: AbortSignal): Promise<CacheUsage>;

  /** Deletes it, pinned content too. */
  clearCache(settings: Settings, signal: AbortSignal): Promise<ClearedCache>;

  /** What mounts that have ended have left on this machine, the oldest first. */
  listLeft(signal: AbortSignal): Promise<readonly LeftFile[]>;

  /** Copies it to `folder`, and leaves it where it is, telling after each file how far it is. */
  exportLeft(
    folder: string,
    progress: (done: FileProgress) => void,
    signal: AbortSignal,
  ): Promise<readonly { readonly file: LeftFile; readonly path: string }[]>;

  /** Deletes one of it. @throws WireError `not-found` when there is none of that id. */
  discardLeft(id: string, signal: AbortSignal): Promise<LeftFile>;

  /** Temporary credentials for another program. @throws WireError as `issueCredentials`. */
  credentials(
    request: CredentialsRequest,
    events: CredentialsEvents,
    signal: AbortSignal,
  ): Promise<IssuedCredentials>;

  /** Serves them on 127.0.0.1, renewed, until `signal` aborts. */
  serveCredentials(
    request: CredentialsRequest & { readonly port: number },
    events: ServeEvents,
    signal: AbortSignal,
  ): Promise<void>;

  /** The buckets that one may list. @throws WireError as a mount. */
  listBuckets(settings: Settings, signal: AbortSignal): Promise<ListedBuckets>;

  /** Who wire is with `settings`, and where its tokens come from. */
  whoAmI(settings: Settings, signal: AbortSignal): Promise<WhoAmI>;

  /**
   * Looks at this machine, the login, its provider and the store. What is written for that to a
   * bucket is gone when it returns, also by an abort.
   */
  checkUp(
    request: CheckupRequest,
    events: CheckupEvents,
    signal: AbortSignal,
  ): Promise<readonly Finding[]>;

  /**
   * Writes an archive for those who maintain wire, without a secret in it, to a new file that is
   * this person's alone.
   *
   * @throws WireError `config` when it cannot be written there, `exists` when something is there.
   */
  report(request: ReportRequest, events: CheckupEvents, signal: AbortSignal): Promise<Report>;

  /** An access token for another program. @throws WireError as `printed-token.ts`. */
  token(request: TokenRequest, signal: AbortSignal): Promise<PrintedToken>;
}
