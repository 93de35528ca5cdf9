/** A page that is served, and a client that says whatever a test wants. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  type PageEnd,
  type PageOptions,
  type ServedPage,
  servePage,
} from '../../../../src/daemon/ui/page.ts';
import type { PageNews } from '../../../../src/daemon/ui/page-news.ts';
import { createLog } from '../../../../src/lib/log.ts';
import { FakeClock } from '../../../fixtures/fake-clock.ts';
import { FakeHost } from './fake-host.ts';

export interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is; an object as JSON. */
  readonly body?: string | object;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export class PageBench implements AsyncDisposable {
  readonly host = new FakeHost();
  readonly clock = new FakeClock();
  readonly log: string[] = [];
  readonly folder: string;
  served!: ServedPage;
  ended!: Promise<PageEnd>;
  /** What a browser with the session sends besides. */
  session: Readonly<Record<string, string>> = {};
  readonly #stop = new AbortController();
  readonly #hangUps: (() => void)[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async start(more: Partial<PageOptions> = {}): Promise<PageBench> {
    const bench = new PageBench(await mkdtemp(join(tmpdir(), 'wire-ui-')));
    const { host, clock, folder } = bench;
    const log = createLog(
      (line) => bench.log.push(line),
      'trace',
      () => 0,
    );
    const place = { port: 0, runtimeDir: join(folder, 'run'), uid: process.getuid?.() ?? -1 };
    const facts = { pid: 4711, version: '1.2.3', idleMs: 60_000, ...place };
    await new Promise<void>((resolve, reject) => {
      const serving = (page: ServedPage): void => {
        bench.served = page;
        resolve();
      };
      bench.ended = servePage({ host, clock, log, ...facts, ...more }, serving, bench.#stop.signal);
      bench.ended.catch(reject);
    });
    return bench;
  }

  /** With the session already opened. */
  static async open(more: Partial<PageOptions> = {}): Promise<PageBench> {
    const bench = await PageBench.start(more);
    await bench.enter();
    return bench;
  }

  get port(): number {
    return this.served.port;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get token(): string {
    return new URL(this.served.url).hash.slice(1);
  }

  /** Trades the token for a session. */
  async enter(): Promise<Answer> {
    const { token } = this;
    const answer = await this.ask({ method: 'POST', path: '/session', body: { token } });
    const { key } = JSON.parse(answer.text) as { key: string };
    const cookie = answer.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    this.session = { cookie, 'x-wire-key': key };
    return answer;
  }

  /** As the page itself would, unless `asked` says otherwise; an empty header is left out. */
  async ask(asked: Asked = {}): Promise<Answer> {
    const response = await this.#send(asked);
    response.setEncoding('utf8');
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode ?? 0, headers: response.headers, text };
  }

  async post(path: string, body: string | object = {}, more: Asked = {}): Promise<Answer> {
    return await this.ask({ ...more, method: 'POST', path, body });
  }

  /** Reads news until one of them is as wanted. */
  async news(isWanted: (news: PageNews) => boolean): Promise<PageNews> {
    const response = await this.#send({ path: '/news' });
    for await (const line of createInterface({ input: response })) {
      const news = JSON.parse(line) as PageNews;
      if (!isWanted(news)) continue;
      response.destroy();
      return news;
    }
    throw new Error('the stream ended');
  }

  /** A stream that is left open; returns how to hang up. */
  async watch(): Promise<() => void> {
    const response = await this.#send({ path: '/news' });
    response.resume();
    const hangUp = (): void => void response.destroy();
    this.#hangUps.push(hangUp);
    return hangUp;
  }

  stop(): void {
    this.#stop.abort(new Error('stopped'));
  }

  async #send(asked: Asked): Promise<IncomingMessage> {
    const { method = 'GET', path = '/', body } = asked;
    const isPost = method === 'POST';
    const own = { ...this.session, ...(isPost && { origin: this.origin }) };
    const typed = { ...own, ...(isPost && { 'content-type': 'application/json' }) };
    const headers = Object.entries({ ...typed, ...asked.headers }).filter(
      ([, text]) => text !== '',
    );
    const { port } = this;
    const request = httpRequest({
      ...{ host: '127.0.0.1', port, method, path, agent: false },
      headers: Object.fromEntries(headers),
    });
    request.end(typeof body === 'object' ? JSON.stringify(body) : body);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const hangUp of this.#hangUps) hangUp();
    this.stop();
    await this.ended;
    await rm(this.folder, { recursive: true, force: true });
  }
}
