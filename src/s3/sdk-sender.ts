/** Requests sent by the SDK: few clients a lease, since each keeps the credentials it was given. */
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { S3 } from '@aws-sdk/client-s3';
import type { Lease, S3Caller } from './s3-caller.ts';
import { type ClientOptions, createClient, type Patience } from './s3-client.ts';

/** How silent the server may be meanwhile: it answers soon, takes a body, or works for minutes. */
export type Work = 'answers' | 'receives' | 'copies';

/** A request in the SDK's words. */
export type S3Request<T> = (
  client: S3,
  options: { readonly abortSignal: AbortSignal },
) => Promise<T>;

/** What all its clients have in common. */
export type SdkOptions = Omit<ClientOptions, 'region' | 'addressing'>;

export class SdkSender {
  readonly #options: SdkOptions;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #caller: S3Caller;
  readonly #patienceFor: (work: Work) => Patience;
  /** The clients that are sent with what `lease` holds, by how long they wait. */
  #signer:
    | { readonly lease: Lease; readonly met: boolean; readonly clients: Map<Work, Promise<S3>> }
    | undefined;
  /** The Date header of each answer, by the SDK's output object. */
  readonly #dates = new WeakMap<object, number>();

  constructor(
    options: SdkOptions,
    agent: HttpAgent | HttpsAgent,
    caller: S3Caller,
    patienceFor: (work: Work) => Patience,
  ) {
    this.#options = options;
    this.#agent = agent;
    this.#caller = caller;
    this.#patienceFor = patienceFor;
  }

  async send<T>(
    request: S3Request<T>,
    work: Work,
    lease: Lease,
    abortSignal: AbortSignal,
  ): Promise<T> {
    return await request(await this.#clientOf(lease, work), { abortSignal });
  }

  /** The Date of the answer that became `output`, ms since the epoch. */
  dateMs(output: object): number | undefined {
    return this.#dates.get(output);
  }

  async #clientOf(lease: Lease, work: Work): Promise<S3> {
    const { met } = this.#caller;
    const before = this.#signer;
    const same =
      before?.lease.credentials === lease.credentials &&
      before.lease.route === lease.route &&
      before.met === met;
    const signer = same ? before : { lease, met, clients: new Map<Work, Promise<S3>>() };
    this.#signer = signer;
    const client = signer.clients.get(work) ?? this.#newClient(lease, work);
    signer.clients.set(work, client);
    return await client;
  }

  async #newClient({ credentials, route }: Lease, work: Work): Promise<S3> {
    const options = { ...this.#options, ...route };
    const client = await createClient(options, this.#agent, credentials, this.#patienceFor(work));
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        this.#caller.meet();
        const { headers } = result.response as { headers?: Readonly<Record<string, string>> };
        const dateMs = Date.parse(headers?.['date'] ?? '');
        const { output } = result as { output?: object };
        if (output !== undefined && !Number.isNaN(dateMs)) this.#dates.set(output, dateMs);
        return result;
      },
      { step: 'deserialize', priority: 'high', name: 'keepAnswerDate' },
    );
    return client;
  }
}
