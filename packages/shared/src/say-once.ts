/** A trouble that stays would fill the log with one line every few seconds, which hides all others. */
export class SayOnce {
  readonly #said = new Map<string, string>();

  /** Whether this is not what was last said of `subject`. The subjects are a bounded set: addresses, members, parts. */
  isNew(subject: string, trouble: unknown): boolean {
    const text = String(trouble);
    if (this.#said.get(subject) === text) return false;
    this.#said.set(subject, text);
    return true;
  }

  /** The trouble is over: when it comes back, it is said again. */
  over(subject: string): void {
    this.#said.delete(subject);
  }
}
