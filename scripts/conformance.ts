/**
 * `npm run conformance -- URL KEY SECRET [TOKEN]`: how much of the S3 interface a server keeps, one
 * line a check. Without KEY and SECRET the AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
 * AWS_SESSION_TOKEN of the environment count.
 *
 *   --at-least N   exit 0 when N checks pass (default 49)
 *   --bucket NAME  the bucket to make and to delete
 *   --region NAME  default us-east-1
 */
import { parseArgs } from 'node:util';
import { describeError } from './conformance/check.ts';
import { type CheckResult, runConformance } from './conformance/run.ts';
import type { ConformanceCredentials, Endpoint } from './conformance/target.ts';

/** Of 50: a server without versions can still do all that a mount needs. */
const DEFAULT_AT_LEAST = '49';

interface Task {
  readonly endpoint: Endpoint;
  readonly credentials: ConformanceCredentials;
  readonly atLeast: number;
}

function taskOf(args: readonly string[], env: NodeJS.ProcessEnv): Task | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      'at-least': { type: 'string', default: DEFAULT_AT_LEAST },
      bucket: { type: 'string' },
      region: { type: 'string' },
    },
  });
  const [url = ''] = positionals;
  const [, accessKeyId, secretAccessKey, sessionToken] =
    positionals.length > 1
      ? positionals
      : [url, env['AWS_ACCESS_KEY_ID'], env['AWS_SECRET_ACCESS_KEY'], env['AWS_SESSION_TOKEN']];
  const { bucket, region, 'at-least': atLeast } = values;
  if (!URL.canParse(url) || !accessKeyId || !secretAccessKey || !/^\d+$/.test(atLeast)) {
    return undefined;
  }
  return {
    endpoint: { url, ...(bucket && { bucket }), ...(region && { region }) },
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) },
    atLeast: Number(atLeast),
  };
}

function lineOf({ name, passed, reason }: CheckResult): string {
  return passed ? `yes  ${name}` : `NO   ${name} | ${reason}`;
}

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

async function main(signal: AbortSignal): Promise<number> {
  const task = taskOf(process.argv.slice(2), process.env);
  if (task === undefined) {
    say('usage: conformance URL KEY SECRET [TOKEN] [--at-least N] [--bucket NAME] [--region NAME]');
    return 2;
  }
  const results = await runConformance(task.endpoint, task.credentials, signal);
  for (const result of results) say(lineOf(result));
  const score = results.filter(({ passed }) => passed).length;
  say(`SCORE ${score}/${results.length}`);
  return score >= task.atLeast ? 0 : 1;
}

// The SDK's notice about older versions of Node would stand between the lines.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort(new Error('interrupted')));
try {
  process.exitCode = await main(interrupt.signal);
} catch (error) {
  process.stderr.write(`conformance: ${describeError(error)}\n`);
  // Of parseArgs: an option that is not known.
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
