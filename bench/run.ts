// npm run bench: --help says what it can do.
import { BenchError } from './bench-error.ts';

async function main(args: readonly string[]): Promise<void> {
  const [command, ...rest] = args;
  switch (command) {
    case 'compare':
      return (await import('./report/commands.ts')).compareFiles(rest);
    case 'report':
      return (await import('./report/commands.ts')).reportFiles(rest);
    case 'micro':
      return (await import('./micro/micro-command.ts')).micro(rest);
    case 'model':
      return (await import('./model/model-command.ts')).model(rest);
    case 'budget':
      return (await import('./budget/budget-command.ts')).budget(rest);
    default:
      return (await import('./measure/measure.ts')).measure(args);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const text = error instanceof BenchError ? error.message : String((error as Error).stack);
  process.stderr.write(`bench: ${text}\n`);
  process.exitCode = 1;
}
