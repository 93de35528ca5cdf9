/**
 * Parts of a benchmark in processes of their own, so that their work is not counted as another's.
 * Such a program says one thing when it is ready, then answers questions one after the other, and
 * ends when whoever started it is gone, however that came to be.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { raceAbort } from '../src/lib/abort.ts';

interface Question {
  readonly name: string;
  readonly argument: unknown;
}

type Answer = { readonly value: unknown } | { readonly error: string };

export type Handlers = Readonly<Record<string, (argument: never) => unknown>>;

/** The child's side: tells `facts`, answers until the parent goes away, and returns then. */
export async function serveParent(facts: unknown, handlers: Handlers): Promise<void> {
  const answer = async ({ name, argument }: Question): Promise<Answer> => {
    try {
      return { value: await handlers[name]?.(argument as never) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : 'failed' };
    }
  };
  process.on('message', (question: Question) => {
    void answer(question).then((given) => process.send?.(given));
  });
  const gone = once(process, 'disconnect');
  process.send?.(facts);
  await gone;
}

/** The parent's side. `Facts` is what the child says first. */
export class ChildProgram<Facts> implements AsyncDisposable {
  readonly facts: Facts;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, facts: Facts) {
    this.#child = child;
    this.facts = facts;
  }

  /** @throws Error when it ends before it is ready; what it wrote is on stderr. */
  static async start<Facts>(
    script: URL,
    args: readonly string[],
    signal: AbortSignal,
  ): Promise<ChildProgram<Facts>> {
    // In a process group of its own: Ctrl-C is for us, and it acts on our end.
    const child = fork(script, [...args], { detached: true });
    try {
      const [facts] = await nextMessage(child, signal);
      return new ChildProgram(child, facts as Facts);
    } catch (error) {
      await ended(child);
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** One question at a time. */
  async ask(name: string, argument: unknown, signal: AbortSignal): Promise<unknown> {
    const answered = nextMessage(this.#child, signal);
    this.#child.send({ name, argument } satisfies Question);
    const [answer] = (await answered) as [Answer];
    if ('error' in answer) throw new Error(answer.error);
    return answer.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#child);
  }
}

async function nextMessage(child: ChildProcess, signal: AbortSignal): Promise<readonly unknown[]> {
  const stop = new AbortController();
  const exited = once(child, 'exit', { signal: stop.signal }).then((): unknown[] => {
    throw new Error('a part of the benchmark ended too early');
  });
  exited.catch(() => undefined); // told by the race, or not wanted any more
  try {
    const message: Promise<unknown[]> = once(child, 'message', { signal: stop.signal });
    message.catch(() => undefined);
    return await raceAbort(Promise.race([message, exited]), signal);
  } finally {
    stop.abort();
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  if (child.connected) child.disconnect();
  await gone;
}
