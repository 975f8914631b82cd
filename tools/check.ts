import { runChecks } from './check-steps.ts';

const outcomes = await runChecks();
process.exitCode = outcomes.every(({ ok }) => ok) ? 0 : 1;
