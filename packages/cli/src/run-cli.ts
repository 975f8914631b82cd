import { ConfigError } from '@keyfleet/shared/config';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { NamesMissedError } from '@keyfleet/shared/redis/nodes';
import { DamagedValueError } from '@keyfleet/shared/redis/stored-values';
import { type CommandDef, renderUsage, runCommand } from 'citty';
import { stripVTControlCharacters } from 'node:util';
import { CliError } from './cli-error.ts';
import { NotWellError } from './verb.ts';
import type { Terminal } from './terminal.ts';

/**
 * Runs a command line and returns its exit code: 0 success, 1 failure or a bad finding, 2 wrong usage. Never throws.
 */
export async function runCli(root: CommandDef, rawArgs: readonly string[], terminal: Terminal): Promise<0 | 1 | 2> {
  const asksForHelp = rawArgs.some((arg) => arg === '--help' || arg === '-h');
  try {
    if (asksForHelp || rawArgs.length === 0) {
      terminal.write(await usageOf(root, rawArgs));
      return 0;
    }
    await runCommand(root, { rawArgs: [...rawArgs] });
    return 0;
  } catch (error) {
    return explain(error, terminal);
  }
}

/** Errors whose message is for the person at the terminal. */
const forPeople = [CliError, DomainError, ConfigError, NamesMissedError, DamagedValueError] as const;

function explain(error: unknown, terminal: Terminal): 1 | 2 {
  if (error instanceof NotWellError) return 1;
  const { message } = error as Error;
  // citty does not export the class of its error for an unknown verb or a missing option.
  const wronglyCalled = (error as Error).name === 'CLIError';
  if (wronglyCalled || forPeople.some((kind) => error instanceof kind)) {
    // What a service says stays a part of the error: no line of it looks like one of ours.
    const lines = stripVTControlCharacters(message).replaceAll('\n', '\n  ');
    terminal.note(`keyfleet: ${lines}${wronglyCalled ? '. See --help' : ''}`);
    return wronglyCalled ? 2 : error instanceof CliError ? error.exitCode : 1;
  }
  terminal.note(`keyfleet: a fault in this program. Please report it:\n${(error as Error).stack ?? message}`);
  return 1;
}

async function usageOf(root: CommandDef, rawArgs: readonly string[]): Promise<string> {
  let found = root;
  const path: string[] = [];
  for (const word of rawArgs) {
    const next = (found.subCommands as Record<string, CommandDef | (() => Promise<CommandDef>)> | undefined)?.[word];
    if (next === undefined) break;
    path.push(((await found.meta) as { name: string }).name);
    found = typeof next === 'function' ? await next() : next;
  }
  const parent = path.length === 0 ? undefined : { meta: { name: path.join(' ') } };
  return stripVTControlCharacters(await renderUsage(found, parent));
}
