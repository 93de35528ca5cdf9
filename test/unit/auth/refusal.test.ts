import { describe, expect, it } from 'vitest';
import { refusalOf } from '../../../src/auth/refusal.ts';
import { Secret } from '../../../src/lib/secret.ts';
import type { HttpReply } from '../../../src/net/http.ts';

function replyOf(text: string): HttpReply {
  return { status: 400, headers: new Headers(), text, serverTimeMs: undefined };
}

const mine = new Secret('the-secret-of-the-request-itself');
const other = new Secret('some-other-secret-of-this-process');

describe('what a provider says when it refuses', () => {
  it.each([150, 170, 190, 199, 4060, 4080, 4095])(
    'shows no part of a secret where it is cut off (%i characters before it)',
    (before) => {
      for (const secret of [mine, other]) {
        const words = `${'x'.repeat(before)} ${secret.reveal()} ${'y'.repeat(400)}`;
        for (const text of [
          JSON.stringify({ error: 'invalid_token', error_description: words }),
          JSON.stringify({ error: words }),
          words,
          `<html><title>${'x'.repeat(before % 390)} ${secret.reveal()}</title>`,
        ]) {
          const { description, message } = refusalOf('refresh', replyOf(text), [mine]);
          const start = secret.reveal().slice(0, 10);
          expect(`${description} ${message}`).not.toContain(start);
        }
      }
    },
  );

  it('is told by its code, and without what steers a terminal', () => {
    const text = JSON.stringify({
      error: 'invalid_grant',
      error_description: 'a\u001b[2Jb\u202ec',
    });
    expect(refusalOf('refresh', replyOf(text), [])).toMatchObject({
      code: 'invalid_grant',
      description: 'a [2Jb c',
    });
  });
});
