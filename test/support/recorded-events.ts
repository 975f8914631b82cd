import { readFileSync } from 'node:fs';
import type { ServiceEvent } from '@keyfleet/frontend/audit/service-events';
import { RECORDING_MS } from '@keyfleet/frontend/audit/recorded-change';
import type { TestCluster } from './cluster.ts';

/**
 * How long a change may wait for its record. A frontend that does not hear what Redis answers to its claim has claimed
 * the event all the same: that claim expires first.
 */
export const RECORDED_WITHIN_MS = RECORDING_MS + 30_000;

/** What the service did on its own, by these audit logs of the cluster. */
export function recordedEvents(
  { home }: TestCluster,
  files: readonly string[] = ['audit.log'],
): (ServiceEvent & { readonly keyId: string })[] {
  const lines = files.flatMap((file) => readFileSync(home.in('log', file), 'utf8').split('\n'));
  const told = lines.filter((line) => line.includes('"AwsServiceEvent"'));
  // A frontend that could not note that it has recorded an event records it again: the same line (docs/consistency.md).
  const events = [...new Set(told)].map((line) => JSON.parse(line) as ServiceEvent);
  return events.map((event) => ({ ...event, keyId: event.resources[0]!.ARN.split('/')[1]! }));
}
