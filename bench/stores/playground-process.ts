/** `playground-process.js`: the playground in a process of its own. */
import { type Playground, startPlayground } from '../../src/demo/playground.ts';
import { serveParent } from '../child-program.ts';

/** What is said to the parent once everything listens. */
export type PlaygroundFacts = Pick<
  Playground,
  'issuer' | 'endpoint' | 'audience' | 'role' | 'bucket' | 'root'
>;

/** Objects of the same content, put past the door: thousands in a moment. */
export interface Plant {
  readonly keys: readonly string[];
  readonly body: string;
}

const ending = new AbortController();
await using playground = await startPlayground({}, ending.signal);
const { issuer, endpoint, audience, role, bucket, root } = playground;
const facts = { issuer, endpoint, audience, role, bucket, root } satisfies PlaygroundFacts;
await serveParent(facts, {
  plant({ keys, body }: Plant): void {
    for (const key of keys) playground.s3.foreign.putObject(bucket, key, body);
  },
});
ending.abort();
