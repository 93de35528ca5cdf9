import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConfig, readConfig } from '../../../src/config/load.ts';
import { type OptionName, options } from '../../../src/config/options.ts';
import type { Flags } from '../../../src/config/settings.ts';
import { starterText } from '../../../src/config/starter.ts';

const home = '/home/u';

describe('the file to begin with', () => {
  it('has a profile that says nothing yet, and every key as a comment', () => {
    const text = starterText('default', {});
    const { profiles } = parseConfig(text, 'it', home);
    expect([...profiles.values()]).toMatchObject([{ name: 'default', settings: {} }]);
    const keys = [...text.matchAll(/^ {4}# ([a-z-]+): /gm)].map(([, key]) => key);
    const known = (Object.keys(options) as OptionName[]).flatMap((name) => options[name].key ?? []);
    expect(keys).toEqual(known);
  });

  it('has a value in each comment that can be used as it stands', () => {
    const text = starterText('work', {}).replaceAll(/^ {4}# ([a-z-]+:( .*)?)$/gm, '    $1');
    const { config, faults } = readConfig(
      text.replaceAll(/^ {4}# {3}(data: .*)$/gm, '      $1'),
      'it',
      home,
    );
    // BUCKET is there to be replaced.
    expect(faults).toEqual([]);
    const work = config.profiles.get('work');
    const keyed = (Object.keys(options) as OptionName[]).filter((name) => options[name].key);
    expect(work?.lines.size).toBe(keyed.length);
    expect(work?.mounts.get('data')).toMatchObject({ mountPoint: '/home/u/data', readOnly: true });
  });

  it('says what is given, whatever it is', () => {
    const word = fc.stringMatching(/^[\x21-\x7e]{1,20}$/);
    fc.assert(
      fc.property(word, word, (role, cacheDir) => {
        const given: Flags = { role, cacheDir, cacheBytes: '20G', endpoint: 'https://s3.example' };
        const { profiles } = parseConfig(starterText('work', given), 'it', home);
        expect(profiles.get('work')?.settings).toEqual({
          ...{ role, cacheDir, cacheBytes: 20 * 2 ** 30, endpoint: 'https://s3.example' },
        });
      }),
      { numRuns: 500 },
    );
  });
});
