/** Work of many milliseconds, in steps of a few, between which the caller may let everything else have its turn. */
export type Steps<T> = Generator<void, T, void>;

/** For where nothing else waits. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
