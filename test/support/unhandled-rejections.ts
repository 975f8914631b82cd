/** What `work` leaves rejected with nobody to handle it, which would end a service's process. */
export async function unhandledRejections(work: () => Promise<unknown>): Promise<unknown[]> {
  const unheard: unknown[] = [];
  const hear = (reason: unknown): void => void unheard.push(reason);
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', hear);
  try {
    await work();
    // Node.js tells of it when the microtasks are done.
    await new Promise(setImmediate);
  } finally {
    process.off('unhandledRejection', hear);
    for (const other of others) process.on('unhandledRejection', other);
  }
  return unheard;
}
