import { follow } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { tokensAt } from '@keyfleet/shared/stored/names';
import { setTimeout as delay } from 'node:timers/promises';
import { CliError } from './cli-error.ts';
import type { OpenDomain } from './options.ts';

const LOOK_AGAIN_MS = 500;
/** A token that was stored between two looks is shown by then. */
const AGREE_MS = 5_000;

/**
 * The domain as the domain-manager shows it, if Redis holds the same tokens. Whoever shows an older chain has former
 * members pass for members, and whom the domain had removed would make the next record key. `after`: what is known,
 * which the chain must hold: in another one, from a time when a member was alone, its word would do. Throws CliError.
 */
export async function loadStoredDomain(
  redis: Pick<RedisClient, 'lrangeBuffer'>,
  { client, anchor }: Pick<OpenDomain, 'anchor'> & { readonly client: Pick<OpenDomain['client'], 'getChain'> },
  { after, agreeMs = AGREE_MS }: { readonly after?: VerifiedDomain; readonly agreeMs?: number } = {},
): Promise<VerifiedDomain> {
  for (const startedAt = performance.now(); ; await delay(LOOK_AGAIN_MS)) {
    const { tokens, domain } = await client.getChain(anchor);
    const { generation } = domain.state;
    if (after !== undefined && !isToken(tokens[after.state.generation - 1], after))
      throw new CliError(`the domain-manager shows another domain token ${after.state.generation} than before`);
    const [stored, next] = await redis.lrangeBuffer(tokensAt(anchor.domain), generation - 1, generation);
    const found = foundIn(stored, next, anchor, domain);
    if (found === undefined) return domain;
    if (performance.now() - startedAt < agreeMs) continue;
    throw new CliError(
      `the domain-manager shows domain token ${generation} as the newest, and Redis ${found}: one of the two is not as it was (docs/recovery.md)`,
    );
  }
}

/** What Redis has instead; undefined if it has the same. What does not follow in the chain is no domain token. */
function foundIn(
  stored: Buffer | undefined,
  next: Buffer | undefined,
  anchor: TrustAnchor,
  domain: VerifiedDomain,
): string | undefined {
  const { generation } = domain.state;
  if (stored === undefined) return 'does not hold it';
  if (!isToken(stored, domain)) return 'holds another one of that number';
  return next !== undefined && follows(next, anchor, domain) ? `holds token ${generation + 1}` : undefined;
}

function isToken(stored: Uint8Array | undefined, { hash }: VerifiedDomain): boolean {
  return stored !== undefined && verifies(() => parseToken(stored).hash.equals(hash));
}

function follows(next: Buffer, anchor: TrustAnchor, domain: VerifiedDomain): boolean {
  return verifies(() => follow(anchor, domain, parseToken(next)) !== undefined);
}

function verifies(verify: () => boolean): boolean {
  try {
    return verify();
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
}
