/** What a person is told at each start about settings that give something up. */
import type { Settings } from './options.ts';

/** A line each. */
export function settingsWarnings({ insecureHosts = [] }: Settings): readonly string[] {
  if (insecureHosts.length === 0) return [];
  return [
    `the certificate of ${insecureHosts.join(', ')} is not checked (--insecure): whoever is on the ` +
      'way there can read and change everything, the login included.',
  ];
}
