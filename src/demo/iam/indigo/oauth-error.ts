/** How the `indigo` dialect says no. Texts echo secrets on purpose: INDIGO IAM's do. */
import { jsonReply, type Reply } from '../message.ts';

/** Thrown by handlers; the router answers `reply`. */
export class Refusal extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(`refused with ${reply.status}`);
    this.reply = reply;
  }
}

/** An OAuth error (RFC 6749 §5.2) as a throwable. */
export function refuse(status: number, error: string, description?: string): Refusal {
  const body = { error, ...(description !== undefined && { error_description: description }) };
  return new Refusal(jsonReply(status, body));
}
