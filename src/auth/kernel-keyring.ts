/**
 * The kernel's user keyring (keyrings(7)): never on a disk, for every process of this user, and
 * gone at a reboot or when the user's last process has ended. Good for notebooks and batch nodes,
 * where there is no desktop. Container runtimes forbid its system calls more often than not.
 */
import { constants } from 'node:os';

import { loadAddon } from '../lib/native-addon.ts';

export interface KernelKeyring {
  /** @throws Error when the kernel refuses. */
  add(name: string, value: Buffer): void;
  /** Undefined when there is no such key, or none any more. @throws Error when the kernel refuses. */
  read(name: string): Buffer | undefined;
}

/** What of the addon is used here; see native/linux/keyring.h. */
interface KeyringAddon {
  keyringAdd(name: string, value: Uint8Array): number;
  keyringRead(name: string, into: Uint8Array): number;
}

/** A key is 32 bytes; what is longer is not ours. */
const MAX_BYTES = 256;
/** ENOKEY, EKEYEXPIRED, EKEYREVOKED of Linux `asm-generic/errno.h`, which Node does not name. */
const GONE: ReadonlySet<number> = new Set([126, 127, 128]);

/** @throws Error from each call where the addon does not load, or is of another system. */
export function systemKernelKeyring(): KernelKeyring {
  return {
    add: (name, value) => {
      const result = addon().keyringAdd(name, value);
      if (result < 0) throw refusal(-result);
    },
    read: (name) => {
      const into = Buffer.alloc(MAX_BYTES);
      const length = addon().keyringRead(name, into);
      if (GONE.has(-length)) return undefined;
      if (length < 0) throw refusal(-length);
      return into.subarray(0, length);
    },
  };
}

function addon(): KeyringAddon {
  if (process.platform !== 'linux') throw new Error('this system has none');
  return loadAddon() as KeyringAddon;
}

function refusal(errno: number): Error {
  const names = Object.entries(constants.errno);
  const name = names.find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`;
  return new Error(`the kernel says ${name}`);
}
