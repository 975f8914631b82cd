import type { Hsm, HsmDescription } from './boundary/hsm.ts';
import type { WorkerEvents } from './events.ts';
import { writeDurably } from './identity-file.ts';

export interface DomainMembershipOptions {
  readonly hsm: Hsm;
  readonly identityFile: string;
  /** Writes the public part where operators find it. */
  readonly publishIdentity: () => Promise<void>;
  readonly events: Pick<WorkerEvents, 'tokenInstalled'>;
}

/** The HSM's part in its domain, with what it must remember kept on disk before anyone is told. */
export class DomainMembership {
  readonly #options: DomainMembershipOptions;
  #changing: Promise<unknown> = Promise.resolve();

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

  /** What is on disk afterwards is a fresh identity. Throws `DomainError`, or when the disk fails. */
  leave(proposal: Uint8Array): Promise<HsmDescription> {
    return this.#inTurn(async () => {
      this.#options.hsm.leave(proposal);
      await this.#remember();
      await this.#options.publishIdentity();
      return this.describe();
    });
  }

  /** One after the other: the file never goes back to an older generation. Throws `DomainError`, or when the disk fails. */
  install(tokens: readonly Uint8Array[]): Promise<HsmDescription> {
    return this.#inTurn(() => this.#install(tokens));
  }

  #inTurn(change: () => Promise<HsmDescription>): Promise<HsmDescription> {
    const changed = this.#changing.then(change);
    this.#changing = changed.catch(() => {});
    return changed;
  }

  #remember(): Promise<void> {
    return writeDurably(this.#options.identityFile, this.#options.hsm.sealedIdentity());
  }

  async #install(tokens: readonly Uint8Array[]): Promise<HsmDescription> {
    const { hsm, events } = this.#options;
    const before = hsm.describe().generation;
    hsm.install(tokens);
    // Also when nothing is new: the last write may have failed.
    await this.#remember();
    const description = hsm.describe();
    if (description.generation !== before) events.tokenInstalled(description.domain, description.generation);
    return description;
  }
}
