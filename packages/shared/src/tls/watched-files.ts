import { unwatchFile, watchFile } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

/** How often files are checked. Kubernetes itself takes a minute to deliver a changed Secret. */
const LOOK_MS = 2_000;

export interface WatchedFilesOptions<T> {
  readonly paths: readonly string[];
  /** Throws if the files cannot be used. */
  readonly read: () => T;
  /** The changed files cannot be used; the previous content remains in use. */
  readonly onProblem: (problem: Error) => void;
}

/** What some files hold together, reread when one of them changes. */
export class WatchedFiles<T> implements Disposable {
  readonly #options: WatchedFilesOptions<T>;
  readonly #listeners = new Set<() => void>();
  #content: T;

  /** Throws what `read` throws. */
  constructor(options: WatchedFilesOptions<T>) {
    this.#options = options;
    this.#content = options.read();
    for (const path of options.paths) watchFile(path, { interval: LOOK_MS, persistent: false }, this.#look);
  }

  get content(): T {
    return this.#content;
  }

  /** Calls `listener` after every change of the content. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  [Symbol.dispose](): void {
    for (const path of this.#options.paths) unwatchFile(path, this.#look);
    this.#listeners.clear();
  }

  /** A certificate written before its key is noticed again when the key changes. */
  readonly #look = (): void => {
    try {
      const content = this.#options.read();
      if (isDeepStrictEqual(content, this.#content)) return;
      this.#content = content;
    } catch (error) {
      return this.#options.onProblem(error as Error);
    }
    for (const listener of this.#listeners) listener();
  };
}
