import { MemoryStore } from '@keyfleet/domain-manager/store/memory-store';

/** A store whose newest tokens can be lost, as by a failover to a replica that lacks them. */
export class LossyStore extends MemoryStore {
  readonly tokens: Buffer[] = [];
  /** The domain-manager is killed as it stores the next token: just before, or after. */
  kills: 'before' | 'after' | undefined;

  override async loadTokens(after: number, limit: number): Promise<Buffer[]> {
    return this.tokens.slice(after, after + limit);
  }
  override async findToken(generation: number): Promise<Buffer | undefined> {
    return this.tokens[generation - 1];
  }
  override async appendToken(generation: number, token: Uint8Array): Promise<boolean> {
    if (this.tokens.length !== generation - 1) return false;
    const { kills } = this;
    this.kills = undefined;
    if (kills === 'before') throw new Error('killed');
    this.tokens.push(Buffer.from(token));
    if (kills === 'after') throw new Error('killed');
    return true;
  }
  override async restoreToken(generation: number, token: Uint8Array): Promise<boolean> {
    return this.tokens.length > 0 && this.appendToken(generation, token);
  }
}

/** Who has the tokens that the store lost, and how many there were. */
export interface Keeper {
  readonly memberId: string;
  readonly generation: number;
  /** Whether its signature counts in all of these states, so that it need not give them at once. */
  readonly counts: boolean;
}
