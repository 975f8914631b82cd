import type { Clock } from '@keyfleet/shared/clock';
import type { ServiceEvents } from './service-events.ts';
import type { KeyStore, StoredEvent } from '../store/store.ts';
import type { KmsKey } from '../keys/kms-key.ts';

/** How long a frontend has to record a change to a key before others assume that it has died. */
export const RECORDING_MS = 60_000;

export interface RecordedChangeDeps {
  readonly keys: Pick<KeyStore, 'updateKey' | 'forgetEvents'>;
  readonly clock: Clock;
  readonly serviceEvents: Pick<ServiceEvents, 'record'>;
}

/**
 * Changes a key and records the change. The event is stored with the change and removed once it is in the audit log. If
 * that fails, `recorded` rejects; the event remains stored and is recorded when its claim expires, within a minute. Who
 * need not wait for the disk may leave `recorded` alone.
 */
export async function changeAndRecord(
  key: KmsKey,
  event: StoredEvent,
  { keys, clock, serviceEvents }: RecordedChangeDeps,
): Promise<{ readonly changed: KmsKey; readonly recorded: Promise<void> }> {
  const claimed = { ...event, until: clock.now() + RECORDING_MS };
  const changed = await keys.updateKey(key, claimed);
  const recorded = serviceEvents.record([claimed]).then(() => keys.forgetEvents(key, [claimed]));
  // Whoever waits for it hears of a rejection, late too; where nobody waited yet, it would end the process.
  recorded.catch(() => undefined);
  return { changed, recorded };
}
