/** The AWS SDK's client, set so that nothing but our options decides what it does. */
import type { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { S3, S3ClientConfig } from '@aws-sdk/client-s3';
import type { Credentials } from '../sts/credential-source.ts';
import type { Addressing } from './s3-route.ts';

export interface ClientOptions {
  readonly endpoint: string;
  readonly region: string;
  readonly addressing?: Addressing;
  /** The one who asks pays, also for a bucket that is not theirs. */
  readonly requesterPays?: boolean;
  readonly userAgent?: string;
}

/** How patient a client is, in ms. */
export interface Patience {
  /** For a connection to come about. */
  readonly connectMs: number;
  /** For something to move on it. */
  readonly silenceMs: number;
}

/** Read by the SDK when a client is made; its notice is about Node 20, not about the user's doing. */
const NOTICE_VARIABLE = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';

/** Takes what the SDK would print: every failure reaches us as an error as well. */
const quiet = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * A client that signs with `credentials`, connects through `agent` and gives a connection up by
 * `patience`. The SDK is loaded here, so that a command which needs no
 * store starts without it.
 */
export async function createClient(
  options: ClientOptions,
  agent: HttpAgent | HttpsAgent,
  credentials: Credentials,
  patience: Patience,
): Promise<S3> {
  const { S3 } = await import('@aws-sdk/client-s3');
  const client = withoutNotice(() => new S3(configOf(options, agent, credentials, patience)));
  if (options.requesterPays === true) {
    client.middlewareStack.add(
      (next) => async (args) => {
        const { headers } = args.request as { headers: Record<string, string> };
        headers['x-amz-request-payer'] = 'requester';
        return await next(args);
      },
      { step: 'build', name: 'requesterPays' },
    );
  }
  return client;
}

function configOf(
  { endpoint, region, addressing = 'path', userAgent }: ClientOptions,
  agent: HttpAgent | HttpsAgent,
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
  { connectMs, silenceMs }: Patience,
): S3ClientConfig {
  const token = sessionToken.reveal();
  return {
    endpoint,
    region,
    forcePathStyle: addressing === 'path',
    credentials: {
      accessKeyId,
      secretAccessKey: secretAccessKey.reveal(),
      ...(token === '' ? {} : { sessionToken: token }),
    },
    // Our own loop retries (retry.ts), and Content-MD5 guards what is sent: every dialect checks it.
    maxAttempts: 1,
    retryMode: 'standard',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // A round trip more for each part of an upload.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: connectMs,
      socketTimeout: silenceMs,
      logger: quiet,
      ...(agent instanceof HttpsAgent ? { httpsAgent: agent } : { httpAgent: agent }),
    },
    logger: quiet,
    ...(userAgent === undefined ? {} : { customUserAgent: userAgent }),
    // Said here, or the SDK would look for them in ~/.aws and the environment.
    defaultsMode: 'standard',
    authSchemePreference: ['sigv4'],
    sigv4aSigningRegionSet: [region],
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    disableS3ExpressSessionAuth: true,
  };
}

/** Runs `make` with the SDK's notice switched off, and leaves the environment as it was. */
function withoutNotice<T>(make: () => T): T {
  const before = process.env[NOTICE_VARIABLE];
  process.env[NOTICE_VARIABLE] = 'true';
  try {
    return make();
  } finally {
    if (before === undefined) Reflect.deleteProperty(process.env, NOTICE_VARIABLE);
    else process.env[NOTICE_VARIABLE] = before;
  }
}
