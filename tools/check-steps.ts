import { type Outcome, runStep, type Step } from './run-step.ts';

const steps: readonly Step[] = [
  {
    name: 'format',
    args: ['node_modules/prettier/bin/prettier.cjs', '--check', '--cache', '--log-level', 'warn', '.'],
  },
  { name: 'lint', args: ['node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'types', args: ['node_modules/typescript/bin/tsc'] },
  { name: 'generated files', args: ['tools/gen.ts', '--check'] },
  { name: 'shipped configuration', args: ['tools/check-config.ts'] },
  { name: 'import rules', args: ['node_modules/vitest/vitest.mjs', 'run', '--project', 'unit', 'test/architecture'] },
];

/** Checks that do not run the product, in seconds. */
export function runChecks(): Promise<Outcome[]> {
  return Promise.all(steps.map((step) => runStep(step, 'quiet')));
}
