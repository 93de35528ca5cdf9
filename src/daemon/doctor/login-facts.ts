/** What is kept of logins, read without making a vault or leaving anything in a keychain. */

import { systemKernelKeyring } from '../../auth/kernel-keyring.ts';
import { keyFileContent } from '../../auth/key-file.ts';
import { systemKeychain } from '../../auth/keychain.ts';
import { vaultFileOf } from '../../auth/open-vault.ts';
import { readSealed } from '../../auth/sealed-vault.ts';
import { systemSystemdCreds } from '../../auth/systemd-creds.ts';
import { WireError } from '../../lib/wire-error.ts';
import { knownLogins } from '../identity.ts';
import type { Surroundings } from '../surroundings.ts';
import type { KeyPlace, VaultFacts } from './login-findings.ts';

/** An account of the keychain and a key of the kernel that nobody has. */
const NOBODY = 'wire-doctor-nobody';

export async function vaultFacts(
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<VaultFacts> {
  const file = vaultFileOf(surroundings.paths.stateDir);
  try {
    const sealed = await readSealed(file);
    if (sealed === undefined) {
      return { file, logins: [], places: await keyPlaces(surroundings, signal) };
    }
    const known = await knownLogins(surroundings, signal);
    return { file, key: sealed.key.kind, places: [], ...known };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof WireError)) throw error;
    return { file, logins: [], places: [], trouble: error };
  }
}

/** In the order in which `auth/open-vault.ts` tries them; a key file that is named is the only one. */
async function keyPlaces(
  { environment, clock }: Surroundings,
  signal: AbortSignal,
): Promise<readonly KeyPlace[]> {
  const { WIRE_KEY_FILE: keyFile = '', WIRE_NO_KEYCHAIN: noKeychain = '' } = environment;
  if (keyFile !== '') {
    return [await placeOf(`the file ${keyFile}`, async () => await keyFileContent(keyFile))];
  }
  const keychain = async (): Promise<void> => {
    if (noKeychain !== '') throw new Error('WIRE_NO_KEYCHAIN is set');
    await systemKeychain(clock).get(NOBODY, signal);
  };
  const creds = async (): Promise<void> => {
    await systemSystemdCreds(clock).encrypt(Buffer.from(NOBODY), signal);
  };
  const keyring = async (): Promise<void> => {
    await Promise.resolve(systemKernelKeyring().read(NOBODY));
  };
  const places = await Promise.all([
    placeOf('the keychain', keychain),
    placeOf('systemd-creds', creds),
    placeOf("the kernel's keyring (until a reboot)", keyring),
  ]);
  signal.throwIfAborted();
  return places;
}

async function placeOf(name: string, attempt: () => Promise<unknown>): Promise<KeyPlace> {
  try {
    await attempt();
    return { name };
  } catch (error) {
    const trouble = error instanceof Error ? error.message : String(error);
    return { name, trouble: trouble.replaceAll(/\s+/g, ' ').slice(0, 120) };
  }
}
