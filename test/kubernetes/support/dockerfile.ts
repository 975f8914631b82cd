import { readFileSync } from 'node:fs';

/** One instruction of a Dockerfile. */
export interface Instruction {
  readonly name: string;
  readonly argument: string;
}

export interface Stage {
  readonly name: string;
  /** The stage or image that it begins with. */
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile whose instructions are all of one line. */
export function stagesOf(path: string): Stage[] {
  const stages: { name: string; from: string; instructions: Instruction[] }[] = [];
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, name, argument = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    if (name === 'FROM') {
      const [from = '', stage = 'image'] = argument.split(' AS ');
      stages.push({ name: stage, from, instructions: [] });
    } else stages.at(-1)!.instructions.push({ name, argument });
  }
  return stages;
}

/** The argument of the stage's only instruction of that name. */
export function argumentOf({ instructions }: Stage, name: string): string {
  const found = instructions.filter((instruction) => instruction.name === name);
  if (found.length !== 1) throw new Error(`the Dockerfile has ${found.length} ${name}`);
  return found[0]!.argument;
}
