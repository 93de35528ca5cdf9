import { describe, expect, it } from 'vitest';
import { versionOf } from '../../../scripts/crash/content.ts';
import {
  type Directory,
  type Found,
  judge,
  judgeAtOnce,
  type Truth,
  type Version,
} from '../../../scripts/crash/truth.ts';

const one = versionOf(Buffer.from('one'), false);
const two = versionOf(Buffer.from('two'), true);
const mixture = versionOf(Buffer.from('owo'), false);

const renaming: Truth = {
  present: { a: one, d: { kind: 'directory' } },
  gone: ['old'],
  pending: {
    what: 'rename a to b',
    outcomes: [{ changes: { b: one }, half: true }, { changes: { a: null, b: one } }],
  },
};
/** As it comes from another process. */
const told = JSON.parse(JSON.stringify(renaming)) as Truth;

function found(paths: Readonly<Record<string, typeof one>>): Found {
  const directory = { kind: 'directory' } as const;
  return new Map<string, Version | Directory>([['d', directory], ...Object.entries(paths)]);
}

describe('what a crash may leave', () => {
  it.each([
    ['absent', { a: one }],
    ['half', { a: one, b: one }],
    ['done', { b: one }],
  ] as const)('takes a change that was under way for %s', (pending, paths) => {
    expect(judge(told, found(paths))).toEqual({ wrong: [], pending });
  });

  it.each([
    ['an acknowledged file is gone', {}, 'a should be 3 bytes'],
    ['it has other bytes', { a: mixture }, 'a should be 3 bytes'],
    ['the target of a rename has other bytes', { b: mixture }, 'b should be 3 bytes'],
    ['a file that was unlinked is back', { a: one, old: two }, 'old is there'],
    ['there is a file that nobody was told of', { a: one, new: two }, 'new is there'],
  ] as const)('says so when %s', (_, paths, expected) => {
    const { wrong } = judge(told, found(paths));
    expect(wrong.join('\n')).toContain(expected);
  });

  it('misses a directory, and a file in its place', () => {
    expect(judge(told, new Map([['a', one]])).wrong).not.toEqual([]);
    expect(judge(told, new Map(Object.entries({ a: one, d: two }))).wrong).not.toEqual([]);
  });

  it('wants in the bucket at once what was acknowledged, or only what fsync has promised', () => {
    const truth: Truth = { present: { a: one, b: two }, gone: [] };
    const neither: Found = new Map();
    expect(judgeAtOnce(truth, neither, false)).toHaveLength(2);
    expect(judgeAtOnce(truth, neither, true)).toHaveLength(1);
    expect(judgeAtOnce(truth, new Map(Object.entries({ a: one, b: two })), false)).toEqual([]);
    expect(judgeAtOnce(told, neither, false)).toEqual([]);
  });
});
