/** What a report says of the machine, its settings and its mounts. */
import { access, readdir, readFile } from 'node:fs/promises';
import { availableParallelism, freemem, release, totalmem, uptime } from 'node:os';
import type { Paths } from '../../config/paths.ts';
import type { Environment } from '../../config/settings.ts';
import { MOUNT_TYPE } from '../../fuse/linux/mount-options.ts';
import { formatBytes } from '../../lib/bytes.ts';
import { REDACTED } from '../../lib/secret-shapes.ts';
import { mountOf, parseMounts } from '../doctor/mount-table.ts';
import { isSecretVariable } from '../private-environment.ts';
import type { Surroundings } from '../surroundings.ts';

export async function systemFacts({ version, paths, uid, gid }: Surroundings): Promise<unknown> {
  const { arch, platform, versions, execArgv } = process;
  return {
    wire: version,
    node: versions.node,
    nodeOptions: execArgv,
    platform: `${platform}-${arch}`,
    kernel: release(),
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec(await textOf('/etc/os-release'))?.[1],
    libc: (await hasMusl()) ? 'musl' : 'glibc',
    container: await containerMarks(),
    processors: availableParallelism(),
    memory: `${formatBytes(freemem())} of ${formatBytes(totalmem())} free`,
    upForSeconds: Math.round(uptime()),
    ids: { uid, gid },
    limits: (await textOf('/proc/self/limits'))
      .split('\n')
      .filter((line) => /^Max (?:open|proc|locked|core)/.test(line)),
    cgroup: (await textOf('/proc/self/cgroup')).trim().split('\n'),
    paths,
  };
}

/** Its loader lies there (musl, "Functional differences from glibc"). */
async function hasMusl(): Promise<boolean> {
  const names = await readdir('/lib').catch(() => []);
  return names.some((name) => name.startsWith('ld-musl-'));
}

/** Files by which container runtimes mark what runs in them. */
async function containerMarks(): Promise<readonly string[]> {
  const marks = ['/.dockerenv', '/run/.containerenv', '/run/secrets/kubernetes.io'];
  const there = await Promise.all(
    marks.map(
      async (path) =>
        await access(path).then(
          () => [path],
          () => [],
        ),
    ),
  );
  return there.flat();
}

/** Names that wire, its libraries or Node look at. */
const meaningful =
  /^(?:WIRE_|IAM_|AWS_|X509_|SSL_|XDG_|OIDC_|MYTOKEN|BEARER_|JUPYTER|NODE_|UV_|LC_|JPY_)|^(?:ACCESS_TOKEN|REFRESH_TOKEN|HOME|PATH|LANG|TERM|NO_COLOR|USER|LOGNAME|SHELL|TMPDIR|DISPLAY|WAYLAND_DISPLAY|SSH_CONNECTION|CI|container|KUBERNETES_SERVICE_HOST|DBUS_SESSION_BUS_ADDRESS|INVOCATION_ID|NOTIFY_SOCKET)$|_proxy$/i;

/** Pure. Of what holds a secret, that it is set. */
export function environmentFacts(environment: Environment): Readonly<Record<string, string>> {
  const entries = Object.entries(environment)
    .filter(
      (entry): entry is [string, string] => entry[1] !== undefined && meaningful.test(entry[0]),
    )
    .map(([name, value]): [string, string] => [
      name,
      isSecretVariable(name, value) ? REDACTED : value,
    ]);
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** As the kernel writes them: mounts of wire, then what each folder of wire lies on. */
export async function mountLines({ stateDir, runtimeDir, cacheDir }: Paths): Promise<string> {
  const text = await textOf('/proc/self/mountinfo');
  const mounts = parseMounts(text);
  const own = text.split('\n').filter((line) => line.includes(` - ${MOUNT_TYPE} `));
  const disks = [stateDir, runtimeDir, cacheDir].map((path) => {
    const mount = mountOf(path, mounts);
    const on =
      mount === undefined
        ? '?'
        : `${mount.type} (${mount.options.join(',')}) at ${mount.mountPoint}`;
    return `${path}: ${on}`;
  });
  return [...own, '', ...disks, ''].join('\n');
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '');
}
