import type { Hsm, HsmDescription } from './boundary/hsm.ts';
import type { WorkerEvents } from './events.ts';
import { writeDurably } from './identity-file.ts';

export interface DomainMembershipOptions {
  readonly hsm: Hsm;
  readonly identityFile: string;
  readonly events: Pick<WorkerEvents, 'tokenInstalled'>;
}

/** The HSM's part in its domain, with what it must remember kept on disk before anyone is told. */
export class DomainMembership {
  readonly #options: DomainMembershipOptions;
  #installing: Promise<unknown> = Promise.resolve();

  constructor(options: DomainMembershipOptions) {
    this.#options = options;
  }

  describe(): HsmDescription {
    return this.#options.hsm.describe();
  }

  /** Throws `DomainError`. */
  prepare(proposal: Uint8Array, current: Uint8Array | undefined): Uint8Array {
    return this.#options.hsm.prepare(proposal, current);
  }

  activate(generation: number): HsmDescription {
    this.#options.hsm.activate(generation);
    return this.describe();
  }

  /** One after the other: the file never goes back to an older generation. Throws `DomainError`, or when the disk fails. */
  install(tokens: readonly Uint8Array[]): Promise<HsmDescription> {
    const installed = this.#installing.then(() => this.#install(tokens));
    this.#installing = installed.catch(() => {});
    return installed;
  }

  async #install(tokens: readonly Uint8Array[]): Promise<HsmDescription> {
    const { hsm, identityFile, events } = this.#options;
    const before = hsm.describe().generation;
    hsm.install(tokens);
    // Also when nothing is new: the last write may have failed.
    await writeDurably(identityFile, hsm.sealedIdentity());
    const description = hsm.describe();
    if (description.generation !== before) events.tokenInstalled(description.domain, description.generation);
    return description;
  }
}
