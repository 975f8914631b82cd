import { setFlagsFromString } from 'node:v8';
import { keyfleet } from './keyfleet.ts';
import { runCli } from './run-cli.ts';
import { processTerminal } from './terminal.ts';

// With a million keys, backup and restore make gigabytes of garbage: it is collected early, not after the heap has
// grown by as much.
setFlagsFromString('--heap-growing-percent=25');
setFlagsFromString('--semi-space-growth-factor=1');

process.exitCode = await runCli(keyfleet(processTerminal), process.argv.slice(2), processTerminal);
