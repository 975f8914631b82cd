import type { Target } from '../targets/target.ts';

/** Something that happens to a target while it is loaded. */
export interface BenchEvent {
  readonly name: string;
  /** `mark` notes a moment of it. Resolves when the target is whole again. */
  run(target: Target, mark: (what: string) => void): Promise<void>;
}

const processes = ['frontend', 'hsm-worker', 'domain-manager', 'redis', 'nats'] as const;

export const eventNames = ['rotation', 'backup', ...processes.map((name) => `kill-${name}` as const)] as const;
export type EventName = (typeof eventNames)[number];

/** Loaded when it is asked for: only a checkout has what some of them are done with. */
export async function loadEvent(name: EventName): Promise<BenchEvent> {
  if (name === 'rotation') return (await import('./domain-rotation.ts')).rotation;
  if (name === 'backup') return (await import('./backup.ts')).backup;
  return (await import('./kill.ts')).killing(name.slice('kill-'.length));
}
