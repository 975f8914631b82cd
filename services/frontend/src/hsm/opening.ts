import { monotonicClock } from '@keyfleet/shared/clock';
import type { InputOf, OutputOf } from '@keyfleet/shared/hsm/commands';
import { HsmRefusedError, HsmUnavailableError } from './commands.ts';
import { anotherConnects, type ConfirmedSealingDeps, isEqual, isMember, isNobodyElse } from './sealing.ts';

/** What is in a token, of which two members must find the same. */
const contents: { readonly [N in OpeningCommand]: (output: OutputOf<N>) => readonly (Uint8Array | undefined)[] } = {
  OpenCredential: ({ secretAccessKey }) => [secretAccessKey],
  DescribeBackingKey: ({ materialId, publicKey }) => [materialId, publicKey],
};

export type OpeningCommand = 'OpenCredential' | 'DescribeBackingKey';

/** What one member found in a token, or why it refused. */
interface Found<N extends OpeningCommand> {
  readonly memberId: string;
  readonly output: OutputOf<N> | HsmRefusedError;
}

/**
 * Opens what all frontends share, and whom customers encrypt for, and believes only what two members found alike. With
 * a wrong record key, for example, a frontend would write records that no other believes (docs/domain.md).
 */
export class ConfirmedOpening {
  readonly #deps: ConfirmedSealingDeps;

  constructor(deps: ConfirmedSealingDeps) {
    this.#deps = deps;
  }

  /** Asks one member after another until two agree. */
  async execute<N extends OpeningCommand>(name: N, input: InputOf<N>, deadline: number): Promise<OutputOf<N>> {
    const asked = new Set<string>();
    let found: Found<N>[] = [];
    for (const startedAt = monotonicClock.now(); ;) {
      const next = await this.#askAnother(name, input, { asked, deadline });
      // A frontend that starts is served by the fastest first.
      if (next === undefined && (await anotherConnects(this.#deps, { startedAt, deadline }))) continue;
      // Who was removed meanwhile counts for nothing.
      found = found.filter(({ memberId }) => isMember(this.#deps, memberId));
      if (next === undefined) return this.#withoutSecond(name, found);
      asked.add(next.memberId);
      if (!isMember(this.#deps, next.memberId)) continue;
      if (found.some((one) => agree(name, one, next))) {
        this.#deps.events.confirmed();
        for (const { output } of found) if ('secretAccessKey' in output) output.secretAccessKey.fill(0);
        return confirmedOf(next);
      }
      if (found[0] !== undefined) this.#deps.events.contradicted(name, found[0].memberId, next.memberId);
      found.push(next);
    }
  }

  /** Undefined if there is nobody else to ask. */
  async #askAnother<N extends OpeningCommand>(
    name: N,
    input: InputOf<N>,
    { asked, deadline }: { readonly asked: ReadonlySet<string>; readonly deadline: number },
  ): Promise<Found<N> | undefined> {
    try {
      return await this.#deps.hsm.executeByMember(name, input, deadline, asked);
    } catch (error) {
      if (isNobodyElse(error)) return undefined;
      if (error instanceof HsmRefusedError && error.memberId !== undefined)
        return { memberId: error.memberId, output: error };
      throw error;
    }
  }

  /** As for a new key (`ConfirmedSealing`): a lone member is believed, and that is said. */
  #withoutSecond<N extends OpeningCommand>(name: N, [only, ...others]: readonly Found<N>[]): OutputOf<N> {
    if (only === undefined) throw new HsmUnavailableError('nobody-else');
    if (others.length > 0) throw new HsmUnavailableError('unconfirmed');
    if (!this.#deps.isDomainOfOne()) this.#deps.events.unconfirmed(name, only.memberId);
    return outputOf(only);
  }
}

function agree<N extends OpeningCommand>(name: N, { output: a }: Found<N>, { output: b }: Found<N>): boolean {
  if (a instanceof HsmRefusedError || b instanceof HsmRefusedError) {
    return a instanceof HsmRefusedError && b instanceof HsmRefusedError && a.refusal === b.refusal;
  }
  const others = contents[name](b);
  return contents[name](a).every((content, i) => isEqual(content, others[i]));
}

function confirmedOf<N extends OpeningCommand>({ output, memberId }: Found<N>): OutputOf<N> {
  if (output instanceof HsmRefusedError) throw new HsmRefusedError(output.refusal, memberId, true);
  return output;
}

function outputOf<N extends OpeningCommand>({ output }: Found<N>): OutputOf<N> {
  if (output instanceof HsmRefusedError) throw output;
  return output;
}
