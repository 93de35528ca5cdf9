import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Connections } from '../../../src/daemon/connections.ts';
import { connection } from './fake-mounts.ts';

describe('Connections', () => {
  it('holds each connection once, for exactly as long as somebody uses it', async () => {
    const roles = ['a', 'b', undefined] as const;
    const step = fc.oneof(
      fc.record({ op: fc.constant('lease' as const), role: fc.constantFrom(...roles) }),
      fc.record({ op: fc.constant('return' as const), nth: fc.nat(20) }),
    );
    const history = fc.array(step, { maxLength: 40, size: 'max' });
    await fc.assert(
      fc.asyncProperty(history, async (all) => {
        const open = new Map<string, number>();
        const connections = new Connections(({ role = '' }) => {
          open.set(role, (open.get(role) ?? 0) + 1);
          return {
            stores: {} as never,
            credentialsUntilMs: undefined,
            degraded: undefined,
            check: () => Promise.resolve(),
            [Symbol.asyncDispose]: () => {
              open.set(role, (open.get(role) ?? 0) - 1);
              return Promise.resolve();
            },
          };
        });
        const leases: { role: string; lease: AsyncDisposable }[] = [];
        for (const s of all) {
          if (s.op === 'lease') {
            const { role } = s;
            const asked = role === undefined ? connection : { ...connection, role };
            leases.push({ role: role ?? '', lease: connections.lease(asked) });
          } else {
            const [returned] = leases.splice(s.nth % Math.max(leases.length, 1), 1);
            await returned?.lease[Symbol.asyncDispose]();
            await returned?.lease[Symbol.asyncDispose](); // twice gives nothing more back
          }
          const used = new Set(leases.map(({ role }) => role));
          expect(connections.size).toBe(used.size);
          for (const role of ['a', 'b', ''])
            expect(open.get(role) ?? 0).toBe(used.has(role) ? 1 : 0);
        }
      }),
    );
  });
});
