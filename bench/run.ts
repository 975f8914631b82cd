// npm run bench: --help says what it can do.
import { BenchError } from './bench-error.ts';

async function main([command = '', ...rest]: readonly string[]): Promise<void> {
  const { measure } = await import('./measure/measure.ts');
  return measure([command, ...rest].filter((arg) => arg !== ''));
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const text = error instanceof BenchError ? error.message : String((error as Error).stack);
  process.stderr.write(`bench: ${text}\n`);
  process.exitCode = 1;
}
