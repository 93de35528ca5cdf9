/** What a bucket with versioning keeps besides its current objects. */

import { ObjectIndex } from './object-index.ts';
import type { StoredObject } from './stored-object.ts';

/** Of a bucket; once switched on it can only be suspended. */
export type Versioning = 'Enabled' | 'Suspended';

/** Stands for a deletion. */
export interface DeleteMarker {
  readonly key: string;
  readonly modifiedMs: number;
  readonly versionId: string;
  readonly isMarker: true;
}

export type Version = StoredObject | DeleteMarker;

/** The version of objects written while versioning is off or suspended. */
export const NULL_VERSION = 'null';

export function isMarker(version: Version): version is DeleteMarker {
  return 'isMarker' in version;
}

/** Noncurrent versions of every key, newest first; a delete marker comes first while it is current. */
export class History {
  readonly #byKey = new ObjectIndex<{ readonly key: string; readonly versions: Version[] }>();

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  of(key: string): readonly Version[] {
    return this.#byKey.get(key)?.versions ?? [];
  }

  /** Keys that have a history, in order. */
  *keys(): Generator<string> {
    for (const { key } of this.#byKey) yield key;
  }

  push(version: Version): void {
    const known = this.#byKey.get(version.key);
    if (known === undefined) this.#byKey.set({ key: version.key, versions: [version] });
    else known.versions.unshift(version);
  }

  /** Removes and gives one version. */
  remove(key: string, versionId: string): Version | undefined {
    const known = this.#byKey.get(key);
    const at = known?.versions.findIndex((each) => (each.versionId ?? NULL_VERSION) === versionId);
    if (known === undefined || at === undefined || at < 0) return undefined;
    const [removed] = known.versions.splice(at, 1);
    if (known.versions.length === 0) this.#byKey.delete(key);
    return removed;
  }
}
