import { expect, it } from 'vitest';
import { options } from '../../../src/config/options.ts';
import { settingsWarnings } from '../../../src/config/warnings.ts';

it('hosts of --insecure are named at each start, and nothing else warns', () => {
  expect(settingsWarnings({ ca: '/ca.pem', endpointHosts: ['login.example'] })).toEqual([]);
  const [line, ...more] = settingsWarnings({ insecureHosts: ['iam.example', 's3.example:9000'] });
  expect(line).toContain('the certificate of iam.example, s3.example:9000 is not checked');
  expect(more).toEqual([]);
});

it('--insecure cannot be kept in a profile', () => {
  expect(options.insecureHosts.key).toBeUndefined();
});
