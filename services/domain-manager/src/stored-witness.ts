import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { type DomainState, isMember, type Member } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { type CheckedToken, HeldTokenError, placeOf, verifyCheck } from '@keyfleet/shared/domain/token-check';
import type { DomainManagerEvents } from './events.ts';
import type { TokenStore } from './store/store.ts';
import { type Confirmation, DeniedTokenError, TokenLogError } from './token-log.ts';
import { assertNobodyLeaves, mayWitness } from './witness.ts';
import { surveyWorkers, type WorkerView } from './worker-survey.ts';
import { type HsmDescription, type Worker, WorkerRefusedError } from './workers.ts';

export interface StoredWitnessDeps {
  readonly workers: readonly Worker[];
  readonly store: Pick<TokenStore, 'findCheck' | 'putCheck'>;
  readonly events: DomainManagerEvents;
}

/**
 * How far these tokens, a chain from the founding one that was found in the store, are confirmed; all of them, without
 * that, if nobody can say, as when all are just being started. Anyone who writes to the store may have put tokens there
 * that nobody was asked about. A check that lies beside the newest suffices, if a member from before signed it. Else
 * members are asked, each about the token after those that it holds, and the first confirmation of the newest is
 * stored. One that confirms outweighs what another says: a member that lies must not keep a domain-manager from
 * following the domain. Two that sign that they hold the same other token outweigh it: a member that lies cannot make
 * two. Throws DeniedTokenError if members deny a token after the first `known` ones, and none confirms it or a later
 * one. Of two members, the maker's word counts as well, or the other could end the domain by denying.
 */
export async function confirmStored(
  tokens: readonly Buffer[],
  known: number,
  { workers, events, store }: StoredWitnessDeps,
): Promise<Confirmation> {
  const newest = witnessesOf(tokens, tokens.length);
  const mayCheck = newest.veterans.length > 0 ? newest.veterans : newest.others;
  if (isCheckedBy(mayCheck, await store.findCheck(), newest.token)) return { upTo: tokens.length, isConfirmed: true };
  // Whom the newest removes has no say in the chain that leads there.
  const views = await surveyWorkers(workers, undefined);
  const members = views.filter(({ description }) => description && isMember(newest.state, description));
  const opinions = await Promise.all(members.map((view) => opinionOf(view, tokens)));
  const given = opinions.filter((opinion) => opinion !== undefined);
  const veterans = given.filter(({ isVeteran }) => isVeteran);
  const counted = veterans.length > 0 ? veterans : given;
  const [best] = counted
    .filter(({ check }) => check !== undefined)
    .toSorted((one, other) => other.generation - one.generation);
  assertNoneIsLost(given);
  const sure = Math.max(known, lastBuiltOn(tokens));
  assertNoneReplacesAll(tokens, sure, { given, views });
  const isForked = isHeldOtherwise(given, known);
  if (best?.generation === tokens.length && !isForked) {
    await store.putCheck(best.generation, best.check!);
    return { upTo: tokens.length, isConfirmed: true };
  }
  if (newest.others.length === 1 && (await doesMakerHold(members, newest)))
    return { upTo: tokens.length, isConfirmed: true };
  const believed = Math.max(known, (isForked ? undefined : best?.generation) ?? 0);
  const denials = counted.filter(
    (one) => !one.isMaker && one.denial !== undefined && one.generation > Math.max(believed, sure),
  );
  for (const { worker, signerId, denial } of denials) events.tokenNotConfirmed(worker, signerId, denial);
  // Who confirms one before the newest can say more once it has the next. What nobody can deny is not in doubt.
  if (denials.length === 0 && best !== undefined) return { upTo: Math.max(believed, sure), isConfirmed: true };
  if (denials.length === 0) return { upTo: tokens.length, isConfirmed: false };
  const lowest = denials.toSorted((one, other) => one.generation - other.generation)[0]!;
  const said = denials
    .filter(({ generation }) => generation === lowest.generation)
    .map(({ memberId, denial }) => `${memberId}: ${denial!.message}`);
  throw denied(lowest.generation, lowest.signerId, said.join('; '));
}

/** What a member says of one token. */
interface Opinion {
  readonly worker: Worker;
  readonly memberId: string;
  readonly generation: number;
  readonly signerId: string;
  readonly isVeteran: boolean;
  /** It may hold another than the one that it made, but is no witness against that. */
  readonly isMaker: boolean;
  /** Whether it says that it has installed the token. */
  readonly holds: boolean;
  readonly check?: Buffer;
  readonly denial?: Error;
  /** It signs that it holds a later token than the store has, and not the one that it was asked about any more. */
  readonly later?: HeldTokenError;
}

/**
 * Throws TokenLogError if two members sign that they hold the same later token. The store lost more of them than
 * members give back: in the chain that it has, former members are members.
 */
function assertNoneIsLost(given: readonly Opinion[]): void {
  for (const { memberId, later } of given) {
    const other = given.find(
      (one) =>
        one.memberId !== memberId &&
        later !== undefined &&
        one.later?.generation === later.generation &&
        Buffer.compare(one.later.tokenHash, later.tokenHash) === 0,
    );
    if (other === undefined) continue;
    throw new TokenLogError(
      `${memberId} and ${other.memberId} sign that they hold domain token ${later!.generation}, and the store lost it and more before it: see docs/recovery.md, "Domain tokens are lost"`,
    );
  }
}

/**
 * Throws DeniedTokenError for a token that admits members, where those in reach who could compare its keys all leave by
 * it and have not installed it: see `assertNobodyLeaves`.
 */
function assertNoneReplacesAll(
  tokens: readonly Buffer[],
  sure: number,
  { given, views }: { readonly given: readonly Opinion[]; readonly views: readonly WorkerView[] },
): void {
  for (let generation = sure + 1; generation <= tokens.length; generation++) {
    const { signerId, state, before, others, veterans } = witnessesOf(tokens, generation);
    if (before === undefined || others.length === veterans.length) continue;
    const speaking = given.filter((one) => one.generation >= generation);
    if (speaking.some(({ isVeteran, isMaker, holds }) => isVeteran || (holds && !isMaker))) continue;
    const leaving = views.flatMap(({ description }) => (description && isAt(before, description) ? [description] : []));
    try {
      assertNobodyLeaves(leaving, { signerId, state });
    } catch (error) {
      throw denied(generation, signerId, (error as Error).message);
    }
  }
}

/** A member that has just started has no keys yet, and asks for its newest token again. */
function isAt(state: DomainState, description: HsmDescription): boolean {
  const { generation, tokenHash } = description;
  const isRestarted = generation === state.generation - 1 && tokenHash.length === 0;
  return isMember(state, description) && (generation === state.generation || isRestarted);
}

function denied(generation: number, signerId: string, said: string): DeniedTokenError {
  return new DeniedTokenError(
    `the store holds a domain token ${generation} that ${signerId} made, and no other member confirms it (${said}): see docs/recovery.md, "A domain token that nobody confirms"`,
    generation,
  );
}

/** Whether two members or more, and more than confirm it or a later one, sign that they hold the same other token. */
function isHeldOtherwise(given: readonly Opinion[], known: number): boolean {
  return given.some(({ generation, denial }) => {
    if (generation <= known || !(denial instanceof HeldTokenError)) return false;
    const holding = given.filter(
      (one) =>
        one.generation === generation &&
        one.denial instanceof HeldTokenError &&
        Buffer.compare(one.denial.tokenHash, denial.tokenHash) === 0,
    );
    const confirming = given.filter((one) => one.generation >= generation && one.check !== undefined);
    const names = new Set(holding.map(({ memberId }) => memberId));
    return names.size > 1 && names.size > confirming.length;
  });
}

/** Of the token after those that it holds. Undefined if it cannot say, or if its word does not count. */
async function opinionOf({ worker, description }: WorkerView, tokens: readonly Buffer[]): Promise<Opinion | undefined> {
  // A member that has just started has no keys to compare.
  if (description === undefined || description.generation === 0) return undefined;
  const generation = Math.min(description.generation + 1, tokens.length);
  const { signerId, state, token, others, veterans } = witnessesOf(tokens, generation);
  const { memberId } = description;
  const isMaker = memberId === signerId && isMember(state, description);
  const isVeteran = isMember({ members: veterans }, description);
  if (!isMaker && !isMember({ members: others }, description)) return undefined;
  const holds = description.generation >= generation;
  const about = { worker, memberId, generation, signerId, isVeteran, isMaker, holds };
  try {
    const check = Buffer.from(await worker.check(tokens[generation - 1]!));
    verifyCheck(check, [description], token);
    return isMaker ? undefined : { ...about, check };
  } catch (error) {
    // If it holds a later one, the store has lost tokens, which says nothing of this one.
    if (error instanceof HeldTokenError)
      return error.generation > generation ? { ...about, later: error } : { ...about, denial: error };
    const isDenial = !isMaker && (error instanceof WorkerRefusedError || error instanceof DomainError);
    return isDenial ? { ...about, denial: error } : undefined;
  }
}

async function doesMakerHold(
  views: readonly WorkerView[],
  { signerId, state, token }: ReturnType<typeof witnessesOf>,
): Promise<boolean> {
  const maker = state.members.find(({ memberId }) => memberId === signerId);
  const asked = views.filter(
    ({ description }) => description?.memberId === signerId && description.generation === token.generation,
  );
  if (maker === undefined) return false;
  for (const { worker } of asked) {
    const check = await worker.check(token.bytes).catch(() => undefined);
    if (isCheckedBy([maker], check && Buffer.from(check), token)) return true;
  }
  return false;
}

/**
 * The generation of the last token on which a member from before has built, other than its maker: whoever makes one
 * holds those before it, and has compared their keys. Whom it admits had none to compare.
 */
function lastBuiltOn(tokens: readonly Buffer[]): number {
  const parsed = tokens.map(parseToken);
  const later: Member[] = [];
  for (let generation = tokens.length; generation > 0; generation--) {
    const token = parsed[generation - 1]!;
    const { veterans } = mayWitness(token, parsed[generation - 2]?.state);
    if (later.some((maker) => isMember({ members: veterans }, maker))) return generation;
    const maker = token.state.members.find(({ memberId }) => memberId === token.signerId);
    if (maker !== undefined && !isMember({ members: later }, maker)) later.push(maker);
  }
  return 0;
}

function isCheckedBy(members: readonly Member[], check: Buffer | undefined, token: CheckedToken): boolean {
  if (check === undefined) return false;
  try {
    verifyCheck(check, members, token);
    return true;
  } catch (error) {
    if (error instanceof DomainError) return false;
    throw error;
  }
}

function witnessesOf(tokens: readonly Buffer[], generation: number) {
  const parsed = parseToken(tokens[generation - 1]!);
  const before = generation > 1 ? parseToken(tokens[generation - 2]!).state : undefined;
  const token = { domain: parsed.state.domain, bytes: parsed.bytes, ...placeOf(parsed) };
  return { signerId: parsed.signerId, state: parsed.state, before, token, ...mayWitness(parsed, before) };
}
