import { CliError } from '../../cli-error.ts';
import { verb } from '../../verb.ts';
import { summaryOf } from '../../domain-key-summary.ts';
import { anchorOptions, managerOptions, openDomain, openManager } from '../../options.ts';
import { memberLine, operatorLine, ruleLines } from '../../proposal-text.ts';
import { tableOf, timeOf } from '../../text.ts';

export const show = verb({
  description: 'Show members, operators, rules and domain keys, verified from the trust anchor.',
  args: { ...managerOptions, ...anchorOptions },
  async run(args) {
    using domain = openDomain(args);
    const { state, hash } = await domain.client.getDomain(domain.anchor);
    return {
      domain: state.domain,
      generation: state.generation,
      tokenHash: Buffer.from(hash).toString('hex'),
      members: state.members.map(memberLine),
      operators: state.operators.map(operatorLine),
      rules: ruleLines(state.rules, state.backupHorizonMs),
      domainKeys: state.domainKeys.map(({ id, createdGeneration, createdAt, status, afterRemoval }) => ({
        id,
        createdGeneration,
        createdAt: timeOf(createdAt),
        status,
        afterRemoval,
      })),
    };
  },
  text: ({ domain, generation, tokenHash, members, operators, rules, domainKeys }) =>
    [
      `Domain ${domain}, generation ${generation}, token ${tokenHash}`,
      ...members,
      ...operators,
      ...rules,
      ...domainKeys.map(
        ({ id, createdGeneration, createdAt, status, afterRemoval }) =>
          `domain key ${id}  ${status}  since generation ${createdGeneration}, ${createdAt}` +
          (afterRemoval ? ', after a removal' : ''),
      ),
    ].join('\n'),
});

/** What a domain-manager sees now. Nothing here is verified: `domain verify` is for that. */
export const status = verb({
  description: 'Show what the domain-manager sees: workers, generations, rotation, resealing.',
  args: managerOptions,
  async run(args) {
    using client = openManager(args);
    const seen = await client.status();
    return {
      domain: seen.domain ?? '',
      generation: seen.generation ?? 0,
      replica: seen.replica ?? '',
      leader: seen.leader ?? '',
      schedulerProblem: seen.scheduler_problem ?? '',
      storeProblem: seen.store_problem ?? '',
      rotationEvery: seen.rotation_every ?? 0,
      nextRotationAt: seen.next_rotation_at ?? 0,
      absentMembers: seen.absent_members ?? [],
      domainKeys: (seen.domain_keys ?? []).map(({ id = '', status: standing = '', droppable_at: at = 0 }) => ({
        id,
        status: standing,
        droppableAt: at === 0 ? undefined : at,
      })),
      workers: (seen.workers ?? []).map((worker) => ({
        address: worker.address ?? '',
        memberId: worker.member_id ?? '',
        standing: worker.standing ?? '',
        generation: worker.generation ?? 0,
        sealsUnder: worker.active_generation ?? 0,
        problem: worker.problem ?? '',
      })),
      ...(seen.reseal && {
        reseal: {
          generation: seen.reseal.generation ?? 0,
          shards: seen.reseal.shards ?? 0,
          shardsDone: seen.reseal.shards_done ?? 0,
          resealed: seen.reseal.resealed ?? 0,
          remaining: seen.reseal.remaining ?? 0,
          verified: seen.reseal.verified ?? false,
        },
      }),
    };
  },
  text: ({
    domain,
    generation,
    leader,
    schedulerProblem,
    storeProblem,
    rotationEvery,
    nextRotationAt,
    absentMembers,
    domainKeys,
    workers,
    reseal,
  }) =>
    [
      generation === 0
        ? `Domain ${domain} is not founded yet.`
        : `Domain ${domain}, generation ${generation}. Leader: ${leader === '' ? 'none' : leader}`,
      ...(schedulerProblem === '' ? [] : [`This domain-manager cannot lead: ${schedulerProblem}.`]),
      ...(storeProblem === '' ? [] : [storeProblem]),
      rotationText(generation, rotationEvery, nextRotationAt),
      ...(domainKeys.length === 0 ? [] : [sentenceOf(summaryOf(domainKeys, Date.now()))]),
      '',
      tableOf([
        ['WORKER', 'MEMBER', 'STANDING', 'GENERATION', 'SEALS UNDER', 'PROBLEM'],
        ...workers.map(({ address, memberId, standing, generation: has, sealsUnder, problem }) => [
          address,
          memberId,
          standing,
          `${has}`,
          `${sealsUnder}`,
          problem,
        ]),
      ]),
      ...(absentMembers.length === 0
        ? []
        : ['', `Members elsewhere (offline, or out of reach): ${absentMembers.join(', ')}`]),
      ...(reseal === undefined
        ? []
        : [
            '',
            `Resealing under generation ${reseal.generation}: ${reseal.shardsDone} of ${reseal.shards} shards, ` +
              `${reseal.resealed} tokens resealed, ${reseal.remaining} left so far. ` +
              (reseal.verified ? 'Nothing is left under older domain keys.' : 'Not verified yet.'),
          ]),
    ].join('\n'),
  isWell: ({ schedulerProblem, storeProblem, workers }) =>
    schedulerProblem === '' &&
    storeProblem === '' &&
    workers.every(({ standing, problem }) => standing !== 'unreachable' && problem === ''),
});

/** A round takes a second, and one with an unreachable worker some more. */
const OVERDUE_MS = 10 * 60_000;

export function rotationText(generation: number, every: number, nextAt: number): string {
  if (nextAt > 0 && Date.now() - nextAt > OVERDUE_MS)
    return `A rotation is due since ${timeOf(nextAt)}: two members must be in reach with the newest token, one to make it and one to confirm it. The leader's log says what it waits for.`;
  if (nextAt > 0) return `Next rotation: ${timeOf(nextAt)}`;
  return every > 0 && generation > 0
    ? 'Domain keys no longer rotate: there are too many. Drop old ones (keyfleet domain drop).'
    : 'Domain keys rotate only on command.';
}

function sentenceOf(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

export const verify = verb({
  description: 'Verify every domain token from the trust anchor, and show which members hold the newest.',
  args: { ...managerOptions, ...anchorOptions },
  async run(args) {
    using domain = openDomain(args);
    const { tokens, domain: known } = await domain.client.fetchChain(domain.anchor);
    if (known === undefined) throw new CliError(`the domain '${domain.anchor.domain}' does not exist yet.`);
    const { state } = known;
    const { workers = [] } = await domain.client.status();
    const behind = workers
      .filter(
        ({ standing, generation }) =>
          standing === 'unreachable' || (standing === 'member' && generation !== state.generation),
      )
      .map(
        ({ address, standing, generation }) =>
          `${address}: ${standing === 'unreachable' ? 'unreachable' : `generation ${generation ?? 0}`}`,
      );
    const elsewhere = state.members
      .map(({ memberId }) => memberId)
      .filter((memberId) => !workers.some((worker) => worker.standing === 'member' && worker.member_id === memberId));
    return { domain: state.domain, tokens: tokens.length, generation: state.generation, behind, elsewhere };
  },
  text: ({ domain, tokens, generation, behind, elsewhere }) =>
    [
      `All ${tokens} tokens of the domain ${domain} verify; the newest is generation ${generation}.`,
      behind.length === 0
        ? 'Every worker that the domain-manager lists as a member holds it.'
        : `Not every member holds it: ${behind.join('; ')}`,
      ...(elsewhere.length === 0
        ? []
        : [`Not seen, because they are offline or at none of its addresses: ${elsewhere.join(', ')}`]),
    ].join('\n'),
  isWell: ({ behind }) => behind.length === 0,
});
