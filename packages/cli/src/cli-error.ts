/**
 * What a person at the terminal is told: one line that says what is wrong and what to do. Anything else thrown is a
 * fault.
 */
export class CliError extends Error {
  override name = 'CliError';
  /** 1: it did not work. 2: called wrongly. */
  readonly exitCode: 1 | 2;

  constructor(message: string, options: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}
