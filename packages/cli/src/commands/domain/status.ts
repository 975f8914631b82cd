import { command } from '../../command.ts';
import { summaryOf } from '../../domain-key-summary.ts';
import { DomainManagerClient } from '../../domain-manager-client.ts';
import { managerOptions } from '../../options.ts';
import { tableOf, timeOf } from '../../text.ts';

/** What a domain-manager sees now. Nothing here is verified: `domain verify` is for that. */
export const status = command({
  description: 'What the domain-manager sees: workers, generations, rotation, resealing.',
  args: managerOptions,
  async run(args) {
    using client = new DomainManagerClient(args['domain-manager']);
    const seen = await client.status();
    return {
      domain: seen.domain ?? '',
      generation: seen.generation ?? 0,
      replica: seen.replica ?? '',
      leader: seen.leader ?? '',
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
  text: ({ domain, generation, leader, nextRotationAt, absentMembers, domainKeys, workers, reseal }) =>
    [
      generation === 0
        ? `Domain ${domain} is not founded yet.`
        : `Domain ${domain}, generation ${generation}. Leader: ${leader === '' ? 'none' : leader}`,
      nextRotationAt === 0 ? 'Domain keys rotate only on command.' : `Next rotation: ${timeOf(nextRotationAt)}`,
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
  isWell: ({ workers }) => workers.every(({ standing, problem }) => standing !== 'unreachable' && problem === ''),
});

function sentenceOf(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
