import { backup } from './backup.ts';
import type { BenchEvent } from './event.ts';
import { killing } from './kill.ts';
import { rotation } from './domain-rotation.ts';

const processes = ['frontend', 'hsm-worker', 'domain-manager', 'redis', 'nats'] as const;

export const eventNames = ['rotation', 'backup', ...processes.map((name) => `kill-${name}` as const)] as const;
export type EventName = (typeof eventNames)[number];

const events: readonly BenchEvent[] = [rotation, backup, ...processes.map(killing)];

export function getEvent(name: EventName): BenchEvent {
  return events.find((event) => event.name === name)!;
}
