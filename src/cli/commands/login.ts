import type { Command } from 'commander';
import type { Settings } from '../../config/options.ts';
import { parseUrl } from '../../config/values.ts';
import type { LoginInput } from '../../daemon/identity.ts';
import { LinkedAbort } from '../../lib/abort.ts';
import { WireError } from '../../lib/wire-error.ts';
import { browserCommand, openBrowser } from '../browser.ts';
import { type Bind, type CommandContext, commandSettings } from '../context.ts';
import { countDown, describeLogin, LoginView } from '../login-view.ts';
import { addExamples, addSettingFlags, networkOptions } from '../setting-flags.ts';

interface LoginFlags {
  readonly clientSecretFile?: string;
  readonly insecureStorage?: boolean;
  readonly browser: boolean;
  readonly qr?: boolean;
  readonly public?: boolean;
}

export function addLogin(program: Command, bind: Bind): void {
  const command = program
    .command('login')
    .summary('log in with a code on a web page')
    .description(
      'Log in at an identity provider: prints a code and a page to enter it on, waits until it is\n' +
        'approved, and keeps the login for `wire mount`. Without ISSUER: the one of the profile.',
    )
    .argument('[issuer]', 'URL of the identity provider');
  addSettingFlags(command, ['clientId', 'audience', 'scopes', ...networkOptions])
    .option('--client-secret-file <file>', 'file with the secret of --client-id (never in argv)')
    .option('--public', 'register a client without a secret')
    .option('--insecure-storage', 'without a keychain: keep the key of the logins in a plain file')
    .option('--qr', 'show the QR code even where no terminal is')
    .option('--no-browser', 'do not open the page in a browser')
    .action(bind(runLogin));
  addExamples(command, [
    'wire login https://iam.example.org',
    'wire login https://iam.example.org --audience object',
    'wire login https://iam.example.org --client-id abc --client-secret-file ~/.secret',
    'wire login --profile work',
  ]);
}

async function runLogin(context: CommandContext, command: Command): Promise<void> {
  const { terminal, clock } = context;
  const flags = command.opts<LoginFlags>();
  const { settings } = await commandSettings(context, command);
  const input = loginInput(command, settings, flags);
  const opener = flags.browser ? browserCommand(context.environment, context.platform) : undefined;
  const view = new LoginView({
    terminal,
    alwaysQr: flags.qr ?? false,
    openPage: (url) => {
      if (opener !== undefined) openBrowser(opener, url);
    },
  });
  using counting = new LinkedAbort(context.signal);
  const countdown = countDown(view, clock, counting.signal);
  try {
    const daemon = await context.daemonOf(settings);
    const login = await daemon.login(input, view, context.signal);
    counting.abort();
    terminal.say(`Kept in ${login.storedIn}`);
    terminal.say(describeLogin(login, clock.now()));
  } finally {
    counting.abort();
    await countdown;
  }
}

function loginInput(command: Command, settings: Settings, flags: LoginFlags): LoginInput {
  const [typed] = command.args;
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
    ...(clientId !== undefined && { clientId }),
    ...(flags.clientSecretFile !== undefined && { clientSecretFile: flags.clientSecretFile }),
    ...(audience !== undefined && { audience }),
  };
}
