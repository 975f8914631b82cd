import { isDerived } from '@keyfleet/shared/stored/names';

/**
 * Which names are backed up, in the order in which their values must be read while the service runs: what names something else before
 * it, so that what it names is there too; and domain tokens last, so that they hold every domain key that anything before is sealed
 * under. Each stage goes over all names, with a pattern for SCAN.
 */
const stages: readonly { readonly pattern: string; readonly names: RegExp }[] = [
  { pattern: 'kf:aliases:*', names: /^kf:aliases:/ },
  { pattern: 'kf:first-access-key:*', names: /^kf:first-access-key:/ },
  { pattern: 'kf:*', names: /^kf:(?!aliases:|first-access-key:|domain:\{.*\}:tokens$)/ },
  { pattern: 'kf:domain:*', names: /^kf:domain:\{.*\}:tokens$/ },
];

export const STAGES = stages.length;

/**
 * What lives only for a while. Progress of resealing above all: restored, it would be the proof of something that the older
 * records beside it are not. Deletions that are to be recorded: they are by the time of a restore.
 */
const passing = /^kf:(deletion:.*|domain:\{.*\}:(lease|confirmed|proposals|proposal:.*|reseal:.*)|restore)$/;

/** Whether something of the service is kept under this name. */
export function isKept(name: string): boolean {
  return name.startsWith('kf:') && !passing.test(name);
}

export function isTokenList(name: string): boolean {
  return stages.at(-1)!.names.test(name);
}

export function patternOf(stage: number): string {
  return stages[stage]!.pattern;
}

export function isOfStage(name: string, stage: number): boolean {
  return stages[stage]!.names.test(name) && isKept(name) && !isDerived(name);
}
