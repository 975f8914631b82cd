import {
  AckPolicy,
  type JetStreamManager,
  type JsMsg,
  type NatsConnection,
  nanos,
  RetentionPolicy,
  StorageType,
} from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import type { Notices } from './notices.ts';
import { assertStream, isNotFound } from './streams.ts';

export interface WorkQueueOptions<Item> {
  /** JetStream's name of it. */
  readonly stream: string;
  /** What a release of before called one like it: nobody takes its items any more. */
  readonly formerStream?: string;
  readonly subjects: string;
  readonly subjectOf: (item: Item) => string;
  readonly item: z.ZodType<Item>;
  /** At most one item of a subject waits; a newer one takes its place. */
  readonly onePerSubject?: boolean;
}

/**
 * Calls `alive` now and then, or the item goes to another worker too; when it throws, the item comes again, here or
 * there.
 */
export type HandleItem<Item> = (item: Item, alive: () => void) => Promise<void>;

const CONSUMER = 'frontends';
/** An item whose worker said nothing for this long goes to another. */
const ACK_WAIT_MS = 30_000;
const RETRY_MS = 2_000;

/**
 * Work that any frontend may do. An item that is lost, repeated or late must do no harm: it only says where to look.
 */
export class WorkQueue<Item> {
  readonly #options: WorkQueueOptions<Item>;

  constructor(options: WorkQueueOptions<Item>) {
    this.#options = options;
  }

  /** True when JetStream stored them all. It drops what comes with the same id within two minutes. */
  async publish(
    notices: Pick<Notices, 'connection' | 'streamReplicas'>,
    items: readonly Item[],
    idOf: (item: Item) => string,
  ): Promise<boolean> {
    const connection = notices.connection();
    if (connection === undefined) return false;
    try {
      await this.#assertQueue(connection, notices.streamReplicas);
      const stream = connection.jetstream();
      const publishing = items.map((item) =>
        stream.publish(this.#options.subjectOf(item), JSON.stringify(item), { msgID: idOf(item), timeout: RETRY_MS }),
      );
      await Promise.all(publishing);
      return true;
    } catch {
      return false;
    }
  }

  /** Works on items, one at a time, until disposed of. */
  startWorker(
    notices: Pick<Notices, 'connection'>,
    work: HandleItem<Item>,
    onProblem: (problem: unknown) => void,
  ): AsyncDisposable {
    const stop = new AbortController();
    const running = (async () => {
      while (!stop.signal.aborted) {
        try {
          const connection = notices.connection();
          if (connection === undefined) await pause(stop.signal);
          else await this.#workOnNext(connection, work);
        } catch (error) {
          // No queue, no work: whoever publishes the first item makes it.
          if (!stop.signal.aborted && !isNotFound(error)) onProblem(error);
          await pause(stop.signal);
        }
      }
    })();
    return {
      async [Symbol.asyncDispose]() {
        stop.abort();
        await running;
      },
    };
  }

  /** Returns after a while if there is nothing to do. */
  async #workOnNext(connection: NatsConnection, work: HandleItem<Item>): Promise<void> {
    const consumer = await connection.jetstream().consumers.get(this.#options.stream, CONSUMER);
    const message = await consumer.next({ expires: RETRY_MS });
    if (message === null) return;
    const item = this.#itemOf(message);
    if (item === undefined) {
      message.term();
      return;
    }
    try {
      await work(item, () => message.working());
      message.ack();
    } catch (error) {
      message.nak(RETRY_MS);
      throw error;
    }
  }

  #itemOf(message: JsMsg): Item | undefined {
    try {
      return this.#options.item.parse(message.json());
    } catch {
      return undefined;
    }
  }

  async #assertQueue(connection: NatsConnection, replicas: number): Promise<void> {
    const { stream, formerStream, subjects, onePerSubject } = this.#options;
    const manager = await connection.jetstreamManager();
    if (formerStream !== undefined) await remove(manager, formerStream);
    await assertStream(connection, {
      name: stream,
      subjects: [subjects],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      num_replicas: replicas,
      ...(onePerSubject && { max_msgs_per_subject: 1 }),
    });
    const consumer = { durable_name: CONSUMER, ack_policy: AckPolicy.Explicit, ack_wait: nanos(ACK_WAIT_MS) };
    await manager.consumers.add(stream, consumer);
  }
}

/** Whether it was there or not; whoever still runs the release of before makes it again for itself. */
async function remove(manager: JetStreamManager, stream: string): Promise<void> {
  try {
    await manager.streams.delete(stream);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await delay(RETRY_MS, undefined, { signal }).catch(() => {});
}
