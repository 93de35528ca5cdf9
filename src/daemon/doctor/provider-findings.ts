/** Whether the identity provider offers what a login needs, and still knows our client. Pure. */
import type { WireError } from '../../lib/wire-error.ts';
import { type Finding, findingsOf } from './finding.ts';

export interface ProviderFacts {
  readonly url: string;
  readonly trouble?: WireError;
  /** By its discovery document. */
  readonly offers?: ProviderOffers;
  /** Keys that tokens are signed with; undefined when they could not be read. */
  readonly keys?: { readonly count: number; readonly withCertificates: number };
  readonly keysTrouble?: string;
  /** There is a login here, so that nothing need be registered. */
  readonly hasClient: boolean;
}

export interface ProviderOffers {
  readonly device: boolean;
  readonly browser: boolean;
  readonly registration: boolean;
  readonly revocation: boolean;
  /** Whether refresh tokens can be asked for; undefined when it does not list its scopes. */
  readonly offline: boolean | undefined;
}

const make = findingsOf('provider');

export function providerFindings(facts: ProviderFacts): readonly Finding[] {
  const { url, trouble, offers } = facts;
  if (trouble !== undefined || offers === undefined) {
    const error = trouble;
    if (error === undefined) return [make.note(`nothing is known of ${url}`)];
    return [make.refused(error)];
  }
  const findings = [...loginWays(facts, offers), ...keyFindings(facts)];
  if (offers.offline === false) {
    const seen = 'it lists no scope offline_access: a login may end with its first access token';
    findings.push(make.note(seen, 'ask whoever runs the provider for refresh tokens'));
  }
  if (!offers.revocation) {
    const seen = 'it revokes no tokens: wire logout only forgets a login';
    findings.push(make.note(seen, 'end logins on the pages of the provider'));
  }
  const worse = findings.filter(({ level }) => level !== 'ok');
  return worse.length === 0 ? [make.ok(`${url} answers, and ${waysOf(offers)}`)] : worse;
}

function loginWays({ hasClient }: ProviderFacts, offers: ProviderOffers): readonly Finding[] {
  if (!offers.device && !offers.browser) {
    const fix = 'ask whoever runs the provider for the device flow, or take a token from elsewhere';
    return [make.failure('unsupported', 'it offers neither codes nor a browser for a login', fix)];
  }
  if (!offers.device) {
    return [make.note('it knows no login by a code', 'log in with --flow browser')];
  }
  if (!offers.registration && !hasClient) {
    const fix = 'have a client registered by hand and pass it with --client-id';
    return [make.warning('it lets no program register itself', fix)];
  }
  return [];
}

function keyFindings({ keys, keysTrouble }: ProviderFacts): readonly Finding[] {
  if (keysTrouble !== undefined) {
    const fix = 'ask whoever runs the provider: without its keys no store can check a token';
    return [make.failure('config', `its keys cannot be read: ${keysTrouble}`, fix)];
  }
  if (keys === undefined) return [];
  if (keys.count === 0) {
    const fix = 'ask whoever runs the provider: without its keys no store can check a token';
    return [make.failure('config', 'it publishes no keys', fix)];
  }
  if (keys.withCertificates > 0) return [];
  const seen = 'its keys come without certificates (x5c), which Ceph RGW 16 and older need';
  return [make.note(seen, 'if the store is one of those, have the provider publish them')];
}

function waysOf({ device, browser, registration }: ProviderOffers): string {
  const ways = [...(device ? ['codes'] : []), ...(browser ? ['a browser'] : [])].join(' and ');
  return `takes logins by ${ways}${registration ? ', and registers programs' : ''}`;
}

/** What is known of the client that wire is at the provider. */
export interface ClientFacts {
  readonly id: string;
  /** Wire registered it, and may delete it. */
  readonly registered: boolean;
  /** Undefined when the provider does not tell. */
  readonly known: boolean | undefined;
  /** Asked for and struck out by the provider. */
  readonly missingScopes: readonly string[];
}

const makeClient = findingsOf('client');

export function clientFindings(facts: ClientFacts, issuer: string): readonly Finding[] {
  const { id, registered, known, missingScopes } = facts;
  const whose = registered ? 'which wire registered' : 'which was given';
  if (known === false) {
    const fix = registered
      ? `log in again, which registers a new one: wire login ${issuer}`
      : 'check --client-id, or leave it out';
    const seen = `the provider does not know the client ${id} any more, ${whose}`;
    return [makeClient.failure('identity-refused', seen, fix)];
  }
  const findings: Finding[] = [];
  if (missingScopes.length > 0) {
    const seen = `the client may not ask for: ${missingScopes.join(' ')}`;
    findings.push(makeClient.note(seen, 'have it allowed at the provider, if it is needed'));
  }
  if (findings.length > 0) return findings;
  const told = known === undefined ? '; the provider does not tell whether it still knows it' : '';
  return [makeClient.ok(`the client is ${id}, ${whose}${told}`)];
}
