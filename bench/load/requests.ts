import type { Transport } from '../wire/endpoint.ts';
import { RequestSigner } from '../wire/request-signer.ts';
import { RequestSource } from '../wire/request-source.ts';
import { chooser, type Random, weightedChooser } from './choice.ts';
import type { LoadJob } from './job.ts';

export interface Requests {
  next(): { readonly operation: string; readonly request: unknown };
}

/** The requests of all pools, mixed by weight. */
export function newRequests(
  { endpoint, callers, pools, choice }: Pick<LoadJob, 'endpoint' | 'callers' | 'pools' | 'choice'>,
  transport: Transport<unknown>,
  random: Random,
): Requests {
  const sources = pools.map(({ operation, requests }) => {
    const signers = callers?.map((signing) => new RequestSigner({ ...endpoint, signing })) ?? [
      new RequestSigner(endpoint),
    ];
    const source = new RequestSource({
      signers,
      transport,
      requests,
      choose: chooser(choice, requests.length, random),
    });
    return { operation, source };
  });
  const weights = pools.map(({ weight }) => weight);
  const choosePool = weights.length === 1 ? () => 0 : weightedChooser(weights, random);
  return {
    next() {
      const { operation, source } = sources[choosePool()]!;
      return { operation, request: source.next() };
    },
  };
}
