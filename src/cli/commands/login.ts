import { type Command, Option } from 'commander';
import type { Settings } from '../../config/options.ts';
import { parseUrl } from '../../config/values.ts';
import type { LoginEvents, LoginFlow, LoginInput, LoginOutcome } from '../../daemon/identity.ts';
import { LinkedAbort } from '../../lib/abort.ts';
import { WireError } from '../../lib/wire-error.ts';
import { browserCommand, openBrowser } from '../browser.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { LoginJson, loginEventsHelp } from '../login-json.ts';
import { countDown, LoginView } from '../login-view.ts';
import { addExamples, addSettingFlags, networkOptions } from '../setting-flags.ts';

interface LoginFlags extends LoginWishes {
  readonly browser: boolean;
  readonly qr?: boolean;
  readonly json?: boolean;
}

const flows: readonly LoginFlow[] = ['device', 'browser'];

export function addLogin(program: Command, bind: Bind): void {
  const command = program
    .command('login')
    .summary('log in with a code on a web page')
    .description(
      'Log in at an identity provider: prints a code and a page to enter it on, waits until it is ' +
        'approved, and keeps the login for `wire mount`. Without ISSUER: the one of the profile.\n\n' +
        'With --flow browser there is no code: a browser of this machine logs in and comes back.',
    )
    .argument('[issuer]', 'URL of the identity provider');
  addSettingFlags(command, ['clientId', 'audience', 'scopes', ...networkOptions])
    .option('--client-secret-file <file>', 'file with the secret of --client-id (never in argv)')
    .addOption(
      new Option('--flow <flow>', 'with a code (device) or a browser of this machine (browser)')
        .choices(flows)
        .default('device'),
    )
    .option('--public', 'register a client without a secret')
    .option('--insecure-storage', 'without a keychain: keep the key of the logins in a plain file')
    .option('--qr', 'show the QR code even where no terminal is')
    .option('--no-browser', 'do not open the page in a browser')
    .option('--json', 'events as JSON, for programs and notebooks')
    .action(bind(runLogin));
  addExamples(command, [
    'wire login https://iam.example.org',
    'wire login https://iam.example.org --audience object',
    'wire login https://iam.example.org --client-id abc --client-secret-file ~/.secret',
    'wire login https://iam.example.org --flow browser',
    'wire login --profile work',
  ]).addHelpText('after', loginEventsHelp);
}

async function runLogin(context: CommandContext, command: Command): Promise<void> {
  const flags = command.opts<LoginFlags>();
  const openPage = pageOpener(context, flags);
  if (flags.json === true) await reportLogin(context, command, openPage);
  else await showLogin(context, command, openPage);
}

/** Opens a page in a browser; false where there is none. */
type PageOpener = (url: string) => boolean;

function pageOpener(
  { environment, platform }: CommandContext,
  { browser }: LoginFlags,
): PageOpener {
  const opener = browser ? browserCommand(environment, platform) : undefined;
  return (url) => opener !== undefined && openBrowser(opener, url, environment);
}

async function showLogin(
  context: CommandContext,
  command: Command,
  openPage: PageOpener,
): Promise<void> {
  const { terminal, clock } = context;
  const alwaysQr = command.opts<LoginFlags>().qr ?? false;
  const view = new LoginView({ terminal, alwaysQr, openPage });
  using counting = new LinkedAbort(context.signal);
  const countdown = countDown(view, clock, counting.signal);
  try {
    const login = await logIn(context, command, view);
    counting.abort();
    view.done(login, clock.now());
  } finally {
    counting.abort();
    await countdown;
  }
}

async function reportLogin(
  context: CommandContext,
  command: Command,
  openPage: PageOpener,
): Promise<void> {
  const report = new LoginJson(context.terminal, openPage);
  try {
    report.done(await logIn(context, command, report));
  } catch (error) {
    if (error instanceof WireError) report.failed(error);
    throw error;
  }
}

async function logIn(
  context: CommandContext,
  command: Command,
  events: LoginEvents,
): Promise<LoginOutcome> {
  const { settings } = await commandSettings(context, command);
  const input = loginInput(command.args[0], settings, command.opts<LoginFlags>());
  const daemon = await context.daemonOf(settings);
  const login = await daemon.login(input, events, context.signal);
  context.log.info('logged in', { issuer: login.issuer, storedIn: login.storedIn });
  return login;
}

/** What of a login is not said by settings. */
export interface LoginWishes {
  readonly clientSecretFile?: string;
  readonly insecureStorage?: boolean;
  readonly public?: boolean;
  readonly flow: LoginFlow;
}

/** @throws WireError `usage`. */
export function loginInput(
  typed: string | undefined,
  settings: Settings,
  flags: LoginWishes,
): LoginInput {
  const issuer = typed ?? settings.issuer;
  if (issuer === undefined) {
    const next = 'write: wire login ISSUER, such as https://iam.example.org';
    throw new WireError('usage', { tried: 'log in', answered: 'no issuer was named', next });
  }
  const parsed = parseUrl(issuer);
  if (!parsed.ok) {
    throw new WireError('usage', { tried: `log in at ${issuer}`, answered: `it ${parsed.fault}` });
  }
  const { clientId, audience, scopes } = settings;
  if (flags.clientSecretFile !== undefined && clientId === undefined) {
    const facts = { tried: 'use --client-secret-file', answered: 'there is no --client-id' };
    throw new WireError('usage', facts);
  }
  return {
    issuer,
    scopes: scopes ?? [],
    publicClient: flags.public ?? false,
    insecureStorage: flags.insecureStorage ?? false,
    flow: flags.flow,
    ...(clientId !== undefined && { clientId }),
    ...(flags.clientSecretFile !== undefined && { clientSecretFile: flags.clientSecretFile }),
    ...(audience !== undefined && { audience }),
  };
}
