/** A server of others, and alice with the real command. Nothing of it is left after disposal. */
import { join } from 'node:path';
import {
  GetObjectCommand,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import type { Finished } from '../../scripts/demo/programs.ts';
import { WireUser } from '../../scripts/demo/wire-user.ts';
import { type RealServer, type ServerName, s3Client } from '../../scripts/servers/real-server.ts';
import { type ServerOptions, startServer } from '../../scripts/servers/start.ts';
import { DEMO_BUCKET } from '../../src/demo/playground-people.ts';
import { Closers } from '../../src/lib/closers.ts';
import { unmountAll, wireCommand } from '../fixtures/real-mount.ts';

/** A row of `wire status --json`, as far as it is looked at here. */
export interface MountRow {
  readonly mountPoint: string;
  readonly pid: number;
  readonly credentialsUntilMs?: number;
  readonly degraded?: string;
  readonly rights?: { readonly limit?: string; readonly enforcement: string };
}

export class ServerScene implements AsyncDisposable {
  readonly server: RealServer;
  readonly user: WireUser;
  readonly signal: AbortSignal;
  /** Sees the store from the outside, and may do everything. */
  readonly root: S3Client;
  readonly bucket: string = DEMO_BUCKET;
  readonly #closers: Closers;

  private constructor(server: RealServer, user: WireUser, closers: Closers, signal: AbortSignal) {
    this.server = server;
    this.user = user;
    this.signal = signal;
    this.root = s3Client(server.endpoint, server.root);
    this.#closers = closers;
  }

  static async open(
    name: ServerName,
    options: ServerOptions,
    signal: AbortSignal,
  ): Promise<ServerScene> {
    await using closers = new Closers();
    const server = closers.use(await startServer(name, options, signal));
    const user = closers.use(await WireUser.create(wireCommand));
    closers.defer(async () => await unmountAll(user.folder));
    const scene = new ServerScene(server, user, closers.move(), signal);
    scene.#closers.defer(() => scene.root.destroy());
    return scene;
  }

  place(name: string): string {
    return join(this.user.folder, name);
  }

  /** Flags that name the store. */
  get store(): readonly string[] {
    const { endpoint, audience, role } = this.server;
    const named = ['--endpoint', endpoint, '--audience', audience];
    return role === undefined ? named : [...named, '--role', role];
  }

  async login(userName = 'alice'): Promise<string> {
    const { iam, audience } = this.server;
    const args = [iam.issuer, '--audience', audience];
    return await this.user.login(args, userName, () => undefined, this.signal);
  }

  async mount(source: string, mountPoint: string, ...more: readonly string[]): Promise<void> {
    const args = ['mount', source, mountPoint, ...this.store, '--mkdir', '--daemon', ...more];
    await this.wire(...args);
  }

  /** @throws Error when it ends with another code than 0. */
  async wire(...args: readonly string[]): Promise<Finished> {
    return await this.user.wire(args, this.signal);
  }

  /** What `wire ...args` says when it ends with `exitCode`. */
  async refusal(exitCode: number, ...args: readonly string[]): Promise<string> {
    const ended = await this.user.wire(args, this.signal, { allow: [exitCode] });
    return ended.exitCode === exitCode ? ended.stderr : `it ended with ${ended.exitCode}`;
  }

  async row(mountPoint: string): Promise<MountRow | undefined> {
    const { stdout } = await this.wire('status', '--json');
    const { mounts } = JSON.parse(stdout) as { readonly mounts: readonly MountRow[] };
    return mounts.find((row) => row.mountPoint === mountPoint);
  }

  /** A client with what `wire credentials ...args` prints. */
  async client(...args: readonly string[]): Promise<S3Client> {
    return await this.clientOf([...args, ...this.store]);
  }

  /** The same with flags that name a store otherwise. */
  async clientOf(args: readonly string[]): Promise<S3Client> {
    const { stdout } = await this.wire('credentials', ...args);
    const printed = JSON.parse(stdout) as Readonly<Record<string, string>>;
    const credentials = {
      accessKeyId: printed['AccessKeyId'] ?? '',
      secretAccessKey: printed['SecretAccessKey'] ?? '',
      sessionToken: printed['SessionToken'] ?? '',
    };
    const client = s3Client(this.server.endpoint, credentials);
    this.#closers.defer(() => client.destroy());
    return client;
  }

  /** Writes as somebody else does. */
  async put(key: string, content: string): Promise<void> {
    const command = new PutObjectCommand({ Bucket: this.bucket, Key: key, Body: content });
    await this.root.send(command, { abortSignal: this.signal });
  }

  /** Reads as somebody else does. */
  async get(key: string): Promise<string> {
    return Buffer.from(await this.bytes(key)).toString();
  }

  async bytes(key: string): Promise<Uint8Array> {
    const command = new GetObjectCommand({ Bucket: this.bucket, Key: key });
    const { Body: body } = await this.root.send(command, { abortSignal: this.signal });
    return (await body?.transformToByteArray()) ?? new Uint8Array();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closers[Symbol.asyncDispose]();
  }
}

/** Of any command of the SDK. */
export interface Answer {
  readonly $metadata: { readonly httpStatusCode?: number | undefined };
}

/** HTTP status of a request's answer; what is no answer is thrown. */
export async function statusOf(request: Promise<Answer>): Promise<number | undefined> {
  try {
    return (await request).$metadata.httpStatusCode;
  } catch (error) {
    if (error instanceof S3ServiceException) return error.$metadata.httpStatusCode;
    throw error;
  }
}
