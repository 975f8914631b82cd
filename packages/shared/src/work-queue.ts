import { AckPolicy, type JsMsg, type NatsConnection, nanos, RetentionPolicy, StorageType } from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import type { Notices } from './notices.ts';
import { assertStream, isNotFound, removeStream } from './streams.ts';

export interface WorkQueueOptions<Item> {
  /** The stream's name in JetStream. */
  readonly stream: string;
  /** The name of a similar stream in an earlier release: nobody takes its items any more. */
  readonly formerStream?: string;
  readonly subjects: string;
  readonly subjectOf: (item: Item) => string;
  readonly item: z.ZodType<Item>;
  /** At most one item of a subject waits; a newer one replaces it. */
  readonly onePerSubject?: boolean;
}

/**
 * Call `alive` from time to time, or the item also goes to another worker. If this throws, the item comes again, here
 * or elsewhere.
 */
export type HandleItem<Item> = (item: Item, alive: () => void) => Promise<void>;

const CONSUMER = 'frontends';
/** An item whose worker is silent this long goes to another. */
const ACK_WAIT_MS = 30_000;
const RETRY_MS = 2_000;
/** For all that the publisher asks of JetStream: a domain-manager waits for it, and must not lose its lease by that. */
const PUBLISH_MS = 4_000;

/** Work that any frontend may do. A lost, repeated or late item must do no harm: it only says where to look. */
export class WorkQueue<Item> {
  readonly #options: WorkQueueOptions<Item>;

  constructor(options: WorkQueueOptions<Item>) {
    this.#options = options;
  }

  /**
   * Resolves to true if JetStream stored them all. It drops a repeated id within two minutes. `onProblem`: why it did
   * not, while it can be reached.
   */
  async publish(
    notices: Pick<Notices, 'connection' | 'streamReplicas'>,
    items: readonly Item[],
    { idOf, onProblem }: { readonly idOf: (item: Item) => string; readonly onProblem: (problem: unknown) => void },
  ): Promise<boolean> {
    const connection = notices.connection();
    if (connection === undefined) return false;
    const putAll = async (): Promise<true> => {
      await this.#assertQueue(connection, notices.streamReplicas);
      const stream = connection.jetstream();
      const publishing = items.map((item) =>
        stream.publish(this.#options.subjectOf(item), JSON.stringify(item), { msgID: idOf(item), timeout: RETRY_MS }),
      );
      await Promise.all(publishing);
      return true;
    };
    try {
      if (await Promise.race([putAll(), delay(PUBLISH_MS, false, { ref: false })])) return true;
      throw new Error(`JetStream did not answer within ${PUBLISH_MS} ms`);
    } catch (error) {
      onProblem(error);
      return false;
    }
  }

  /** Works on items, one at a time, until disposed. */
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
          // No queue, no work: the publisher of the first item creates it.
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
    // Services that still run the earlier release recreate it for themselves.
    if (formerStream !== undefined) await removeStream(await connection.jetstreamManager(), formerStream);
    // Without a limit of messages that were taken and not acknowledged: a frontend could take that many, and put them
    // off for ever.
    const taking = { ack_policy: AckPolicy.Explicit, ack_wait: nanos(ACK_WAIT_MS), max_ack_pending: -1 };
    const consumer = { durable_name: CONSUMER, ...taking };
    const config = {
      name: stream,
      subjects: [subjects],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      num_replicas: replicas,
      ...(onePerSubject && { max_msgs_per_subject: 1 }),
    };
    await assertStream(connection, config, ({ consumers }) => consumers.add(stream, consumer));
  }
}

async function pause(signal: AbortSignal): Promise<void> {
  await delay(RETRY_MS, undefined, { signal }).catch(() => {});
}
