/** Makes the next item while the consumer works on the current one. */
export async function* readAhead<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  for (let next = iterator.next(); ;) {
    const { done, value } = await next;
    if (done) return;
    next = iterator.next();
    // A consumer that stops early does not get the error.
    next.catch(() => {});
    yield value;
  }
}
