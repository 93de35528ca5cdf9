/** Signing keys of the playground's IAM. The newest one signs; older ones may stay published. */
import { randomUUID } from 'node:crypto';
import {
  type CryptoKey,
  compactVerify,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { selfSignedCertificate } from './certificate.ts';

interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly privateJwk: JWK;
  readonly publicJwk: JWK;
}

export class SigningKeys {
  readonly #withCertificate: boolean;
  #keys: readonly [SigningKey, ...SigningKey[]];

  private constructor(first: SigningKey, withCertificate: boolean) {
    this.#keys = [first];
    this.#withCertificate = withCertificate;
  }

  static async create(withCertificate: boolean): Promise<SigningKeys> {
    return new SigningKeys(await createKey(withCertificate), withCertificate);
  }

  /** Signs with a new key from now on; the old ones stay published if `keepOld`. */
  async rotate(keepOld: boolean): Promise<void> {
    const key = await createKey(this.#withCertificate);
    this.#keys = keepOld ? [key, ...this.#keys] : [key];
  }

  /** The published set. */
  get publicJwks(): readonly JWK[] {
    return this.#keys.map((key) => key.publicJwk);
  }

  /** The signing key with its private part. */
  get privateJwk(): JWK {
    return this.#keys[0].privateJwk;
  }

  async sign(claims: JWTPayload, typ?: string): Promise<string> {
    const [key] = this.#keys;
    const header = { alg: 'RS256', kid: key.kid, ...(typ !== undefined && { typ }) };
    return await new SignJWT(claims).setProtectedHeader(header).sign(key.privateKey);
  }

  /** The claims, if one of our keys signed them; expired or not. */
  async open(token: string): Promise<JWTPayload | undefined> {
    try {
      const { kid } = decodeProtectedHeader(token);
      const key = this.#keys.find((candidate) => candidate.kid === kid);
      if (key === undefined) return undefined;
      const { payload } = await compactVerify(token, key.publicKey);
      return JSON.parse(new TextDecoder().decode(payload)) as JWTPayload;
    } catch {
      return undefined;
    }
  }
}

async function createKey(withCertificate: boolean): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const kid = `playground-${randomUUID().slice(0, 8)}`;
  const facts = { kid, alg: 'RS256', use: 'sig' };
  const certificate = withCertificate
    ? { x5c: [(await selfSignedCertificate(privateKey, publicKey)).toString('base64')] }
    : {};
  return {
    kid,
    privateKey,
    publicKey,
    privateJwk: { ...(await exportJWK(privateKey)), ...facts },
    publicJwk: { ...(await exportJWK(publicKey)), ...facts, ...certificate },
  };
}
