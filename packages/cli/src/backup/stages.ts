import { ALL_NAMES, patternOf, type StoredKind, storedNameOf, storedValues } from '@keyfleet/shared/stored/names';

/**
 * The order in which values must be read while the service runs: a value before those that it names, so that these are
 * there too; domain tokens last, so that they hold every domain key under which anything before is sealed. Each stage
 * iterates over all names, with a pattern for SCAN.
 */
const stages: readonly (StoredKind | 'others')[] = ['aliases', 'firstAccessKey', 'others', 'tokens'];

export const STAGES = stages.length;

/**
 * Whether a backup contains the value under this name. It also contains unknown values: a newer release may have put
 * them there.
 */
export function isKept(name: string): boolean {
  if (!name.startsWith('kf:')) return false;
  const kind = storedNameOf(name)?.kind;
  return kind === undefined || storedValues[kind].role !== 'passing';
}

export function isDerived(name: string): boolean {
  const kind = storedNameOf(name)?.kind;
  return kind !== undefined && storedValues[kind].role === 'derived';
}

export function scanPatternOf(stage: number): string {
  const kind = stages[stage]!;
  return kind === 'others' ? ALL_NAMES : patternOf(kind);
}

export function isOfStage(name: string, stage: number): boolean {
  if (!isKept(name) || isDerived(name)) return false;
  const kind = storedNameOf(name)?.kind;
  return stages[stage] === (kind !== undefined && stages.includes(kind) ? kind : 'others');
}
