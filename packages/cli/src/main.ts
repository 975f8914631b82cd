import { setFlagsFromString } from 'node:v8';
import { keyfleet } from './keyfleet.ts';
import { runCli } from './run-cli.ts';
import { processTerminal } from './terminal.ts';

// Backup and restore make gigabytes of garbage of a million keys: it is collected soon, and not when the heap has grown
// by as much.
setFlagsFromString('--heap-growing-percent=25');
setFlagsFromString('--semi-space-growth-factor=1');

process.exitCode = await runCli(keyfleet(processTerminal), process.argv.slice(2), processTerminal);
