/** A lasting problem would otherwise fill the log with a line every few seconds, which hides all others. */
export class SayOnce {
  readonly #said = new Map<string, string>();

  /**
   * Whether this differs from what was last said about `subject`. The subjects are a bounded set: addresses, members,
   * parts.
   */
  isNew(subject: string, trouble: unknown): boolean {
    const text = String(trouble);
    if (this.#said.get(subject) === text) return false;
    this.#said.set(subject, text);
    return true;
  }

  /** The problem is over: if it returns, it is said again. */
  over(subject: string): void {
    this.#said.delete(subject);
  }
}
