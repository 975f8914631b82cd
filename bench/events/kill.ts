import { setTimeout as delay } from 'node:timers/promises';
import type { BenchEvent } from './catalog.ts';

/** As long as a supervisor takes to see that a process ended. */
const NOTICED_MS = 250;

/** kill -9 of one process of the cluster, which is started again as a supervisor would. */
export function killing(process: string): BenchEvent {
  return {
    name: `kill-${process}`,
    async run({ cluster }, mark) {
      const name = cluster!.names.find((one) => one === process || one.startsWith(`${process}-`)) ?? process;
      mark(`${name} killed`);
      await cluster!.kill(name);
      await delay(NOTICED_MS);
      await cluster!.restart(name);
      mark(`${name} is back`);
    },
  };
}
