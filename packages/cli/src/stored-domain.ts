import { follow } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import type { VerifiedDomain } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';
import type { RedisClient } from '@keyfleet/shared/redis/connect';
import { type DamagedValueError, readEachElement, readElements } from '@keyfleet/shared/redis/stored-values';
import { tokensAt } from '@keyfleet/shared/stored/names';
import { setTimeout as delay } from 'node:timers/promises';
import { LIST_PIECE } from './backup/format.ts';
import { CliError } from './cli-error.ts';
import { verifiedNow } from './domain-manager-client.ts';
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
  redis: RedisClient,
  { client, anchor }: Pick<OpenDomain, 'anchor'> & { readonly client: Pick<OpenDomain['client'], 'getChain'> },
  { after, agreeMs = AGREE_MS }: { readonly after?: VerifiedDomain; readonly agreeMs?: number } = {},
): Promise<VerifiedDomain> {
  for (const startedAt = performance.now(); ; await delay(LOOK_AGAIN_MS)) {
    const { tokens, domain } = await client.getChain(anchor);
    const { generation } = domain.state;
    if (after !== undefined && !isToken(tokens[after.state.generation - 1], after))
      throw new CliError(`the domain-manager shows another domain token ${after.state.generation} than before`);
    const [stored, next] = await readEachElement(redis, tokensAt(anchor.domain), generation - 1, generation);
    const found = foundIn(stored, next, anchor, domain);
    if (found === undefined) return domain;
    if (performance.now() - startedAt < agreeMs) continue;
    throw new CliError(
      `the domain-manager shows domain token ${generation} as the newest, and Redis ${found}: one of the two is not as it was (docs/recovery.md)`,
    );
  }
}

/**
 * The domain as the tokens in Redis have it, where no domain-manager is asked. A page at a time, verified as it comes:
 * whoever writes to Redis may have put there what never ends. Throws DomainError, or DamagedValueError.
 */
export async function verifyStoredDomain(redis: RedisClient, anchor: TrustAnchor): Promise<VerifiedDomain> {
  let domain: VerifiedDomain | undefined;
  for (let place = 0; ; place += LIST_PIECE) {
    const page = await readElements(redis, tokensAt(anchor.domain), place, place + LIST_PIECE - 1);
    for (const token of page) domain = follow(anchor, domain, parseToken(token));
    if (page.length < LIST_PIECE) return verifiedNow(anchor, [], domain);
  }
}

/** What Redis has instead; undefined if it has the same. What does not follow in the chain is no domain token. */
function foundIn(
  stored: Buffer | DamagedValueError | undefined,
  next: Buffer | DamagedValueError | undefined,
  anchor: TrustAnchor,
  domain: VerifiedDomain,
): string | undefined {
  const { generation } = domain.state;
  if (stored === undefined) return 'does not hold it';
  if (!isToken(stored, domain)) return 'holds another one of that number';
  return Buffer.isBuffer(next) && follows(next, anchor, domain) ? `holds token ${generation + 1}` : undefined;
}

function isToken(stored: Buffer | DamagedValueError | undefined, { hash }: VerifiedDomain): boolean {
  return Buffer.isBuffer(stored) && verifies(() => parseToken(stored).hash.equals(hash));
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
