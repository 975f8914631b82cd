/**
 * A message for the person at the terminal: one line that says what is wrong and what to do. Anything else thrown is a
 * fault.
 */
export class CliError extends Error {
  override name = 'CliError';
  /** 1: it failed. 2: wrong usage. */
  readonly exitCode: 1 | 2;

  constructor(message: string, options: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}
