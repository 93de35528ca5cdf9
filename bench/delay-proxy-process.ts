/** `delay-proxy-process.js URL ONE_WAY_MS`: the proxy in a process of its own. */
import { serveParent } from './child-program.ts';
import { DelayProxy } from './delay-proxy.ts';

/** What is said to the parent once it listens. */
export interface ProxyFacts {
  readonly port: number;
}

const [upstream = '', oneWayMs = '0'] = process.argv.slice(2);
await using proxy = await DelayProxy.start(new URL(upstream), Number(oneWayMs));
await serveParent({ port: proxy.port } satisfies ProxyFacts, { counts: () => proxy.counts });
