import type { Target } from '../targets/target.ts';

/** Something that happens to a target while it is loaded. */
export interface BenchEvent {
  readonly name: string;
  /** `mark` notes a moment of it. Resolves when the target is whole again. */
  run(target: Target, mark: (what: string) => void): Promise<void>;
}
