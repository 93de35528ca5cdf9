/** The parts of a real mount: the kernel's FUSE, a stored login, STS and S3. */
import { createHash } from 'node:crypto';
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuthContext } from '../auth/login.ts';
import { LoginTokenSource } from '../auth/login-token-source.ts';
import { formatSource } from '../config/source.ts';
import { ObjectFileSystem } from '../fs/object-filesystem.ts';
import { attachMount } from '../fuse/linux/mount.ts';
import { MiB } from '../lib/bytes.ts';
import { createS3Stores } from '../s3/s3-object-stores.ts';
import { RenewingCredentials } from '../sts/renewing-credentials.ts';
import { roleArnOf } from '../sts/role.ts';
import { usersOf } from './busy.ts';
import { Connections, type SharedStores } from './connections.ts';
import type { Connection, MountedFileSystem, MountParts } from './mount-parts.ts';
import { deviceOf, prepareMountPoint } from './mount-point.ts';
import type { Surroundings } from './surroundings.ts';

/** Blocks of objects that a mount keeps in memory. */
const MEMORY_BYTES = 48 * MiB;

/** How long a name may be out of date against other writers of the bucket. */
const LIST_TTL_MS = 1000;

/** What a server's log shows as the name of our session (RoleSessionName, 2 to 64 characters). */
const SESSION_NAME = 'wire';

export function createParts(context: AuthContext, surroundings: Surroundings): MountParts {
  const { clock, log, uid, gid, paths } = surroundings;
  const connections = new Connections((connection) =>
    openStores(connection, context, surroundings),
  );
  return {
    clock,
    log,
    prepare: prepareMountPoint,
    attach: async (spec, { path: mountPoint }, signal) => {
      const { readOnly, allowOther } = spec;
      const fsName = formatSource(spec.source);
      return await attachMount({ mountPoint, readOnly, allowOther, fsName }, signal);
    },
    connect: async (connection, signal) => {
      const lease = connections.lease(connection);
      try {
        await lease.check(signal);
        return lease;
      } catch (error) {
        await lease[Symbol.asyncDispose]();
        throw error;
      }
    },
    fileSystem: (root, { readOnly }, point) => {
      const stagingDir = join(paths.stateDir, 'staging', folderNameOf(point.path));
      const fileSystem = new ObjectFileSystem({
        root,
        readOnly,
        uid,
        gid,
        fileMode: 0o644,
        directoryMode: 0o755,
        stagingDir,
        memoryBytes: MEMORY_BYTES,
        listTtlMs: LIST_TTL_MS,
        clock,
        log,
      });
      return withoutEmptyFolder(fileSystem, stagingDir);
    },
    deviceOf,
    usersOf,
  };
}

function openStores(
  connection: Connection,
  context: AuthContext,
  { clock, log }: Surroundings,
): SharedStores {
  const { issuer, audience, endpoint, stsEndpoint, region, role, durationSeconds } = connection;
  const tokens = new LoginTokenSource({
    issuer,
    context,
    ...(audience !== undefined && { audience }),
  });
  const credentials = new RenewingCredentials({
    tokens,
    endpoint: stsEndpoint,
    sessionName: SESSION_NAME,
    clock,
    random: Math.random,
    log,
    ...(role !== undefined && { roleArn: roleArnOf(role) }),
    ...(durationSeconds !== undefined && { durationSeconds }),
  });
  const stores = createS3Stores({ endpoint, region, credentials, clock, log });
  return {
    stores,
    get credentialsUntilMs() {
      return credentials.state.expiresAtMs;
    },
    get degraded() {
      return credentials.state.degraded;
    },
    check: async (signal) => {
      await credentials.credentials(signal);
    },
    [Symbol.asyncDispose]: async () => {
      await stores[Symbol.asyncDispose]();
      await credentials[Symbol.asyncDispose]();
    },
  };
}

/** The same mount point has the same folder, so that what was not saved is found again. */
function folderNameOf(mountPoint: string): string {
  return createHash('sha256').update(mountPoint).digest('hex').slice(0, 16);
}

/** Takes the staging folder away at the end, unless something that is not saved lies in it. */
function withoutEmptyFolder(fileSystem: ObjectFileSystem, folder: string): MountedFileSystem {
  const dispose = fileSystem[Symbol.asyncDispose].bind(fileSystem);
  return Object.assign(fileSystem, {
    [Symbol.asyncDispose]: async () => {
      await dispose();
      await rmdir(folder).catch(() => undefined);
    },
  });
}
