import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Asked } from './boundary/domain/check-token.ts';
import type { Hsm } from './boundary/hsm.ts';
import type { HsmDescription } from './boundary/hsm-description.ts';
import type { Steps } from './boundary/steps.ts';
import type { WorkerEvents } from './events.ts';
import type { DomainToken } from '@keyfleet/shared/domain/token';
import { writeDurably } from '@keyfleet/shared/durable-file';
import type { HeldTokens } from './held-tokens.ts';

export interface DurableHsmOptions {
  readonly hsm: Hsm;
  readonly identityFile: string;
  readonly heldTokens: HeldTokens;
  /** Writes the public part where operators find it. */
  readonly publishIdentity: () => Promise<void>;
  readonly events: Pick<WorkerEvents, 'tokenInstalled'>;
}

/** An HSM whose state is on disk before anyone learns of it. */
export class DurableHsm {
  readonly #options: DurableHsmOptions;
  #changing: Promise<unknown> = Promise.resolve();
  #checking: Promise<unknown> = Promise.resolve();
  /** What the HSM would be after a crash. */
  #remembered: HsmDescription;
  /** The last write failed: the disk may hold another identity. */
  #unwritten = false;
  /** Installed, and not yet among the held ones. */
  #unkept: readonly DomainToken[] = [];

  constructor(options: DurableHsmOptions) {
    this.#options = options;
    this.#remembered = options.hsm.describe();
  }

  /** Reports what is on disk: peers rely on this HSM never reporting an older generation later. */
  describe(): HsmDescription {
    const { activeGeneration } = this.#options.hsm.describe();
    const remembered = this.#remembered;
    return { ...remembered, activeGeneration: Math.min(activeGeneration, remembered.generation) };
  }

  /** Whether it opens sessions with its keys: it is a member, and its newest token is on the disk. */
  get serves(): boolean {
    const { installed } = this.#options.hsm;
    return installed !== undefined && installed.state.generation <= this.#remembered.generation;
  }

  /** A `SignedMessage` that may say what is installed: rejects unless that is on disk. */
  async signWhenDurable(message: Uint8Array): Promise<Uint8Array> {
    const { hsm } = this.#options;
    const { generation } = hsm.describe();
    // Not for what installs nothing: where there are hundreds of members, to check a token takes seconds.
    if (this.#remembered.generation < generation) await this.#changing;
    if (this.#remembered.generation < generation) throw new Error('the newest domain token is not on disk');
    return hsm.signMessage(message);
  }

  /**
   * The token is on disk before anyone sees it: after a crash the HSM must not make another one. Throws `DomainError`,
   * or if the disk fails.
   */
  prepare(proposal: Uint8Array, current: Uint8Array | undefined): Promise<Uint8Array> {
    return this.#inTurn(async () => {
      const token = await inSteps(this.#options.hsm.preparing(proposal, current));
      await this.#remember();
      return token;
    });
  }

  /**
   * The HSM's signed statement that it can install the token. One at a time, after the changes that came before; those
   * that come later do not wait for it. Throws `DomainError`.
   */
  check(token: Uint8Array, asked: Asked): Promise<Uint8Array> {
    const checked = this.#checking.then(async () => {
      await this.#changing;
      return inSteps(this.#options.hsm.checking(token, asked));
    });
    this.#checking = checked.catch(() => {});
    return checked;
  }

  /**
   * One of the newest tokens that it installed. Anyone may ask, so nothing else is given out that somebody put on the
   * disk: the file may be a link to a secret.
   */
  async heldToken(generation: number): Promise<Uint8Array | undefined> {
    const token = await this.#options.heldTokens.find(generation);
    return token !== undefined && this.#options.hsm.holds(token) ? token : undefined;
  }

  activate(generation: number): HsmDescription {
    this.#options.hsm.activate(generation);
    return this.describe();
  }

  /**
   * Leaves a fresh identity on disk. Throws `DomainError`, or if the disk fails: then this HSM has not left, and can be
   * told again.
   */
  leave(proposal: Uint8Array): Promise<HsmDescription> {
    return this.#inTurn(async () => {
      const { hsm } = this.#options;
      const successor = hsm.leave(proposal);
      await this.#write(successor.sealedIdentity);
      successor.succeed();
      this.#remembered = hsm.describe();
      await this.#options.publishIdentity();
      return this.describe();
    });
  }

  /**
   * Runs in turn, so that the file never goes back to an older generation. Throws `DomainError`, or if the disk fails.
   */
  install(tokens: readonly Uint8Array[]): Promise<HsmDescription> {
    return this.#inTurn(() => this.#install(tokens));
  }

  /**
   * After a restart: installs its newest token again, which it has kept, and in which its keys are. It needs nobody for
   * that, and has then what it would have if it had run on. Throws `DomainError`, or if the disk fails.
   */
  installHeld(): Promise<void> {
    return this.#inTurn(async () => {
      const { hsm, heldTokens } = this.#options;
      const newest = hsm.state && (await heldTokens.find(hsm.state.generation));
      if (newest !== undefined) await this.#install([newest]);
    });
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(change);
    this.#changing = changed.catch(() => {});
    return changed;
  }

  /** What it says that it has, it has kept. */
  async #remember(): Promise<void> {
    const { hsm, heldTokens } = this.#options;
    if (this.#unkept.length > 0) await heldTokens.keep(this.#unkept);
    this.#unkept = [];
    await this.#write(hsm.sealedIdentity());
    this.#remembered = hsm.describe();
  }

  async #write(sealedIdentity: Uint8Array): Promise<void> {
    this.#unwritten = true;
    await writeDurably(this.#options.identityFile, sealedIdentity);
    this.#unwritten = false;
  }

  async #install(tokens: readonly Uint8Array[]): Promise<HsmDescription> {
    const { hsm, events } = this.#options;
    const before = this.#remembered.generation;
    const installed = hsm.install(tokens);
    if (this.#unwritten || !isDeepStrictEqual(hsm.describe(), this.#remembered)) {
      this.#unwritten = true;
      this.#unkept = [...this.#unkept, ...installed];
      await this.#remember();
    }
    const description = this.describe();
    // Before it is a member it follows the chain but installs nothing.
    if (description.domain !== '' && description.generation !== before)
      events.tokenInstalled(description.domain, description.generation);
    return description;
  }
}

async function inSteps<T>(steps: Steps<T>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await setImmediate();
  }
}
