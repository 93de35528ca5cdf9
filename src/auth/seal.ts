/** Sealing the vault's state: AES-256-GCM, so that a changed byte is noticed (NIST SP 800-38D). */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** How the sealing key is found again; written in clear beside the sealed state, bound to it. */
export type KeySource =
  | { readonly kind: 'keychain' }
  | { readonly kind: 'key-file' }
  /** `salt` in base64; the key is scrypt of what the file holds. */
  | { readonly kind: 'passphrase'; readonly salt: string }
  /** `credential`: the key as `systemd-creds encrypt` wrote it, base64. */
  | { readonly kind: 'systemd-creds'; readonly credential: string }
  /** `name` of the key in the kernel's user keyring. */
  | { readonly kind: 'kernel-keyring'; readonly name: string }
  | { readonly kind: 'local-file' };

export interface Sealed {
  readonly key: KeySource;
  /** Base64. */
  readonly iv: string;
  /** Base64: cipher text and the 16 bytes of the tag. */
  readonly box: string;
}

const VERSION = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** `text` sealed under `secretKey` (32 bytes), as the bytes of a file. */
export function seal(text: string, secretKey: Buffer, key: KeySource): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', secretKey, iv);
  cipher.setAAD(associated(key));
  const box = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  const fields = { key, iv: iv.toString('base64'), box: box.toString('base64') };
  return `${JSON.stringify({ wireVault: VERSION, ...fields })}\n`;
}

/** @throws Error when the key is another one, or a byte was changed. */
export function unseal(sealed: Sealed, secretKey: Buffer): string {
  const box = Buffer.from(sealed.box, 'base64');
  if (box.length < TAG_BYTES) throw new Error('too short');
  const iv = Buffer.from(sealed.iv, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', secretKey, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(associated(sealed.key));
  decipher.setAuthTag(box.subarray(-TAG_BYTES));
  const text = Buffer.concat([decipher.update(box.subarray(0, -TAG_BYTES)), decipher.final()]);
  return text.toString('utf8');
}

/** @throws Error on anything that `seal` does not write. */
export function parseSealed(text: string): Sealed {
  const json = JSON.parse(text) as Partial<Record<string, unknown>>;
  const { iv, box } = json;
  if (json['wireVault'] !== VERSION) throw new Error('another version');
  if (typeof iv !== 'string' || typeof box !== 'string') throw new Error('fields are missing');
  return { key: parseKeySource(json['key']), iv, box };
}

function parseKeySource(json: unknown): KeySource {
  const { kind, salt, credential, name } = (json ?? {}) as Partial<Record<string, unknown>>;
  if (kind === 'passphrase' && typeof salt === 'string') return { kind, salt };
  if (kind === 'systemd-creds' && typeof credential === 'string') return { kind, credential };
  if (kind === 'kernel-keyring' && typeof name === 'string') return { kind, name };
  if (kind === 'keychain' || kind === 'key-file' || kind === 'local-file') return { kind };
  throw new Error('an unknown key source');
}

/** Purpose, version and key source: a box moved to another use or header does not open. */
function associated(key: KeySource): Buffer {
  return Buffer.from(`wire login vault/${VERSION}/${key.kind}/${particulars(key)}`);
}

function particulars(key: KeySource): string {
  switch (key.kind) {
    case 'passphrase':
      return key.salt;
    case 'systemd-creds':
      return key.credential;
    case 'kernel-keyring':
      return key.name;
    case 'keychain':
    case 'key-file':
    case 'local-file':
      return '';
  }
}
