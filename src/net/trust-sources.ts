/** Where certificates of CAs are looked for besides Node's own list. Pure. */
import { delimiter } from 'node:path';
import type { Environment } from './proxy-choice.ts';

/** How strictly a source is taken. */
export type Strictness =
  /** Named for programs such as this one: it must be good. */
  | 'must-be-good'
  /** Node warns by itself and goes on, and so does wire. */
  | 'may-be-bad'
  /** The usual place of grid machines: used when there. */
  | 'may-be-absent';

export interface TrustSource {
  /** What names it: `--ca` or a variable. */
  readonly name: string;
  /** A PEM or DER file, or a folder. */
  readonly path: string;
  readonly strictness: Strictness;
}

/** Of the IGTF's CA packages (Debian: igtf-policy-classic and others). */
export const GRID_CERTIFICATES = '/etc/grid-security/certificates';

/**
 * All of them are trusted together. X509_CERT_DIR stands in for the usual grid folder, as for the
 * grid's own tools; SSL_CERT_DIR may list several (`SSL_CTX_load_verify_locations(3)`).
 */
export function trustSources(
  ca: string | undefined,
  environment: Environment,
  gridFolder: string,
): readonly TrustSource[] {
  const named = (name: string, strictness: Strictness = 'must-be-good'): TrustSource[] => {
    const value = environment[name] ?? '';
    const paths = name === 'SSL_CERT_DIR' ? value.split(delimiter) : [value];
    return paths.filter((path) => path !== '').map((path) => ({ name, path, strictness }));
  };
  const grid = named('X509_CERT_DIR');
  const usual = { name: 'the grid', path: gridFolder, strictness: 'may-be-absent' } as const;
  return [
    ...(ca === undefined ? [] : [{ name: '--ca', path: ca, strictness: 'must-be-good' } as const]),
    ...(grid.length > 0 ? grid : [usual]),
    ...named('SSL_CERT_FILE'),
    ...named('SSL_CERT_DIR'),
    ...named('AWS_CA_BUNDLE'),
    ...named('NODE_EXTRA_CA_CERTS', 'may-be-bad'),
  ];
}
