import type { Trust } from './read-cache.ts';

/**
 * Reads under way, by name. Who asks meanwhile shares them, while every change is sure to be heard: until one is, what
 * was being read before is as good as what is cached.
 */
export class SharedReads<T> {
  readonly #trust: Trust;
  readonly #reading = new Map<string, { readonly epoch: number; readonly value: Promise<T> }>();

  constructor(trust: Trust) {
    this.#trust = trust;
  }

  read(name: string, load: () => Promise<T>): Promise<T> {
    const { trusted, epoch } = this.#trust;
    if (!trusted) return load();
    const under = this.#reading.get(name);
    if (under?.epoch === epoch) return under.value;
    const value = load().finally(() => this.#reading.get(name) === reading && this.#reading.delete(name));
    const reading = { epoch, value };
    this.#reading.set(name, reading);
    return value;
  }

  /** What is under way is for those who wait for it, and for nobody else. */
  forget(name: string): void {
    this.#reading.delete(name);
  }

  forgetAll(): void {
    this.#reading.clear();
  }
}
