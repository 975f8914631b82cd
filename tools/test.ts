// npm test: installs what a fresh clone lacks, then runs everything. Arguments go to vitest.
import { runChecks } from './check-steps.ts';
import { line, runStep } from './run-step.ts';
import { findServers } from './servers/find-server.ts';
import { StartError } from './start-error.ts';

/** Tests that need more than a fresh clone have a command of their own. */
const withoutOthers = ['kubernetes', 'terraform'].flatMap((project) => ['--project', `!${project}`]);
const reporters = ['default', './tools/failed-tests.ts'].flatMap((reporter) => ['--reporter', reporter]);

try {
  await findServers('/tmp', (progress) => process.stdout.write(`${progress}\n`));
  const checks = await runChecks();
  const tests = await runStep(
    {
      name: 'tests',
      args: ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...withoutOthers, ...process.argv.slice(2)],
    },
    'shown',
  );
  const outcomes = [...checks, tests];
  process.stdout.write(`\n${outcomes.map(line).join('\n')}\n`);
  process.exitCode = outcomes.every(({ ok }) => ok) ? 0 : 1;
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  process.stderr.write(`keyfleet: ${error.message}\n`);
  process.exitCode = 1;
}
