/** The next is being made while one is worked on. */
export async function* readAhead<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  for (let next = iterator.next(); ;) {
    const { done, value } = await next;
    if (done) return;
    next = iterator.next();
    // Whoever stops asking does not hear how it went.
    next.catch(() => {});
    yield value;
  }
}
