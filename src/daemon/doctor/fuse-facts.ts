/** What of this machine decides whether one can mount. Nothing is changed, nothing is mounted. */
import { constants } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import { findFusermount } from '../../fuse/linux/fusermount.ts';
import { permitsAllowOther } from '../../fuse/linux/mount-options.ts';
import { DEVICE_PATH } from '../../fuse/linux/mount-point.ts';
import { loadAddon } from '../../lib/native-addon.ts';
import type { DeviceFacts, FuseFacts, HelperFacts } from './fuse-findings.ts';
import { mountOf, readMounts } from './mount-table.ts';

/** Linux `include/uapi/linux/capability.h`. */
const CAP_SYS_ADMIN = 21n;
/** Major and minor of /dev/fuse. */
const FUSE_DEVICE = { major: 10, minor: 229 } as const;

export async function fuseFacts(): Promise<FuseFacts> {
  const status = await readText('/proc/self/status');
  const trouble = addonTrouble();
  return {
    platform: process.platform,
    euid: process.geteuid?.() ?? -1,
    device: await deviceFacts(),
    helper: await helperFacts(),
    noNewPrivs: fieldOf(status, 'NoNewPrivs') === '1',
    maySysAdmin: hasCapability(fieldOf(status, 'CapEff'), CAP_SYS_ADMIN),
    // The first namespace maps every id to itself (user_namespaces(7)).
    inFirstUserNamespace: /^\s*0\s+0\s+4294967295\s*$/.test(await readText('/proc/self/uid_map')),
    userNamespaces: numberIn(await readText('/proc/sys/user/max_user_namespaces')),
    userAllowOther: permitsAllowOther(await readText('/etc/fuse.conf')),
    ...(trouble !== undefined && { addonTrouble: trouble }),
  };
}

function addonTrouble(): string | undefined {
  try {
    loadAddon();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function deviceFacts(): Promise<DeviceFacts | undefined> {
  const found = await stat(DEVICE_PATH).catch(() => undefined);
  if (found === undefined) return undefined;
  const { mode, rdev } = found;
  const isFuse = found.isCharacterDevice() && rdev === deviceNumber(FUSE_DEVICE);
  if (!isFuse) return { isFuse, mode };
  try {
    // Nothing happens until the descriptor is used.
    await (await open(DEVICE_PATH, constants.O_RDWR | constants.O_NONBLOCK)).close();
    return { isFuse, mode };
  } catch (error) {
    return { isFuse, mode, openTrouble: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}

/** As `st_rdev` has it for numbers below 256 (makedev(3)). */
function deviceNumber({
  major,
  minor,
}: {
  readonly major: number;
  readonly minor: number;
}): number {
  return major * 256 + minor;
}

async function helperFacts(): Promise<HelperFacts | undefined> {
  const path = await findFusermount();
  if (path === undefined) return undefined;
  const { uid, mode } = await stat(path);
  const mount = mountOf(path, await readMounts());
  return { path, uid, mode, onNosuid: mount?.options.includes('nosuid') ?? false };
}

function fieldOf(status: string, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1];
}

function hasCapability(mask: string | undefined, capability: bigint): boolean {
  if (mask === undefined || !/^[0-9a-f]+$/.test(mask)) return false;
  return (BigInt(`0x${mask}`) & (1n << capability)) !== 0n;
}

function numberIn(text: string): number | undefined {
  return /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '');
}
