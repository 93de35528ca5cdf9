/** The discovery document of the `indigo` dialect. */
import { DEVICE_GRANT } from './device-endpoint.ts';
import { REGISTRATION_PATH } from './registration-endpoint.ts';

/** `issuer` ends with a slash. Registration is advertised even when it is disabled. */
export function indigoDiscovery(issuer: string): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}authorize`,
    token_endpoint: `${issuer}token`,
    userinfo_endpoint: `${issuer}userinfo`,
    jwks_uri: `${issuer}jwk`,
    introspection_endpoint: `${issuer}introspect`,
    revocation_endpoint: `${issuer}revoke`,
    device_authorization_endpoint: `${issuer}devicecode`,
    registration_endpoint: `${issuer}${REGISTRATION_PATH.slice(1)}`,
    scopes_supported: ['openid', 'profile', 'email', 'address', 'phone', 'offline_access', 'wlcg'],
    response_types_supported: ['code', 'token'],
    grant_types_supported: [
      'authorization_code',
      'implicit',
      'refresh_token',
      'client_credentials',
      'password',
      'urn:ietf:params:oauth:grant-type:token-exchange',
      DEVICE_GRANT,
    ],
    subject_types_supported: ['public', 'pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'none',
    ],
    code_challenge_methods_supported: ['plain', 'S256'],
  };
}
