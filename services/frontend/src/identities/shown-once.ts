/** A text that an answer shows to its caller, and that stands nowhere else: JSON leaves it out, and so does a log. */
export class ShownOnce {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** For the answer. */
  get text(): string {
    return this.#text;
  }

  toJSON(): undefined {
    return undefined;
  }
}
