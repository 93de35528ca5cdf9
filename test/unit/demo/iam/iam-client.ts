/** A client of the playground's IAM in plain HTTP, so that tests see what is on the wire. */

import { type Iam, startIam } from '../../../../src/demo/iam/iam.ts';
import { SigningKeys } from '../../../../src/demo/iam/keys.ts';
import type { IamOptions } from '../../../../src/demo/iam/options.ts';
import { FakeClock } from '../../../fixtures/fake-clock.ts';

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
export const SCOPE = 'openid profile offline_access';

export const alice = { name: 'alice', sub: 'sub-alice', groups: ['dev', 'dev/wire'] } as const;

export const never = new AbortController().signal;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body, when it is JSON; else empty. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface Bench extends AsyncDisposable {
  readonly iam: Iam;
  readonly clock: FakeClock;
  readonly client: IamTestClient;
}

/** One for each test file: most of the time of a start is the making of its key. */
const sharedKeys = SigningKeys.create(true);

/** An IAM with alice, a registered public client, and (`indigo`) a clock that a test moves. */
export async function bench(
  options: Partial<IamOptions> & Pick<IamOptions, 'dialect'>,
): Promise<Bench> {
  const clock = new FakeClock(Date.now());
  const iam = await startIam(
    {
      users: [alice],
      ...(options.x5c === undefined && { keys: await sharedKeys }),
      ...(options.dialect === 'indigo' && { clock }),
      ...options,
    },
    never,
  );
  const client = await IamTestClient.discover(iam);
  return {
    iam,
    clock,
    client,
    [Symbol.asyncDispose]: async () => await iam[Symbol.asyncDispose](),
  };
}

export async function send(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  const text = await response.text();
  const json = (text.startsWith('{') ? JSON.parse(text) : {}) as Answer['json'];
  return { status: response.status, headers: response.headers, text, json };
}

export interface Registration {
  readonly clientId: string;
  readonly secret: string | undefined;
  readonly managementUri: string;
  readonly managementToken: string;
}

export class IamTestClient {
  readonly iam: Iam;
  readonly #endpoints: Readonly<Record<string, unknown>>;

  private constructor(iam: Iam, endpoints: Readonly<Record<string, unknown>>) {
    this.iam = iam;
    this.#endpoints = endpoints;
  }

  static async discover(iam: Iam): Promise<IamTestClient> {
    const url = new URL('/.well-known/openid-configuration', iam.issuer).href;
    return new IamTestClient(iam, (await send(url)).json);
  }

  /** URL of `name`, as discovery gives it. */
  url(name: string): string {
    return String(this.#endpoints[name]);
  }

  get discovery(): Readonly<Record<string, unknown>> {
    return this.#endpoints;
  }

  async post(
    endpoint: string,
    form: Readonly<Record<string, string>>,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return await send(this.url(endpoint), {
      method: 'POST',
      body: new URLSearchParams(form),
      headers,
    });
  }

  async postJson(
    endpoint: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return await send(this.url(endpoint), {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    });
  }

  async register(metadata: Readonly<Record<string, unknown>> = {}): Promise<Registration> {
    const { json } = await this.postJson('registration_endpoint', { ...publicClient, ...metadata });
    const secret = json['client_secret'];
    return {
      clientId: String(json['client_id']),
      secret: typeof secret === 'string' ? secret : undefined,
      managementUri: String(json['registration_client_uri']),
      managementToken: String(json['registration_access_token']),
    };
  }

  async startDevice(clientId: string, extra: Record<string, string> = {}): Promise<Answer> {
    const form = { client_id: clientId, scope: SCOPE, ...extra };
    return await this.post('device_authorization_endpoint', form);
  }

  async poll(
    clientId: string,
    device: Answer,
    extra: Record<string, string> = {},
  ): Promise<Answer> {
    const device_code = String(device.json['device_code']);
    const form = { client_id: clientId, grant_type: DEVICE_GRANT, device_code, ...extra };
    return await this.post('token_endpoint', form);
  }

  async refresh(
    clientId: string,
    tokens: Answer,
    extra: Record<string, string> = {},
  ): Promise<Answer> {
    const refresh_token = String(tokens.json['refresh_token']);
    const form = { client_id: clientId, grant_type: 'refresh_token', refresh_token, ...extra };
    return await this.post('token_endpoint', form);
  }

  /** The token reply of a whole device login by alice. */
  async login(clientId: string, poll: Record<string, string> = {}): Promise<Answer> {
    const device = await this.startDevice(clientId);
    await this.iam.approve(String(device.json['verification_uri_complete']), 'alice', never);
    return await this.poll(clientId, device, poll);
  }

  async userinfo(tokens: Answer): Promise<Answer> {
    return await this.bearer(this.url('userinfo_endpoint'), String(tokens.json['access_token']));
  }

  async bearer(url: string, token: string, method = 'GET'): Promise<Answer> {
    return await send(url, { method, headers: { authorization: `Bearer ${token}` } });
  }
}

export const publicClient = {
  client_name: 'wire on a test',
  grant_types: [DEVICE_GRANT, 'refresh_token'],
  token_endpoint_auth_method: 'none',
  scope: SCOPE,
};

export const confidentialClient = {
  ...publicClient,
  token_endpoint_auth_method: 'client_secret_basic',
};

export function basic(name: string, password: string): Record<string, string> {
  const pair = `${encodeURIComponent(name)}:${encodeURIComponent(password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}
