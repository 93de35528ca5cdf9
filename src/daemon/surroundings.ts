import type { Paths } from '../config/paths.ts';
import type { Environment } from '../config/settings.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { HttpOptions } from '../net/http.ts';
import type { Network } from '../net/network.ts';

/** Where a daemon runs. */
export interface Surroundings {
  readonly paths: Paths;
  readonly environment: Environment;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  /** How servers are reached. */
  readonly network: Network;
  /** `network` for exchanges with a provider or an STS. */
  readonly http: HttpOptions;
  /** Where the log is written; undefined when that is no file. */
  readonly logFile?: string | undefined;
  /** Calls `undo` when the process ends without having undone its work. */
  readonly atExit: (undo: () => void) => Disposable;
}
