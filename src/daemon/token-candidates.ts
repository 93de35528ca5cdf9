/** The links of the chain of token sources, with what this process has for each. */
import { tmpdir } from 'node:os';

import { LoginTokenSource } from '../auth/login-token-source.ts';
import { lookForHub } from '../auth/sources/hub-environment.ts';
import { lookForMytoken } from '../auth/sources/mytoken.ts';
import { lookForTokenFile, lookForWebIdentity } from '../auth/sources/named-file.ts';
import { lookForAgent } from '../auth/sources/oidc-agent.ts';
import { type Candidate, type Finding, notThere, type Wanted } from '../auth/sources/source.ts';
import { lookForWlcgToken } from '../auth/sources/wlcg.ts';
import { LostKey } from '../auth/vault-key.ts';
import type { Settings } from '../config/options.ts';
import { type TokenSourceName, tokenSourceNames } from '../config/values.ts';
import { WireError } from '../lib/wire-error.ts';
import { requireIssuer } from './identity.ts';
import type { Surroundings } from './surroundings.ts';

/** Where WLCG Bearer Token Discovery looks last, whatever TMPDIR says. */
const SHARED_FOLDER = '/tmp';

/** In the order in which they are looked at. */
export function tokenCandidates(
  settings: Settings,
  wanted: Wanted,
  surroundings: Surroundings,
): readonly Candidate[] {
  const { environment, uid, clock, log, http, paths } = surroundings;
  const euid = process.geteuid?.() ?? uid;
  const files = { environment, euid, clock };
  const { tokenFile, oidcAgent: account, mytokenServer: server, mytokenFile: file } = settings;
  const looks: Readonly<Record<TokenSourceName, Candidate['look']>> = {
    file: async () => await lookForTokenFile(tokenFile, files),
    login: async (signal) => await lookForLogin(wanted, surroundings, signal),
    wlcg: async () => await lookForWlcgToken({ ...files, sharedFolder: SHARED_FOLDER }),
    'web-identity': async () => await lookForWebIdentity(files),
    hub: async (signal) => {
      const facts = { environment, stateDir: paths.stateDir, clock, log, http };
      return await lookForHub(facts, wanted, signal);
    },
    'oidc-agent': async (signal) => {
      const facts = { ...files, temporaryFolder: tmpdir(), account };
      return await lookForAgent(facts, wanted, signal);
    },
    mytoken: async () => await lookForMytoken({ server, file, clock, log, http }, wanted),
  };
  return tokenSourceNames.map((name) => ({ name, look: looks[name] }));
}

/** What `wire login` keeps. @throws WireError when the vault cannot be opened, or has several. */
export async function lookForLogin(
  wanted: Wanted,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    const { issuer, context } = await requireIssuer(wanted.issuer, surroundings, signal);
    const { audience, scopes } = wanted;
    const tokens = new LoginTokenSource({
      issuer,
      context,
      ...(audience !== undefined && { audience }),
      ...(scopes !== undefined && { scopes }),
    });
    const source = {
      place: `the login at ${issuer}`,
      issuer,
      tokens,
      fixed: false,
      notes: [],
      grant: async (until: AbortSignal) => (await context.vault.load(issuer, until))?.grant,
    };
    return { there: true, source };
  } catch (error) {
    // Nobody logged in is nothing there; a vault that lost its key is something broken.
    const nobody = error instanceof WireError && error.kind === 'login-expired';
    if (!nobody || error instanceof LostKey) throw error;
    const where = wanted.issuer === undefined ? '' : ` at ${wanted.issuer}`;
    return notThere(`nobody is logged in${where}`);
  }
}
