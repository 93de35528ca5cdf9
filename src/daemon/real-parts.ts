/** The parts of a real mount: the kernel's FUSE, a stored login, STS and S3. */
import { createHash } from 'node:crypto';
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TokenSource } from '../auth/token-source.ts';
import type { Settings } from '../config/options.ts';
import { formatSource, type Source } from '../config/source.ts';
import { ObjectFileSystem } from '../fs/object-filesystem.ts';
import { linuxTransport } from '../fuse/linux/mount.ts';
import { readMountinfo, topMount } from '../fuse/linux/mountinfo.ts';
import { unmountPath } from '../fuse/linux/unmount.ts';
import type { Transport } from '../fuse/transport.ts';
import { usersOf } from './busy.ts';
import type { Connections } from './connections.ts';
import type { ContentCache } from './content-cache.ts';
import type { MountedFileSystem, MountParts, TransportName } from './mount-parts.ts';
import { deviceOf, prepareMountPoint } from './mount-point.ts';
import { ownLife } from './own-life.ts';
import { isPassedDescriptor } from './passed-descriptor.ts';
import { rightsOf } from './rights.ts';
import type { Surroundings } from './surroundings.ts';

/** How long a name may be out of date against other writers of the bucket, when nobody says. */
const LIST_TTL_MS = 1000;

/** Permission bits that files do not have unless somebody says so: 0644 and 0755 remain. */
const USUAL_UMASK = 0o022;

/** How names and attributes are believed, and what is shown of the whole. */
export type Freshness = Pick<
  Settings,
  'listTtlMs' | 'consistency' | 'posix' | 'capacityBytes' | 'writeBack'
>;

/** Whose tokens, and the leases that are made of them. */
export interface Login {
  readonly tokens: TokenSource;
  readonly connections: Connections;
}

export function createParts(
  { tokens, connections }: Login,
  content: ContentCache,
  freshness: Freshness,
  surroundings: Surroundings,
): MountParts {
  const { listTtlMs = LIST_TTL_MS, consistency = 'ttl', posix = false } = freshness;
  const { capacityBytes, writeBack = 'off' } = freshness;
  const { clock, log, uid, gid, paths } = surroundings;
  return {
    clock,
    log,
    prepare: async (spec, signal) => await prepareMountPoint(spec, paths.runtimeDir, signal),
    attach: async (spec, { path: mountPoint }, signal) => {
      const { readOnly, allowOther, options } = spec;
      const fsName = options?.fsName ?? formatSource(spec.source);
      const transport = await transportOf(spec.transport ?? 'linux');
      const lockFolder = paths.runtimeDir;
      return await transport.attach(
        { ...options, mountPoint, readOnly, allowOther, fsName, lockFolder },
        signal,
      );
    },
    connect: async (spec, signal) => {
      const lease = connections.lease(spec.connection, rightsOf(spec));
      try {
        await lease.check(signal);
        await content.open(tokens, spec.connection.issuer, signal);
        return lease;
      } catch (error) {
        await lease[Symbol.asyncDispose]();
        throw error;
      }
    },
    fileSystem: async (root, spec, point, signal) => {
      const { readOnly, source, options, connection } = spec;
      const stagingDir = join(paths.stateDir, 'staging', folderNameOf(point.path, source));
      const umask = options?.umask ?? USUAL_UMASK;
      const place = `${connection.endpoint} ${formatSource(source)}`;
      const index = await content.openIndex(place, listTtlMs, signal);
      const fileSystem = new ObjectFileSystem({
        root,
        readOnly,
        uid: options?.uid ?? uid,
        gid: options?.gid ?? gid,
        fileMode: 0o666 & ~umask,
        directoryMode: 0o777 & ~umask,
        stagingDir,
        life: await ownLife(tokens, spec, point.path, clock, signal),
        writeBack,
        reading: content.reading(connection.endpoint),
        passthrough: options?.passthrough ?? true,
        index,
        listTtlMs,
        consistency,
        posix,
        capacityBytes,
        clock,
        log,
      });
      // Nobody sees the older state of what an earlier life has accepted.
      await fileSystem.shown;
      return withEnd(fileSystem, index, stagingDir);
    },
    deviceOf,
    usersOf,
    mountAt: async (path) => topMount(await readMountinfo(), path)?.device,
    takeAway: async (path, signal) => await unmountPath(path, 'lazy', signal),
  };
}

/**
 * The same mount point has the same folder, so that what was not saved is found again. Descriptors
 * are numbered alike in every process: there the source tells them apart.
 */
function folderNameOf(mountPoint: string, source: Source): string {
  const place = isPassedDescriptor(mountPoint)
    ? `${mountPoint} ${formatSource(source)}`
    : mountPoint;
  return createHash('sha256').update(place).digest('hex').slice(0, 16);
}

/** The package is loaded only when it is asked for: it is optional, and needs libfuse 2. */
async function transportOf(name: TransportName): Promise<Transport> {
  if (name === 'linux') return linuxTransport;
  const { fuseNativeTransport } = await import('../fuse/fuse-native/transport.ts');
  return fuseNativeTransport;
}

/**
 * Closes the index after the file system, and takes the staging folder away unless something that is
 * not saved lies in it.
 */
function withEnd(
  fileSystem: ObjectFileSystem,
  index: AsyncDisposable | undefined,
  folder: string,
): MountedFileSystem {
  const dispose = fileSystem[Symbol.asyncDispose].bind(fileSystem);
  return Object.assign(fileSystem, {
    [Symbol.asyncDispose]: async () => {
      await dispose();
      await index?.[Symbol.asyncDispose]();
      await rmdir(folder).catch(() => undefined);
    },
  });
}
