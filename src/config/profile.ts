/** Which profile a command means. */
import { WireError } from '../lib/wire-error.ts';
import type { Config, Profile } from './config.ts';

const noProfile: Profile = { name: '', settings: {}, lines: new Map(), mounts: new Map() };

/**
 * The profile `wanted`; without one the profile named `default`, else the only one there is, else
 * an empty one.
 *
 * @throws WireError `config` when `wanted` is not there.
 */
export function chooseProfile(config: Config, wanted: string | undefined): Profile {
  const { profiles, path } = config;
  if (wanted === undefined || wanted === '') {
    const only = profiles.size === 1 ? [...profiles.values()][0] : undefined;
    return profiles.get('default') ?? only ?? noProfile;
  }
  const profile = profiles.get(wanted);
  if (profile !== undefined) return profile;
  const names = [...profiles.keys()];
  throw new WireError('config', {
    tried: `use profile ${wanted}`,
    answered:
      names.length === 0 ? `${path} has no profiles` : `${path} has only ${names.join(', ')}`,
    next: 'choose one of them or add it there',
  });
}
