/** What the page shows and does, by the daemon and in the words of the commands. */
import { encode } from 'uqr';
import type { Profile } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { OptionName, Settings } from '../config/options.ts';
import { chooseProfile } from '../config/profile.ts';
import type { Flags } from '../config/settings.ts';
import { formatSource } from '../config/source.ts';
import type { Daemon } from '../daemon/daemon.ts';
import type { AskedLogin, OfferedProfile, PageHost, QrPicture } from '../daemon/ui/page-host.ts';
import { formatBytes } from '../lib/bytes.ts';
import { loginInput } from './commands/login.ts';
import { describeLogout, logoutNotes } from './commands/logout.ts';
import { type CommandContext, settingsOf } from './context.ts';
import { describeLogin } from './login-view.ts';
import { mountInBackground } from './ui-mount.ts';

/** What was said to `wire ui`, and holds for what is done on its page. */
export interface UiFlags {
  readonly profile: string | undefined;
  readonly flags: Flags;
}

export function createHost(
  { profile: usual, flags }: UiFlags,
  daemon: Daemon,
  context: CommandContext,
): PageHost {
  const { clock } = context;
  const settingsFor = async (profile?: string, more: Flags = {}): Promise<Settings> =>
    (await settingsOf(profile ?? usual, { ...flags, ...more }, context)).settings;
  return {
    status: async (signal) => await daemon.status(signal),
    statusAgain: async (before, signal) => await daemon.statusAgain(before, signal),
    listLeft: async (signal) => await daemon.listLeft(signal),
    cacheUsage: async (signal) => await daemon.cacheUsage(await settingsFor(), signal),
    profiles: async (signal) => await offeredProfiles(usual, context, signal),
    qr: qrPicture,
    logIn: async (asked, events, signal) => {
      const settings = await settingsFor(asked.profile, flagsOf(asked));
      const input = loginInput(asked.issuer, settings, { flow: 'device' });
      // How servers are reached may be another matter in another profile.
      const asker = await context.daemonOf(settings);
      const login = await asker.login(input, events, signal);
      context.log.info('logged in', { issuer: login.issuer, storedIn: login.storedIn });
      return [describeLogin(login, clock.now()), `Kept in ${login.storedIn}`];
    },
    logOut: async (issuer, forgetClient, signal) => {
      const done = await daemon.logout(issuer, forgetClient, signal);
      return [describeLogout(done), ...logoutNotes(done, clock.now())];
    },
    mount: async (asked, signal) => {
      const named = asked.profile ?? usual;
      const withProfile = named === undefined ? asked : { ...asked, profile: named };
      return await mountInBackground(withProfile, flags, context, signal);
    },
    unmount: async (mountPoint, lazy, progress, signal) => {
      await daemon.unmount(mountPoint, lazy, progress, signal);
      return [`Unmounted ${mountPoint}`];
    },
    refresh: async (mountPoint, signal) => {
      await daemon.files('refresh', mountPoint, () => undefined, signal);
      return [`${mountPoint}: forgotten; asked again when it is used`];
    },
    clearCache: async (signal) => {
      const { folder, bytes } = await daemon.clearCache(await settingsFor(), signal);
      return [`Cleared ${formatBytes(bytes)} from ${folder}`];
    },
  };
}

function flagsOf({ audience, scopes, clientId }: AskedLogin): Partial<Record<OptionName, string>> {
  return {
    ...(audience !== undefined && { audience }),
    ...(scopes !== undefined && { scopes }),
    ...(clientId !== undefined && { clientId }),
  };
}

async function offeredProfiles(
  usual: string | undefined,
  { paths, environment }: CommandContext,
  signal: AbortSignal,
): Promise<readonly OfferedProfile[]> {
  const config = await loadConfig(paths.configFile, paths.configFileNamed, paths.home, signal);
  const used = chooseProfile(config, usual ?? environment['WIRE_PROFILE']).name;
  return [...config.profiles.values()].map((profile) => offered(profile, profile.name === used));
}

function offered({ name, settings, mounts }: Profile, used: boolean): OfferedProfile {
  const { issuer, endpoint, audience, role } = settings;
  return {
    name,
    used,
    ...(issuer !== undefined && { issuer }),
    ...(endpoint !== undefined && { endpoint }),
    ...(audience !== undefined && { audience }),
    ...(role !== undefined && { role }),
    mounts: [...mounts.values()].map(({ source, ...entry }) => {
      return { ...entry, source: formatSource(source) };
    }),
  };
}

/** Modules around it that stay light, for readers (ISO/IEC 18004). */
const QUIET_MODULES = 4;
/** What fits into a code that a phone can read from a screen. */
const MAX_QR_CHARS = 500;

function qrPicture(text: string): QrPicture | undefined {
  if (text.length > MAX_QR_CHARS) return undefined;
  const { size, data } = encode(text, { ecc: 'L', border: QUIET_MODULES });
  const dark = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [[x, y]] : [])));
  return { size, path: dark.map(([x = 0, y = 0]) => `M${x} ${y}h1v1h-1z`).join('') };
}
