import { keyfleet } from './keyfleet.ts';
import { runCli } from './run-cli.ts';
import { processTerminal } from './terminal.ts';

process.exitCode = await runCli(keyfleet(processTerminal), process.argv.slice(2), processTerminal);
