import { AckPolicy, type JsMsg, type NatsConnection, nanos, RetentionPolicy, StorageType } from 'nats';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Notices } from './notices.ts';

/**
 * After a domain key was replaced, everything sealed under older ones is resealed: the key space is cut into shards, and the
 * frontends take them from a work queue. An item that is lost, repeated or late does no harm: resealing twice changes nothing,
 * and the domain-manager asks again for what nobody reported.
 */
export const ResealItem = z.object({
  /** The generation that made the domain key to reseal under. */
  generation: z.int().min(1),
  /** Passes repeat until one finds nothing to do: that one is the proof. */
  pass: z.int().min(1),
  shard: z.int().min(0),
  shards: z.int().min(1),
});
export type ResealItem = z.output<typeof ResealItem>;

/** What one pass over one shard found. */
export const ShardReport = z.object({
  /** Tokens that were under an older domain key and are now under the active one. */
  resealed: z.int().min(0),
  /** Tokens that still are under an older one. */
  remaining: z.int().min(0),
});
export type ShardReport = z.output<typeof ShardReport>;

/** Redis hash of the progress of a generation; a shard's report is the field `<pass>:<shard>`, as JSON. */
export function resealProgressKey(domain: string, generation: number): string {
  return `kf:domain:{${domain}}:reseal:${generation}`;
}

export function reportField({ pass, shard }: Pick<ResealItem, 'pass' | 'shard'>): string {
  return `${pass}:${shard}`;
}

const STREAM = 'KEYFLEET_RESEAL';
const SUBJECT = 'keyfleet.reseal.item';
const CONSUMER = 'frontends';
/** An item whose frontend said nothing for this long goes to another. */
const ACK_WAIT_MS = 30_000;
const RETRY_MS = 2_000;

/** True when JetStream stored it. `attempt` tells a repetition on purpose from one by accident, which JetStream drops. */
export async function publishResealItem(
  notices: Pick<Notices, 'connection'>,
  item: ResealItem,
  attempt: number,
): Promise<boolean> {
  const connection = notices.connection();
  if (connection === undefined) return false;
  const { generation, pass, shard } = item;
  try {
    await assertQueue(connection);
    const msgID = `${generation}/${pass}/${shard}/${attempt}`;
    await connection.jetstream().publish(SUBJECT, JSON.stringify(item), { msgID, timeout: RETRY_MS });
    return true;
  } catch {
    return false;
  }
}

/**
 * Works on items, one at a time, until disposed of. `work` calls `alive` now and then, or the item goes to another frontend; when it
 * throws, the item comes again later, here or there.
 */
export function startResealWorker(
  notices: Pick<Notices, 'connection'>,
  work: (item: ResealItem, alive: () => void) => Promise<void>,
  onProblem: (problem: unknown) => void,
): AsyncDisposable {
  const stop = new AbortController();
  const running = (async () => {
    while (!stop.signal.aborted) {
      try {
        const connection = notices.connection();
        if (connection === undefined || !(await workOnNext(connection, work))) await pause(stop.signal);
      } catch (error) {
        if (!stop.signal.aborted) onProblem(error);
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

/** False when there was nothing to do. */
async function workOnNext(
  connection: NatsConnection,
  work: (item: ResealItem, alive: () => void) => Promise<void>,
): Promise<boolean> {
  await assertQueue(connection);
  const consumer = await connection.jetstream().consumers.get(STREAM, CONSUMER);
  const message = await consumer.next({ expires: RETRY_MS });
  if (message === null) return false;
  const item = itemOf(message);
  if (item === undefined) {
    message.term();
    return true;
  }
  try {
    await work(item, () => message.working());
    message.ack();
  } catch (error) {
    message.nak(RETRY_MS);
    throw error;
  }
  return true;
}

function itemOf(message: JsMsg): ResealItem | undefined {
  try {
    return ResealItem.parse(message.json());
  } catch {
    return undefined;
  }
}

async function assertQueue(connection: NatsConnection): Promise<void> {
  const manager = await connection.jetstreamManager();
  await manager.streams.add({
    name: STREAM,
    subjects: [SUBJECT],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
  });
  const config = { durable_name: CONSUMER, ack_policy: AckPolicy.Explicit, ack_wait: nanos(ACK_WAIT_MS) };
  await manager.consumers.add(STREAM, config);
}

async function pause(signal: AbortSignal): Promise<void> {
  await delay(RETRY_MS, undefined, { signal }).catch(() => {});
}
