import type { DomainFloor } from '@keyfleet/frontend/hsm/domain-floor';
import { expect } from 'vitest';
import { type Change, TestDomain } from './domain.ts';
import { until } from './loopback-worker.ts';
import { newFloor, showing, viewOf } from './shown-tokens.ts';

const HOUR = 3_600_000;
/** Of the third of three members. */
export const removal: Change = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } };

/** A domain of three that may rotate again, and a frontend that two honest domain-managers and a hostile one serve. */
export async function newWorld({ floor = newFloor() as DomainFloor } = {}) {
  const domain = new TestDomain({ members: 3 });
  domain.clock.advance(2 * HOUR);
  const [one, two, hostile] = [showing('one', []), showing('two', []), showing('hostile', domain.tokens.slice())];
  const managers = [one, two, hostile];
  const show = (): void => {
    for (const manager of [one, two]) manager.tokens = domain.tokens.slice();
  };
  show();
  const started = viewOf(domain, managers, { floor });
  await until(() => started.view.state?.generation === 1);
  for (const hsm of domain.hsms.slice(0, 2)) expect(await started.proves(hsm)).toBe(true);
  return {
    ...started,
    domain,
    managers,
    show,
    /** The hostile one shows these after all that are stored. */
    async shows(...hidden: readonly Buffer[]): Promise<void> {
      hostile.tokens = [...domain.tokens, ...hidden];
      await started.view.hear();
    },
    async heard(): Promise<void> {
      show();
      await started.view.hear();
    },
    [Symbol.asyncDispose]: started[Symbol.asyncDispose],
  };
}
