/** What the front of the playground's IAM asks of a dialect. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Parts of an IAM that are counted, and that can be made to fail, by themselves. */
export const iamEndpoints = [
  'discovery',
  'jwks',
  'device',
  'token',
  'userinfo',
  'introspection',
  'revocation',
  'registration',
  'authorization',
  'page',
] as const;
export type IamEndpoint = (typeof iamEndpoints)[number];

export interface DialectServer {
  /** `page` for everything that is none of the protocol's. */
  endpointOf(path: string): IamEndpoint;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** All refresh tokens have expired as of now. */
  expireRefreshTokens(): void;
  /** All refresh and access tokens are revoked as of now. */
  revokeAll(): void;
  /** Forgets a registered client with all that it was given, as an administrator may. */
  deleteClient(clientId: string): void;
}
