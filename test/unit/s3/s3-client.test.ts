import { Agent } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { Secret } from '../../../src/lib/secret.ts';
import { createClient } from '../../../src/s3/s3-client.ts';

const notice = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';
const patience = { connectMs: 1000, silenceMs: 1000 };
const credentials = {
  accessKeyId: 'ID',
  secretAccessKey: new Secret('secret'),
  sessionToken: new Secret(''),
  expiresAtMs: 0,
};

afterEach(() => vi.unstubAllEnvs());

// The SDK gives its notice once a process: this client must be the file’s first.
it('the SDK gives no notice, and children inherit the environment as it was', async () => {
  vi.stubEnv(notice, undefined);
  const warnings: string[] = [];
  const keep = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', keep);
  const options = { endpoint: 'http://127.0.0.1:1', region: 'us-east-1' };
  const client = await createClient(options, new Agent(), credentials, patience);
  await turn();
  process.off('warning', keep);
  expect(warnings).toEqual([]);
  expect(notice in process.env).toBe(false);
  client.destroy();
});

it('credentials without a session token sign without one', async () => {
  const options = { endpoint: 'http://127.0.0.1:1', region: 'us-east-1' };
  const client = await createClient(options, new Agent(), credentials, patience);
  const { sessionToken, accessKeyId } = await client.config.credentials();
  expect({ sessionToken, accessKeyId }).toEqual({ sessionToken: undefined, accessKeyId: 'ID' });
  client.destroy();
});
