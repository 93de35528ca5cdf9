/** The playground in a process of its own, so that its work is not counted as wire's. */
import { type Playground, startPlayground } from '../../src/demo/playground.ts';
import { serveParent } from '../child-program.ts';

/** What is said to the parent once everything listens. */
export type PlaygroundFacts = Pick<Playground, 'issuer' | 'endpoint' | 'audience' | 'role'>;

/** So short that after a pause each renewal needs a new one (`suite.ts`). */
const ACCESS_TOKEN_SECONDS = 4;

const ending = new AbortController();
await using playground = await startPlayground(
  { accessTokenSeconds: ACCESS_TOKEN_SECONDS },
  ending.signal,
);
const { issuer, endpoint, audience, role } = playground;
await serveParent({ issuer, endpoint, audience, role } satisfies PlaygroundFacts, {});
ending.abort();
