import { describe, expect, it } from 'vitest';
import { withoutInspector } from '../../../src/cli/hardening.ts';

describe('withoutInspector', () => {
  it.each([
    ['--inspect', ''],
    ['--inspect=0.0.0.0:9229 --max-old-space-size=512', '--max-old-space-size=512'],
    ['--no-warnings --inspect-brk --inspect-port=0', '--no-warnings'],
    ['--inspect_brk=0 "--inspect" "--inspect=0"', ''],
    ['--require /x/--inspect.js', '--require /x/--inspect.js'],
  ])('makes "%s" into "%s"', (options, rest) => expect(withoutInspector(options)).toBe(rest));
});
