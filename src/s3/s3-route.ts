/**
 * How the buckets of an endpoint are addressed: what was set, and what its answers have taught.
 * Learnt once, and remembered for all requests that follow.
 */
import { isIP } from 'node:net';
import { withoutBrackets } from '../lib/host-name.ts';
import { encodePath } from './s3-encoding.ts';
import type { S3Failure } from './s3-errors.ts';

/** Where the name of the bucket goes: into the path, or before the host name. */
export type Addressing = 'path' | 'virtual';

export interface RouteOptions {
  readonly endpoint: string;
  readonly region: string;
  /** Default 'path'; 'auto': path, until the server says that it must be otherwise. */
  readonly addressing?: Addressing | 'auto';
}

export interface Address {
  readonly host: string;
  readonly path: string;
}

/** Codes by which a server that wants the other style, or another region, answers. */
const styleCodes = new Set(['PermanentRedirect', 'TemporaryRedirect', 'InvalidRequest']);
const regionCodes = new Set([
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
]);
const regionName = /^[a-z0-9-]{1,63}$/;

/** What requests are made by at a moment; another object whenever something was learnt. */
export interface RouteState {
  readonly region: string;
  readonly addressing: Addressing;
}

export class S3Route {
  readonly #base: URL;
  readonly #basePath: string;
  #state: RouteState;
  #mayLearnRegion = true;
  #mayLearnStyle: boolean;

  constructor({ endpoint, region, addressing = 'path' }: RouteOptions) {
    this.#base = new URL(endpoint);
    this.#basePath = this.#base.pathname.replace(/\/+$/, '');
    this.#state = { region, addressing: addressing === 'virtual' ? 'virtual' : 'path' };
    // No name goes before an address.
    const named = isIP(withoutBrackets(this.#base.hostname)) === 0;
    this.#mayLearnStyle = addressing === 'auto' && named;
  }

  get state(): RouteState {
    return this.#state;
  }

  /** Where all buckets are. */
  get root(): Address {
    return { host: this.#base.host, path: `${this.#basePath}/` };
  }

  addressOf(bucket: string, key: string, { addressing }: RouteState): Address {
    const { host } = this.#base;
    const path = `/${encodePath(key)}`;
    if (addressing === 'virtual') {
      return { host: `${bucket}.${host}`, path: this.#basePath + path };
    }
    return { host, path: `${this.#basePath}/${encodePath(bucket)}${path}` };
  }

  /**
   * Whether the request that was made by `sent` and met `failure` may be done now, because of what
   * its answer or another's has taught.
   */
  learn({ status, code, region }: S3Failure, sent: RouteState): boolean {
    const redirects = status !== undefined && status >= 300 && status < 400;
    const aboutRegion = redirects || regionCodes.has(code);
    const aboutStyle = redirects || styleCodes.has(code);
    if (this.#state !== sent) return aboutRegion || aboutStyle;
    const known = region !== undefined && region !== sent.region && regionName.test(region);
    if (aboutRegion && known && this.#mayLearnRegion) {
      this.#mayLearnRegion = false;
      this.#state = { ...sent, region };
      return true;
    }
    if (!aboutStyle || !this.#mayLearnStyle) return false;
    this.#mayLearnStyle = false;
    this.#state = { ...sent, addressing: 'virtual' };
    return true;
  }
}
