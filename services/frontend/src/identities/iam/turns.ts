import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Clock } from '@keyfleet/shared/clock';
import { timedOut } from '../../request/errors.ts';

/** More than a script asks at once; each holds its policies while it waits. */
const MAX_WAITING = 16;

interface Queue {
  last: Promise<unknown>;
  length: number;
}

/**
 * Lets an account's work go one after the other, so that what one piece cost is charged before the next begins. Other
 * accounts do not wait for it.
 */
export class AccountTurns {
  readonly #queues = new Map<string, Queue>();

  /** Throws ThrottlingException if too many wait, DependencyTimeoutException if its turn comes after the deadline. */
  async take<T>(
    { accountId, deadline, clock }: { readonly accountId: string; readonly deadline: number; readonly clock: Clock },
    work: () => Promise<T>,
  ): Promise<T> {
    const queue = this.#queues.get(accountId) ?? { last: Promise.resolve(), length: 0 };
    if (queue.length >= MAX_WAITING) throw new KmsException('ThrottlingException', 'Rate exceeded');
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
