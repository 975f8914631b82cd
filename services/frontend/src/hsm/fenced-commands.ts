import type { Clock } from '@keyfleet/shared/clock';
import { deactivatedAt, type DomainState } from '@keyfleet/shared/domain/state';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { CommandName, InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { domainKeyIdOf } from '../reseal/sealed-records.ts';
import type { HsmCommands } from './commands.ts';

/** Members change over to a new domain key within a minute; the rest is for clocks that differ. */
export const GRACE_MS = 10 * 60_000;

/** Each asks a worker that the pool picks at random; nothing of what the one before made is stored. */
const ATTEMPTS = 5;

export interface FencedCommandsDeps {
  readonly hsm: HsmCommands;
  readonly domainState: () => DomainState | undefined;
  readonly clock: Clock;
}

/**
 * Takes no token under a domain key that went out of use a while ago. A worker that was removed, or is cut off from the domain, may go on
 * sealing under such a key; once nothing is stored under it it is destroyed, and what came later would be lost (docs/domain.md).
 */
export class FencedCommands implements HsmCommands {
  readonly #deps: FencedCommandsDeps;

  constructor(deps: FencedCommandsDeps) {
    this.#deps = deps;
  }

  async execute<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const output = await this.#deps.hsm.execute(name, input, deadline);
      if (!('token' in output) || !this.#isOutOfUse(output.token)) return output;
    }
    throw new KmsException(
      'DependencyTimeoutException',
      'The system timed out while trying to fulfill the request. You can retry the request.',
    );
  }

  executeEverywhere<N extends CommandName>(name: N, input: InputOf<N>, deadline: number): Promise<void> {
    return this.#deps.hsm.executeEverywhere(name, input, deadline);
  }

  #isOutOfUse(token: Uint8Array): boolean {
    const state = this.#deps.domainState();
    // A key this frontend has not heard of yet is newer than its view: workers hear of new keys first.
    const since = state && deactivatedAt(state, domainKeyIdOf(token));
    return since !== undefined && this.#deps.clock.now() - since > GRACE_MS;
  }
}
