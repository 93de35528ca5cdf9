/** The playground in a process of its own, so that its work does not stand in the way of wire's. */
import { type Playground, startPlayground } from '../src/demo/playground.ts';
import { serveParent } from './child-program.ts';

/** What is said to the parent once everything listens. */
export type PlaygroundFacts = Pick<
  Playground,
  'issuer' | 'endpoint' | 'audience' | 'role' | 'bucket'
>;

const ending = new AbortController();
await using playground = await startPlayground({}, ending.signal);
const { issuer, endpoint, audience, role, bucket } = playground;
await serveParent({ issuer, endpoint, audience, role, bucket } satisfies PlaygroundFacts, {});
ending.abort();
