/** From settings to a connection: what must be said, and what follows from what was said. Pure. */
import type { Settings } from '../config/options.ts';
import { WireError } from '../lib/wire-error.ts';
import type { KeepOptions } from '../s3/write-headers.ts';
import { stsEndpointOf } from '../sts/endpoint.ts';
import type { Connection } from './mount-parts.ts';

/** @throws WireError `usage` when there is no endpoint. */
export function connectionOf(settings: Settings, issuer: string, tried = 'mount'): Connection {
  const { endpoint, role, audience, durationSeconds, addressing, requesterPays } = settings;
  const { region = 'us-east-1' } = settings;
  const keep = keepOf(settings, tried);
  if (endpoint === undefined) {
    throw new WireError('usage', {
      tried,
      answered: 'no S3 endpoint is known',
      next: 'say it with --endpoint URL, WIRE_ENDPOINT or `endpoint:` in a profile',
    });
  }
  return {
    issuer,
    endpoint,
    stsEndpoint: settings.stsEndpoint ?? stsEndpointOf(endpoint, region),
    region,
    sessionName: settings.sessionName ?? 'wire',
    expiryWaitMs: (settings.expiryWaitSeconds ?? 30) * 1000,
    narrowed: settings.sessionPolicy ?? true,
    ...(role !== undefined && { role }),
    ...(audience !== undefined && { audience }),
    ...(durationSeconds !== undefined && { durationSeconds }),
    ...(addressing !== undefined && { addressing }),
    ...(requesterPays !== undefined && { requesterPays }),
    ...(keep !== undefined && { keep }),
  };
}

/** Undefined where nothing was said. @throws WireError `usage` for a key that nothing would use. */
function keepOf(settings: Settings, tried: string): KeepOptions | undefined {
  const { encryption, kmsKey, storageClass, acl } = settings;
  if (kmsKey !== undefined && encryption !== 'kms') {
    throw new WireError('usage', {
      tried,
      answered: 'a key of the key service is named, and not that it should be used',
      next: 'say --sse kms as well, or leave --sse-kms-key out',
    });
  }
  const keep: KeepOptions = {
    ...(encryption !== undefined && { encryption }),
    ...(kmsKey !== undefined && { kmsKey }),
    ...(storageClass !== undefined && { storageClass }),
    ...(acl !== undefined && { acl }),
  };
  return Object.keys(keep).length === 0 ? undefined : keep;
}
