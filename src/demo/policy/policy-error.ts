/** A policy document that no server would take; the message is for its author. */
export class PolicyError extends Error {
  override readonly name = 'PolicyError';
}
