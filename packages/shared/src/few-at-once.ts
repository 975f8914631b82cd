/**
 * As Promise.all over `work`, with so many under way at most: each begins when another ends, so that none waits for the
 * slowest. Once one has failed, none begins.
 */
export async function fewAtOnce<T, R>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  // A lane that fails ends the generator, and with it all lanes.
  const left = (function* () {
    let index = 0;
    for (const item of items) yield [index++, item] as const;
  })();
  const lane = async (): Promise<void> => {
    for (const [index, item] of left) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return results;
}
