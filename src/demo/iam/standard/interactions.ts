/** Login and consent of the `standard` dialect, at `/interaction/UID`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import type { InteractionResults } from 'oidc-provider';
import { htmlReply, type IamRequest, readRequest, wordsOf, writeReply } from '../message.ts';
import { consentPage, loginPage, outcomePage } from '../pages.ts';
import type { Settings } from '../settings.ts';

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

export class Interactions {
  readonly #settings: Settings;
  readonly #provider: Provider;
  readonly #audiences: Map<string, readonly string[]>;

  /** The audience that a login began with goes to `audiences`, by grant. */
  constructor(settings: Settings, provider: Provider, audiences: Map<string, readonly string[]>) {
    this.#settings = settings;
    this.#provider = provider;
    this.#audiences = audiences;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const interaction = await this.#current(request, response);
    if (interaction === undefined) {
      writeReply(response, htmlReply(400, outcomePage('error', 'This page has expired.')));
      return;
    }
    const read = await readRequest(request);
    const result =
      interaction.prompt.name === 'login'
        ? this.#login(read)
        : await this.#consent(read, interaction);
    if (typeof result === 'string') {
      writeReply(response, htmlReply(200, result));
      return;
    }
    await this.#provider.interactionFinished(request, response, result, {
      mergeWithLastSubmission: true,
    });
  }

  /** The login that the browser's cookie belongs to, while there is one. */
  async #current(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<Interaction | undefined> {
    try {
      return await this.#provider.interactionDetails(request, response);
    } catch {
      return undefined;
    }
  }

  /** The result, or the page to show. */
  #login({ method, path, form }: IamRequest): InteractionResults | string {
    if (method !== 'POST') return loginPage(path);
    const user = this.#settings.people.withPassword(
      form.get('username') ?? '',
      form.get('password') ?? '',
    );
    if (user === undefined) return loginPage(path, 'Wrong name or password.');
    if (user.disabled === true || user.aupSigned === false) {
      return loginPage(path, `${user.name} cannot log in.`);
    }
    return { login: { accountId: user.sub } };
  }

  /** The result, or the page to show. */
  async #consent(
    { method, path, form }: IamRequest,
    { params, session, grantId }: Interaction,
  ): Promise<InteractionResults | string> {
    const scope = wordsOf(params['scope']);
    const clientId = String(params['client_id']);
    const accountId = session?.accountId ?? '';
    if (method !== 'POST') {
      const client = await this.#provider.Client.find(clientId);
      const userName = this.#settings.people.bySub(accountId)?.name ?? accountId;
      return consentPage({
        action: path,
        clientName: client?.clientName ?? clientId,
        userName,
        scope,
      });
    }
    if (form.get('decision') !== 'approve') {
      return { error: 'access_denied', error_description: 'the person said no' };
    }
    const known = grantId === undefined ? undefined : await this.#provider.Grant.find(grantId);
    const grant = known ?? new this.#provider.Grant({ accountId, clientId });
    grant.addOIDCScope(scope.join(' '));
    const saved = await grant.save();
    this.#audiences.set(saved, wordsOf(params['audience']));
    return { consent: { grantId: saved } };
  }
}
