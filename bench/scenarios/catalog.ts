import { BenchError } from '../bench-error.ts';
import { keyExchangeScenarios } from './key-exchange.ts';
import { keyScenarios } from './keys.ts';
import { macScenarios } from './macs.ts';
import type { Scenario } from './scenario.ts';
import { signingScenarios } from './signing.ts';
import { symmetricScenarios } from './symmetric.ts';

export const scenarios: readonly Scenario[] = [
  ...symmetricScenarios,
  ...keyScenarios,
  ...signingScenarios,
  ...macScenarios,
  ...keyExchangeScenarios,
];

export function getScenario(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found) return found;
  throw new BenchError(`no scenario '${name}'. There are ${scenarios.map((one) => one.name).join(', ')}.`);
}
