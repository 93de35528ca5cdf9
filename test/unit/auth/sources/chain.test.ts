import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { chooseSource, surveySources } from '../../../../src/auth/sources/chain.ts';
import {
  type Candidate,
  type FoundSource,
  notThere,
  type SourceName,
} from '../../../../src/auth/sources/source.ts';
import { Secret } from '../../../../src/lib/secret.ts';
import { WireError } from '../../../../src/lib/wire-error.ts';
import { never, refusal } from './source-bench.ts';

type Kind = 'absent' | 'broken' | 'here' | 'elsewhere';

const order = [
  'file',
  'login',
  'wlcg',
  'web-identity',
  'hub',
  'oidc-agent',
  'mytoken',
] as const satisfies readonly SourceName[];

function sourceOf(name: SourceName, issuer: string): FoundSource {
  const token = { token: new Secret(`token-of-${name}-${issuer}`), expiresAtMs: undefined };
  const tokens = { accessToken: async () => await Promise.resolve(token) };
  return { place: `the ${name}`, issuer, tokens, fixed: false, notes: [] };
}

function candidate(name: SourceName, kind: Kind, looked: SourceName[] = []): Candidate {
  return {
    name,
    look: async () => {
      looked.push(name);
      await Promise.resolve();
      if (kind === 'absent') return notThere(`no ${name}`);
      if (kind === 'broken') {
        throw new WireError('config', { tried: `use ${name}`, answered: 'it is broken' });
      }
      const issuer = kind === 'here' ? 'https://iam.example/' : 'https://other.example';
      return { there: true, source: sourceOf(name, issuer) };
    },
  };
}

const issuer = 'https://iam.example';

describe('the chain of token sources', () => {
  it('takes the first that is there, and looks no further', async () => {
    const looked: SourceName[] = [];
    const chain = [
      candidate('login', 'absent', looked),
      candidate('wlcg', 'here', looked),
      candidate('hub', 'broken', looked),
    ];
    expect((await chooseSource(chain, {}, never)).name).toBe('wlcg');
    expect(looked).toEqual(['login', 'wlcg']);
  });

  it('a source that is there and broken is an error, not passed over in silence', async () => {
    const chain = [candidate('wlcg', 'broken'), candidate('hub', 'here')];
    expect((await refusal(chooseSource(chain, {}, never))).message).toContain('use wlcg');
    const { reports, choice, failure } = await surveySources(chain, {}, never);
    expect(choice).toBeUndefined();
    expect(failure?.message).toContain('use wlcg');
    expect(reports).toEqual([
      { name: 'wlcg', state: 'refused', why: 'cannot use wlcg: it is broken' },
      { name: 'hub', state: 'passed-over', why: 'the hub: an earlier source is refused' },
    ]);
  });

  it('a source for another provider than the wanted one is passed over, and said', async () => {
    const chain = [candidate('wlcg', 'elsewhere'), candidate('hub', 'here')];
    expect((await chooseSource(chain, { issuer }, never)).name).toBe('hub');
    const { reports } = await surveySources(chain, { issuer }, never);
    expect(reports).toEqual([
      {
        name: 'wlcg',
        state: 'passed-over',
        why: 'the wlcg: it is of https://other.example, and https://iam.example is wanted',
      },
      { name: 'hub', state: 'used', why: 'the hub' },
    ]);
  });

  it('the named source is the only one, whatever else is there', async () => {
    const chain = [
      candidate('login', 'here'),
      candidate('hub', 'here'),
      candidate('wlcg', 'broken'),
    ];
    const choosing = { named: 'hub' } as const;
    expect((await chooseSource(chain, choosing, never)).name).toBe('hub');
    const { reports } = await surveySources(chain, choosing, never);
    expect(reports.map(({ name, state, why }) => `${name} ${state}: ${why}`)).toEqual([
      'login passed-over: the login: hub was named',
      'hub used: the hub',
      'wlcg passed-over: hub was named; also cannot use wlcg: it is broken',
    ]);
  });

  it('a named source that is not there, or is for another provider, is an error', async () => {
    for (const kind of ['absent', 'elsewhere'] as const) {
      const chain = [candidate('hub', kind), candidate('login', 'here')];
      const error = await refusal(chooseSource(chain, { named: 'hub', issuer }, never));
      expect(error.kind).toBe('config');
      expect(error.message).toContain('take tokens from hub, as named');
    }
  });

  it('with nothing there says how to log in and where it looked', async () => {
    const chain = [candidate('login', 'absent'), candidate('wlcg', 'absent')];
    const error = await refusal(chooseSource(chain, { issuer }, never));
    expect(error.kind).toBe('login-expired');
    expect(error.toLine()).toContain('run: wire login https://iam.example');
    expect(error.toLine()).toContain('wire whoami --explain');
  });

  it('a defect is no refusal: it is thrown on', async () => {
    const broken = { name: 'hub', look: () => Promise.reject(new TypeError('a defect')) } as const;
    await expect(chooseSource([broken], {}, never)).rejects.toThrow(TypeError);
    await expect(surveySources([broken], {}, never)).rejects.toThrow(TypeError);
  });

  it('the survey tells of every source what choosing would do, without a secret', async () => {
    const kinds = fc.constantFrom<Kind>('absent', 'broken', 'here', 'elsewhere');
    const names = fc.option(fc.constantFrom(...order), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(
        fc.array(kinds, { minLength: 7, maxLength: 7 }),
        names,
        async (all, named) => {
          const chain = order.map((name, index) => candidate(name, all[index] ?? 'absent'));
          const choosing = { issuer, ...(named !== undefined && { named }) };
          const { reports, choice, failure } = await surveySources(chain, choosing, never);
          const chosen = await chooseSource(chain, choosing, never).catch(
            (error: unknown) => error,
          );
          // The same outcome by both ways.
          if (choice === undefined) expect(chosen).toMatchObject({ message: failure?.message });
          else expect(chosen).toMatchObject({ name: choice.name });
          // One report each, in order, and exactly one of them used where there is a choice.
          expect(reports.map(({ name }) => name)).toEqual(order);
          const used = reports.filter(({ state }) => state === 'used').map(({ name }) => name);
          expect(used).toEqual(choice === undefined ? [] : [choice.name]);
          // By the rule itself: the first of those whose turn it is that is neither absent nor foreign.
          const turns = named === undefined ? order : [named];
          const first = turns.find((name) =>
            ['here', 'broken'].includes(all[order.indexOf(name)] ?? ''),
          );
          const isHere = first !== undefined && all[order.indexOf(first)] === 'here';
          expect(choice?.name).toBe(isHere ? first : undefined);
          expect(JSON.stringify(reports)).not.toContain('token-of');
        },
      ),
      { numRuns: 300 },
    );
  });
});
