/**
 * A self-signed X.509 certificate (RFC 5280) for an RSA key, written in DER by hand: Node can read
 * certificates but not make them. Ceph RGW takes the key of a provider only from `x5c`.
 */
import { randomBytes } from 'node:crypto';
import type { CryptoKey } from 'jose';

/** ASN.1 tags (X.690) that a certificate needs. */
const tag = { integer: 0x02, bitString: 0x03, oid: 0x06, utf8: 0x0c, sequence: 0x30, set: 0x31 };
const GENERALIZED_TIME = 0x18;
const EXPLICIT_0 = 0xa0;

/** 2.5.4.3, common name. */
const COMMON_NAME = Buffer.from('550403', 'hex');
/** 1.2.840.113549.1.1.11, sha256WithRSAEncryption, with its NULL parameter. */
const SHA256_WITH_RSA = Buffer.from('300d06092a864886f70d01010b0500', 'hex');

/** DER of a certificate that is valid from 2020 to 2099. */
export async function selfSignedCertificate(
  privateKey: CryptoKey,
  publicKey: CryptoKey,
): Promise<Buffer> {
  const name = der(
    tag.sequence,
    der(tag.set, der(tag.sequence, der(tag.oid, COMMON_NAME), text(tag.utf8, 'wire playground'))),
  );
  const validity = der(
    tag.sequence,
    text(GENERALIZED_TIME, '20200101000000Z'),
    text(GENERALIZED_TIME, '20991231235959Z'),
  );
  const version3 = der(EXPLICIT_0, der(tag.integer, Buffer.of(2)));
  // The first bit of a serial number must be clear: serials are positive.
  const serial = der(tag.integer, Buffer.concat([Buffer.of(1), randomBytes(15)]));
  const spki = Buffer.from(await crypto.subtle.exportKey('spki', publicKey));
  const body = der(tag.sequence, version3, serial, SHA256_WITH_RSA, name, validity, name, spki);
  const signature = Buffer.from(await crypto.subtle.sign('RSASSA-PKCS1-v1_5', privateKey, body));
  const bits = der(tag.bitString, Buffer.concat([Buffer.of(0), signature]));
  return der(tag.sequence, body, SHA256_WITH_RSA, bits);
}

function text(type: number, value: string): Buffer {
  return der(type, Buffer.from(value, 'utf8'));
}

/** Tag, length, content. Lengths here fit two bytes. */
function der(type: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(type, length), content]);
  if (length < 0x100) return Buffer.concat([Buffer.of(type, 0x81, length), content]);
  return Buffer.concat([Buffer.of(type, 0x82, length >> 8, length & 0xff), content]);
}
