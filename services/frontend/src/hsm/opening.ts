import { monotonicClock } from '@keyfleet/shared/clock';
import type { InputOf } from '@keyfleet/shared/hsm/commands';
import { HsmRefusedError, HsmUnavailableError } from './commands.ts';
import {
  anotherConnects,
  type ConfirmedSealingDeps,
  hasOneMember,
  isEqual,
  isMember,
  isNobodyElse,
} from './sealing.ts';

/** What one member found in a token: a secret, or why it refused. */
interface Found {
  readonly memberId: string;
  readonly secret: Uint8Array | HsmRefusedError;
}

/**
 * Opens what all frontends share, and believes only what two members found alike. With a wrong record key, for example,
 * a frontend would write records that no other believes (docs/domain.md).
 */
export class ConfirmedOpening {
  readonly #deps: ConfirmedSealingDeps;

  constructor(deps: ConfirmedSealingDeps) {
    this.#deps = deps;
  }

  /** Asks one member after another until two agree. */
  async execute(input: InputOf<'OpenCredential'>, deadline: number): Promise<Uint8Array> {
    const asked = new Set<string>();
    let found: Found[] = [];
    for (const startedAt = monotonicClock.now(); ;) {
      const next = await this.#askAnother(input, asked, deadline);
      // A frontend that starts is served by the fastest first.
      if (next === undefined && (await anotherConnects(this.#deps, { startedAt, deadline }))) continue;
      // Who was removed meanwhile counts for nothing.
      found = found.filter(({ memberId }) => isMember(this.#deps, memberId));
      if (next === undefined) return this.#withoutSecond(found);
      asked.add(next.memberId);
      if (!isMember(this.#deps, next.memberId)) continue;
      if (found.some((one) => agree(one, next))) {
        this.#deps.events.confirmed();
        for (const { secret } of found) if (!(secret instanceof HsmRefusedError)) secret.fill(0);
        return secretOf(next);
      }
      if (found[0] !== undefined) this.#deps.events.contradicted('OpenCredential', found[0].memberId, next.memberId);
      found.push(next);
    }
  }

  /** Undefined if there is nobody else to ask. */
  async #askAnother(
    input: InputOf<'OpenCredential'>,
    asked: ReadonlySet<string>,
    deadline: number,
  ): Promise<Found | undefined> {
    try {
      const { output, memberId } = await this.#deps.hsm.executeByMember('OpenCredential', input, deadline, asked);
      return { memberId, secret: output.secretAccessKey };
    } catch (error) {
      if (isNobodyElse(error)) return undefined;
      if (error instanceof HsmRefusedError && error.memberId !== undefined)
        return { memberId: error.memberId, secret: error };
      throw error;
    }
  }

  /** As for a new key (`ConfirmedSealing`): a lone member is believed, and that is said. */
  #withoutSecond([only, ...others]: readonly Found[]): Uint8Array {
    if (only === undefined) throw new HsmUnavailableError('nobody-else');
    if (others.length > 0) throw new HsmUnavailableError('unconfirmed');
    if (!hasOneMember(this.#deps)) this.#deps.events.unconfirmed('OpenCredential', only.memberId);
    return secretOf(only);
  }
}

function agree({ secret: a }: Found, { secret: b }: Found): boolean {
  if (a instanceof HsmRefusedError || b instanceof HsmRefusedError) {
    return a instanceof HsmRefusedError && b instanceof HsmRefusedError && a.refusal === b.refusal;
  }
  return isEqual(a, b);
}

function secretOf({ secret }: Found): Uint8Array {
  if (secret instanceof HsmRefusedError) throw secret;
  return secret;
}
