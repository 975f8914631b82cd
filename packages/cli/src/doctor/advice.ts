import type { StatusResponse__Output } from '@keyfleet/proto/gen/keyfleet/domain/v1/StatusResponse';
import { type DomainState, hasRoomToRotate, newestAfterRemoval } from '@keyfleet/shared/domain/state';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';

const domainKeyCommands = ['RetireDomainKeys', 'ReinstateDomainKeys', 'DropDomainKeys'] as const;
const DAY_MS = 24 * 3_600_000;

/** What works today but will hurt on a bad day, each with what to do. */
export function adviceFor(state: DomainState, status: StatusResponse__Output, { checkpoint }: TrustAnchor): string[] {
  const sinceRemoval = newestAfterRemoval(state)?.createdGeneration ?? 1;
  const people = state.operators.filter(({ role }) => role === 'operator').length;
  const needed = peopleNeeded(state);
  const offline = (status.absent_members ?? []).length;
  const unruled = domainKeyCommands.filter((name) => state.rules.every(({ command }) => command !== name));
  const withoutKem = state.members.filter(({ encapsulationKey }) => encapsulationKey === undefined);
  const advice: [boolean, string][] = [
    [
      !state.operators.some(({ role }) => role === 'service-host'),
      'no frontend is an operator (service-host), so that none can use the workers: keyfleet domain propose operators',
    ],
    [
      (checkpoint?.generation ?? 0) < sinceRemoval,
      `the trust anchor's checkpoint is ${checkpoint === undefined ? 'not set' : 'from before the last removal'}: a service that starts with an empty disk could be shown an older domain. keyfleet domain checkpoint`,
    ],
    [needed === 1, 'one person alone may change the members: ask for two with keyfleet domain propose rules'],
    [
      people <= needed,
      `${people} people, and all must sign to change the members: admit one more, for the day that a key is lost`,
    ],
    [offline === 0, 'no offline member: whoever loses all workers loses all keys. keyfleet member create-offline'],
    [
      (status.rotation_every ?? 0) === 0,
      'domain keys rotate only by hand: let the scheduler sign RotateDomainKeys. keyfleet domain propose rules',
    ],
    [
      state.backupHorizonMs < DAY_MS,
      'old domain keys are kept for less than a day: an older backup would not open. keyfleet domain propose rules',
    ],
    [
      !hasRoomToRotate(state),
      `${state.domainKeys.length} domain keys: no more rotations until you drop old ones. keyfleet domain drop all-old`,
    ],
    [
      unruled.length > 0,
      `no rule allows ${unruled.join(', ')}: after a removal, what the former member knew stays in use. ` +
        'Add them as docs/ceremony.md shows: keyfleet domain propose rules',
    ],
    [
      withoutKem.length > 0,
      `${withoutKem.map(({ memberId }) => memberId).join(', ')}: no ML-KEM key, for the identity is an old one. ` +
        'One after the other: keyfleet member remove, leave and admit; a new offline member in place of an old one',
    ],
  ];
  return advice.filter(([applies]) => applies).map(([, text]) => text);
}

/** The fewest people that a change of the members takes; 0 if nobody may change them. */
function peopleNeeded({ rules }: DomainState): number {
  const rule = rules.find(({ command }) => command === 'ModifyMembers');
  const counts = rule?.alternatives.map((way) => way.find(({ role }) => role === 'operator')?.minimum ?? 0);
  return counts === undefined ? 0 : Math.min(...counts);
}
