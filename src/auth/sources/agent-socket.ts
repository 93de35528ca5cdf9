/**
 * One question to oidc-agent: a JSON object to its Unix socket, one back, and the agent closes
 * (oidc-agent documentation, "IPC API"). Its encrypted form is for the agent's own tools.
 */
import { connect } from 'node:net';

import { LinkedAbort, raceAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { WireError } from '../../lib/wire-error.ts';
import { isObject } from '../jwt.ts';

export type AgentReply = Readonly<Record<string, unknown>>;

export interface AgentSocket {
  readonly path: string;
  readonly clock: Clock;
}

/** The agent may ask the person in a window before it answers: it gets this long. */
const LIMIT_MS = 10_000;
const MAX_CHARS = 2 ** 20;

/**
 * @param tried as in `WireErrorFacts`.
 * @throws WireError `unreachable` when nobody answers, or not in time.
 */
export async function askAgent(
  tried: string,
  question: AgentReply,
  { path, clock }: AgentSocket,
  signal: AbortSignal,
): Promise<AgentReply> {
  signal.throwIfAborted();
  using limited = new LinkedAbort(signal);
  const text = exchangeText(path, JSON.stringify(question), limited.signal);
  const late = clock.sleep(LIMIT_MS, limited.signal).then(() => {
    const answered = `oidc-agent did not answer within ${LIMIT_MS / 1000} s`;
    const next = 'look whether it waits for you in a window, or start it anew';
    throw new WireError('unreachable', { tried, answered, next });
  });
  late.catch(() => undefined); // its end is awaited only while it matters
  try {
    const reply = parse(await raceAbort(Promise.race([text, late]), signal));
    if (reply !== undefined) return reply;
    const next = 'check that OIDC_SOCK names a socket of oidc-agent';
    throw new WireError('unreachable', { tried, answered: 'no answer of oidc-agent', next });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof WireError) throw error;
    throw nobodyThere(tried, path, error);
  } finally {
    limited.abort();
  }
}

async function exchangeText(path: string, question: string, signal: AbortSignal): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ path });
    let text = '';
    signal.addEventListener('abort', () => socket.destroy(), { once: true });
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(question));
    socket.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_CHARS) socket.destroy(new Error('a reply without end'));
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

function parse(text: string): AgentReply | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

function nobodyThere(tried: string, path: string, error: unknown): WireError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'it broke off';
  const gone = code === 'ENOENT' || code === 'ECONNREFUSED';
  const answered = gone ? `no agent listens at ${path}` : `${path}: ${code}`;
  const next = 'start oidc-agent, or unset OIDC_SOCK';
  return new WireError('unreachable', { tried, answered, next }, { cause: error });
}
