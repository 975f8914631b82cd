const BATCHES = 5;

/**
 * Microseconds of CPU that one call costs: of the whole process, thread pool and collector too, with everything in the
 * CPU's caches, one call at a time; the best of five batches.
 */
export async function costOf(rounds: number, call: () => unknown): Promise<number> {
  for (let i = 0; i < rounds / 4; i++) await call();
  let best = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < BATCHES; batch++) {
    const before = process.cpuUsage();
    for (let i = 0; i < rounds / BATCHES; i++) {
      const answer = call();
      // Awaiting what is no promise would count the event loop too.
      if (answer instanceof Promise) await answer;
    }
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / (rounds / BATCHES));
  }
  return best;
}

/** Prints the cost of a call, if its name has in it what the command line asks for. */
export async function measureCost(name: string, rounds: number, call: () => unknown): Promise<void> {
  if (!name.toLowerCase().includes((process.argv[2] ?? '').toLowerCase())) return;
  const cost = await costOf(rounds, call);
  process.stdout.write(`${name.padEnd(56)} ${cost.toFixed(cost < 10 ? 2 : 1).padStart(9)} us\n`);
}
