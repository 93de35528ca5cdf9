/** An identity provider and an object store on this machine, until Ctrl-C. */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import type { IamDialect, StoreDialect } from '../src/demo/dialect.ts';
import { type PlaygroundOptions, startPlayground } from '../src/demo/playground.ts';
import { guide } from '../src/demo/playground-guide.ts';
import { stopSignal } from './stop-signal.ts';

const help = `npm run playground -- [OPTIONS]: an identity provider and an object store on this machine,
until Ctrl-C. It says how to log in and mount when it runs.

  --iam-dialect NAME     standard (default) or indigo
  --store-dialect NAME   aws (default), minio or rgw
  --access-token TIME    life of access tokens: 10s, 5m, 1h (default 1h)
  --lease TIME           life of temporary credentials (default: as asked)
  --rotate, --no-rotate  whether a refresh replaces the refresh token (default: as the dialect)
  --iam-port N, --store-port N
  --help`;

/** The command line cannot be understood. */
class UsageError extends Error {}

const iamDialects: readonly IamDialect[] = ['standard', 'indigo'];
const storeDialects: readonly StoreDialect[] = ['aws', 'minio', 'rgw'];

function oneOf<T extends string>(names: readonly T[], text: string | undefined): T | undefined {
  const found = names.find((name) => name === text);
  if (text !== undefined && found === undefined) {
    throw new UsageError(`${text} is none of ${names.join(', ')}`);
  }
  return found;
}

const unitSeconds: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600 };

function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, count, unit = ''] = /^(\d{1,7})([smh]?)$/.exec(text) ?? [];
  const value = Number(count) * (unitSeconds[unit] ?? 0);
  if (value > 0) return value;
  throw new UsageError(`${text} is not a time such as 5s, 10m or 1h`);
}

function port(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new UsageError(`${text} is not a port`);
}

function optionsOf(args: readonly string[]): PlaygroundOptions {
  const { values } = parseArgs({
    args: [...args],
    allowNegative: true,
    options: {
      'iam-dialect': { type: 'string' },
      'store-dialect': { type: 'string' },
      'access-token': { type: 'string' },
      lease: { type: 'string' },
      rotate: { type: 'boolean' },
      'iam-port': { type: 'string' },
      'store-port': { type: 'string' },
    },
  });
  const given = {
    iamDialect: oneOf(iamDialects, values['iam-dialect']),
    storeDialect: oneOf(storeDialects, values['store-dialect']),
    accessTokenSeconds: seconds(values['access-token']),
    leaseSeconds: seconds(values.lease),
    rotateRefreshTokens: values.rotate,
    iamPort: port(values['iam-port']),
    storePort: port(values['store-port']),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

async function main(signal: AbortSignal): Promise<void> {
  if (process.argv.includes('--help')) {
    process.stdout.write(`${help}\n`);
    return;
  }
  await using playground = await startPlayground(optionsOf(process.argv.slice(2)), signal);
  for (const line of guide(playground, 'node bin/wire.js')) process.stdout.write(`${line}\n`);
  process.stdout.write('\nCtrl-C stops it.\n');
  if (!signal.aborted) await once(signal, 'abort');
}

const signal = stopSignal();
try {
  await main(signal);
} catch (error) {
  const isUsage = error instanceof UsageError || error instanceof TypeError;
  if (!signal.aborted) {
    const said = error instanceof Error ? error.message : 'failed';
    process.stderr.write(`playground: ${said}${isUsage ? '; see --help' : ''}\n`);
    process.exitCode = isUsage ? 2 : 1;
  }
}
