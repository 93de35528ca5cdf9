/** Where a process is whose event loop does not turn, asked through Node's inspector. */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { WebSocket } from 'undici';

/** Where SIGUSR1 opens the inspector (Node `process` documentation, signal events). */
const TARGETS = 'http://127.0.0.1:9229/json/list';
const OPENING_MS = 1_000;
const PAUSING_MS = 5_000;

interface CallFrame {
  readonly functionName: string;
  /** Lines count from 0. */
  readonly location: { readonly scriptId: string; readonly lineNumber: number };
}

interface Message {
  readonly method?: string;
  readonly params?: {
    readonly callFrames?: readonly CallFrame[];
    readonly scriptId?: string;
    readonly url?: string;
  };
}

/** @returns lines of its call stack, innermost first; one that says so where it does not answer. */
export async function placeOf(pid: number): Promise<readonly string[]> {
  try {
    process.kill(pid, 'SIGUSR1');
    await sleepFor(OPENING_MS);
    const targets = (await (await fetch(TARGETS)).json()) as readonly {
      readonly webSocketDebuggerUrl: string;
    }[];
    return await pausedAt(targets[0]?.webSocketDebuggerUrl ?? '');
  } catch (error) {
    return [`not known: ${String(error)}`];
  }
}

async function pausedAt(inspector: string): Promise<readonly string[]> {
  const files = new Map<string, string>();
  const lineOf = ({ functionName, location: { scriptId, lineNumber } }: CallFrame): string =>
    `${functionName || '(no name)'} ${files.get(scriptId) ?? '?'}:${lineNumber + 1}`;
  const socket = new WebSocket(inspector);
  const signal = AbortSignal.timeout(PAUSING_MS);
  try {
    return await new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('in a system call')));
      socket.addEventListener('error', () => reject(new Error('no inspector')));
      socket.addEventListener('open', () => {
        for (const [index, method] of ['Debugger.enable', 'Debugger.pause'].entries()) {
          socket.send(JSON.stringify({ id: index + 1, method }));
        }
      });
      socket.addEventListener('message', ({ data }) => {
        const { method, params } = JSON.parse(String(data)) as Message;
        const { scriptId = '', url = '', callFrames = [] } = params ?? {};
        if (method === 'Debugger.scriptParsed') files.set(scriptId, url);
        if (method === 'Debugger.paused') resolve(callFrames.map(lineOf));
      });
    });
  } finally {
    socket.close();
  }
}
