import { type ArgsDef, type CommandDef, defineCommand, type ParsedArgs } from 'citty';
import { CliError } from './cli-error.ts';
import type { Terminal } from './terminal.ts';

/** What a verb found out or did: plain data for programs, with byte strings as text. */
export type Result = object;

interface VerbParts<Args extends ArgsDef, R extends Result> {
  readonly description: string;
  readonly args: Args;
  readonly run: (args: ParsedArgs<Args>, terminal: Terminal) => Promise<R>;
  /** The result as people read it. */
  readonly text: (result: R) => string;
  /** If false, the exit code is 1: the verb worked, but its finding is bad. */
  readonly isWell?: (result: R) => boolean;
}

/** Thrown after the result was written. */
export class NotWellError extends Error {
  override name = 'NotWellError';
}

const json = { type: 'boolean', description: 'Print the result as JSON.', default: false } as const;

/** A CLI verb: prints text, or JSON with --json, and accepts only known options. */
export function verb<const Args extends ArgsDef, R extends Result>(
  parts: VerbParts<Args, R>,
): (terminal: Terminal, name: string) => CommandDef {
  return (terminal, name) =>
    defineCommand({
      meta: { name, description: parts.description },
      args: { ...parts.args, json } as ArgsDef,
      async run({ args }) {
        assertKnown(args, { ...parts.args, json });
        const result = await parts.run(args as unknown as ParsedArgs<Args>, terminal);
        terminal.write(args['json'] === true ? JSON.stringify(result, undefined, 2) : parts.text(inOneLine(result)));
        if (parts.isWell?.(result) === false) throw new NotWellError();
      },
    });
}

/**
 * The result with every line break in its texts escaped: they may come from a service or the store, and no line of
 * those may look like one of ours.
 */
function inOneLine<T>(value: T): T {
  if (typeof value === 'string') return value.replaceAll('\n', String.raw`\n`) as T;
  if (Array.isArray(value)) return value.map(inOneLine) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [inOneLine(name), inOneLine(member)])) as T;
}

/** citty accepts anything that begins with `--`, but a mistyped option in a key ceremony must not be ignored. */
function assertKnown(args: Record<string, unknown> & { _: string[] }, known: ArgsDef): void {
  const plain = (name: string): string => name.replaceAll('-', '').toLowerCase();
  const names = new Set(Object.keys(known).map(plain));
  const unknown = Object.keys(args).find((name) => name !== '_' && !names.has(plain(name)));
  if (unknown !== undefined) throw new CliError(`there is no option --${unknown}. See --help`, { exitCode: 2 });
  const positionals = Object.values(known).filter(({ type }) => type === 'positional').length;
  const extra = args._[positionals];
  if (extra !== undefined) throw new CliError(`unexpected argument '${extra}'. See --help`, { exitCode: 2 });
}
