import { release } from 'node:os';
import type { Command } from 'commander';
import type { Bind } from '../context.ts';
import { addExamples } from '../setting-flags.ts';

export function addVersion(program: Command, bind: Bind, version: string): void {
  const added = program
    .command('version')
    .summary('what this is, and what it runs on')
    .description('Print the version of wire, of Node and of the system.')
    .option('--json', 'as JSON, for programs')
    .action(
      bind(async ({ terminal, platform }, command) => {
        const facts = {
          wire: version,
          node: process.versions.node,
          system: `${platform} ${release()} ${process.arch}`,
          openssl: process.versions.openssl,
        };
        const lines = Object.entries(facts).map(([name, value]) => `${name.padEnd(8)}${value}`);
        terminal.result(
          command.opts<{ readonly json?: boolean }>().json === true
            ? JSON.stringify(facts)
            : lines.join('\n'),
        );
        await Promise.resolve();
      }),
    );
  addExamples(added, ['wire version', 'wire version --json']);
}
