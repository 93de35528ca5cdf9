/** What is asked for when something is to be mounted. */
import type { Settings } from '../config/options.ts';
import type { Flags } from '../config/settings.ts';
import type { Source } from '../config/source.ts';
import type { MountOptions, TransportName } from './mount-parts.ts';

/** One SOURCE with its MOUNTPOINT. */
export interface MountPair {
  readonly source: Source;
  readonly mountPoint: string;
  readonly readOnly: boolean;
}

export interface MountsRequest {
  readonly mounts: readonly MountPair[];
  readonly settings: Settings;
  readonly allowOther: boolean;
  readonly makeDirectory: boolean;
  readonly options?: MountOptions;
  readonly transport?: TransportName;
  /** What `settings` were made of, to make them anew. */
  readonly origin?: MountOrigin;
}

/** What a person typed, as far as it is not said by the configuration. */
export interface MountOrigin {
  readonly flags: Flags;
  /** Absent: the usual one. */
  readonly profile?: string;
}
