import type { Clock } from '@keyfleet/shared/clock';
import { timedOut } from '../../request/errors.ts';

interface Queue {
  last: Promise<unknown>;
  length: number;
}

/**
 * Lets an account's work go one after the other, so that what one piece cost is charged before the next begins. Other
 * accounts do not wait for it. Few of an account's requests come here at once (record-reads.ts).
 */
export class AccountTurns {
  readonly #queues = new Map<string, Queue>();

  /** Throws DependencyTimeoutException if its turn comes after the deadline. */
  async take<T>(
    { accountId, deadline, clock }: { readonly accountId: string; readonly deadline: number; readonly clock: Clock },
    work: () => Promise<T>,
  ): Promise<T> {
    const queue = this.#queues.get(accountId) ?? { last: Promise.resolve(), length: 0 };
    this.#queues.set(accountId, queue);
    queue.length += 1;
    const turn = queue.last.then(() => {
      if (clock.now() >= deadline) throw timedOut();
      return work();
    });
    queue.last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      queue.length -= 1;
      if (queue.length === 0) this.#queues.delete(accountId);
    }
  }
}
