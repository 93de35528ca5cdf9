/** How oidc-provider is set up: features, lifetimes, pages. */
import type { Account, ClientMetadata, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { personClaims } from '../claims.ts';
import type { IamClient } from '../options.ts';
import { escapeHtml, outcomePage, page } from '../pages.ts';
import type { Settings } from '../settings.ts';
import { MemoryAdapter, type MemoryRecords } from './memory-adapter.ts';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** The library's own paths: unlike INDIGO IAM's, so that nobody comes to rely on either. */
export const routes = {
  authorization: '/auth',
  code_verification: '/device',
  device_authorization: '/device/auth',
  introspection: '/token/introspection',
  jwks: '/jwks',
  registration: '/reg',
  revocation: '/token/revocation',
  token: '/token',
  userinfo: '/me',
} as const;

const KNOWN_SCOPES = ['openid', 'profile', 'email', 'offline_access', 'wlcg', 'wlcg.groups'];

const DAY_SECONDS = 86_400;

export function configuration(settings: Settings, records: MemoryRecords): Configuration {
  const { options } = settings;
  return {
    adapter: (model: string) => new MemoryAdapter(records, model),
    clients: (options.clients ?? []).map(toMetadata),
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username', 'groups'],
      email: ['email', 'email_verified'],
    },
    // Lifetimes here are of seconds: the library's default of 15 would double them.
    clockTolerance: 0,
    conformIdTokenClaims: false,
    cookies: { keys: ['playground'] },
    extraParams: ['audience'],
    features: features(options.registration !== 'disabled'),
    findAccount: (_ctx, sub) => findAccount(settings, sub),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    issueRefreshToken: (_ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    // Only the shape matters: replies are signed anew with the current key.
    jwks: { keys: [settings.keys.privateJwk] },
    pkce: { required: () => true },
    responseTypes: ['code'],
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = outcomePage('error', out.error_description ?? out.error);
    },
    rotateRefreshToken: () => settings.rotates,
    routes,
    scopes: KNOWN_SCOPES,
    ttl: timesToLive(settings),
  };
}

/** In seconds; functions, since lifetimes may change while the server runs. */
function timesToLive(settings: Settings): NonNullable<Configuration['ttl']> {
  return {
    AccessToken: () => settings.lifetimes.accessToken,
    AuthorizationCode: 60,
    DeviceCode: () => settings.lifetimes.deviceCode,
    Grant: () => settings.lifetimes.refreshToken + DAY_SECONDS,
    IdToken: () => settings.lifetimes.idToken,
    Interaction: 3600,
    RefreshToken: () => settings.lifetimes.refreshToken,
    Session: DAY_SECONDS,
  };
}

function features(registration: boolean): NonNullable<Configuration['features']> {
  return {
    claimsParameter: { enabled: false },
    devInteractions: { enabled: false },
    deviceFlow: {
      enabled: true,
      charset: 'base-20',
      mask: '****-****',
      userCodeInputSource: (ctx, form, _out, error) => {
        ctx.type = 'html';
        ctx.body = inputPage(form, error);
      },
      userCodeConfirmSource: (ctx, form, client, _device, userCode) => {
        ctx.type = 'html';
        ctx.body = confirmPage(form, client.clientName ?? client.clientId, userCode);
      },
      successSource: (ctx: KoaContextWithOIDC) => {
        ctx.type = 'html';
        ctx.body = outcomePage('approved', 'You can go back to your device.');
      },
    },
    introspection: {
      enabled: true,
      allowedPolicy: (_ctx, client, token) =>
        client.clientAuthMethod !== 'none' || token.clientId === client.clientId,
    },
    registration: { enabled: registration },
    registrationManagement: { enabled: registration, rotateRegistrationAccessToken: false },
    revocation: {
      enabled: true,
      allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
    },
    rpInitiatedLogout: { enabled: false },
    userinfo: { enabled: true },
  };
}

/** `form` is the library's own, with its guard against forged requests. */
function inputPage(form: string, error: unknown): string {
  if (error === undefined) {
    return page('Enter your code', `${form}<button form="op.deviceInputForm">Continue</button>`);
  }
  const isAbort = error instanceof Error && error.name === 'AbortedError';
  return isAbort ? outcomePage('denied', 'You said no.') : outcomePage('error', 'No such code.');
}

function confirmPage(form: string, clientName: string, userCode: string): string {
  return page(
    `Is this your code: ${userCode}?`,
    `<p>${escapeHtml(clientName)} shows it.</p>${form}
<button form="op.deviceConfirmForm">It is mine</button>
<button form="op.deviceConfirmForm" name="abort" value="yes">It is not mine</button>`,
  );
}

/** Nobody, for a disabled person or without the use policy: the library says invalid_grant then. */
function findAccount(settings: Settings, sub: string): Account | undefined {
  const user = settings.people.bySub(sub);
  if (user === undefined || user.disabled === true || user.aupSigned === false) return undefined;
  return {
    accountId: sub,
    claims: (_use, scope) => ({ sub, ...personClaims(user, scope.split(' ')) }),
  };
}

function toMetadata(client: IamClient): ClientMetadata {
  const redirectUris = [...(client.redirectUris ?? [])];
  const hasRedirect = redirectUris.length > 0;
  return {
    client_id: client.clientId,
    client_name: client.name ?? client.clientId,
    application_type: 'native',
    redirect_uris: redirectUris,
    response_types: hasRedirect ? ['code'] : [],
    grant_types: [DEVICE_GRANT, 'refresh_token', ...(hasRedirect ? ['authorization_code'] : [])],
    token_endpoint_auth_method: client.clientSecret === undefined ? 'none' : 'client_secret_basic',
    ...(client.clientSecret !== undefined && { client_secret: client.clientSecret }),
    ...(client.scope !== undefined && { scope: client.scope }),
  };
}
