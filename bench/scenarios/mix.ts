import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { BenchError } from '../bench-error.ts';
import { getScenario } from './catalog.ts';
import type { Scenario } from './scenario.ts';

const Mix = z.record(z.string(), z.number().positive()).refine((mix) => Object.keys(mix).length > 0);

export interface Part {
  readonly scenario: Scenario;
  readonly weight: number;
}

/** Scenario -> how often it comes beside the others. */
export function readMix(file: string): Part[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new BenchError(`--mix ${file}: ${(cause as Error).message}`, { cause });
  }
  const mix = Mix.safeParse(content);
  if (!mix.success) throw new BenchError(`--mix ${file}: an object of scenarios and weights above 0 is wanted.`);
  return Object.entries(mix.data).map(([name, weight]) => ({ scenario: getScenario(name), weight }));
}
