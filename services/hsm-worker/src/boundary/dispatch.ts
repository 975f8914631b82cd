import { type Command, commands, type CommandName, type Refusal } from '@keyfleet/shared/hsm/commands';
import type { RequestEntry } from '@keyfleet/shared/hsm/frame';
import type { CommandContext, CommandHandler } from './commands/command.ts';
import { RefusedError } from './errors.ts';

export type CommandHandlers = { readonly [N in CommandName]: CommandHandler<N> };

/** What became of a command: its encoded output, which whoever seals it overwrites, or why it was refused. */
export type Outcome = Uint8Array | Refusal;

/** One command as the dispatcher runs it, whatever its types: decode, handle, encode. */
interface Runnable {
  readonly name: CommandName;
  readonly signed: boolean;
  run(input: Uint8Array, context: CommandContext): Outcome | Promise<Outcome>;
}

export interface DispatchDeps {
  readonly handlers: CommandHandlers;
  /** Undefined while the HSM belongs to no domain. */
  readonly context: () => CommandContext | undefined;
  readonly onUnknownDomainKey: () => void;
  /** A handler threw something that is no refusal: a bug. */
  readonly onFault: (command: CommandName, error: unknown) => void;
}

/**
 * Runs one command of a frame. `isSigned` checks the host's signature of the frame and is asked only where the contract
 * wants one.
 */
export class Dispatcher {
  readonly #deps: DispatchDeps;
  readonly #byCode = new Map<number, Runnable>();

  constructor(deps: DispatchDeps) {
    this.#deps = deps;
    for (const name of Object.keys(commands) as CommandName[]) {
      this.#byCode.set(commands[name].code, this.#runnable(name));
    }
  }

  /** A promise only for work that left the event loop. Never throws. */
  run(entry: RequestEntry, isSigned: () => boolean): Outcome | Promise<Outcome> {
    const context = this.#deps.context();
    if (context === undefined) return 'no-domain';
    const command = this.#byCode.get(entry.code);
    if (command === undefined) return 'invalid-input';
    if (command.signed && !(entry.signed && isSigned())) return 'not-signed';
    return command.run(entry.input, context);
  }

  #runnable<N extends CommandName>(name: N): Runnable {
    const contract: Command = commands[name];
    const handler = this.#deps.handlers[name] as (input: unknown, context: CommandContext) => unknown;
    const encode = (output: unknown): Uint8Array => {
      const fields = output as Record<string, unknown>;
      try {
        return contract.output.encode(fields);
      } finally {
        // What the caller gets stands in its encoding now.
        for (const secret of contract.secretOutputs) (fields[secret] as Uint8Array | undefined)?.fill(0);
      }
    };
    const refuse = (error: unknown): Refusal => this.#refusalOf(name, error);
    return {
      name,
      signed: contract.signed,
      run(bytes, context) {
        let input: unknown;
        try {
          input = contract.input.decode(bytes);
        } catch {
          return 'invalid-input';
        }
        try {
          const output = handler(input, context);
          return output instanceof Promise ? output.then(encode).catch(refuse) : encode(output);
        } catch (error) {
          return refuse(error);
        }
      },
    };
  }

  #refusalOf(name: CommandName, error: unknown): Refusal {
    if (!(error instanceof RefusedError)) {
      this.#deps.onFault(name, error);
      return 'internal';
    }
    if (error.refusal === 'unknown-domain-key') this.#deps.onUnknownDomainKey();
    return error.refusal;
  }
}
