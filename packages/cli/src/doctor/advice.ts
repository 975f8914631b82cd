import type { StatusResponse__Output } from '@keyfleet/proto/gen/keyfleet/domain/v1/StatusResponse';
import { parseDomainChange } from '@keyfleet/shared/domain/proposal';
import { type DomainState, hasRoomToRotate, type RuledChange } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import type { TrustAnchor } from '@keyfleet/shared/domain/trust-anchor';

/** Whoever may do the second or third lets himself do the first. */
const membership = ['ModifyMembers', 'ModifyOperators', 'ModifyRules'] as const;
const domainKeyCommands = ['RetireDomainKeys', 'ReinstateDomainKeys', 'DropDomainKeys'] as const;
const DAY_MS = 24 * 3_600_000;

type Advice = readonly (readonly [boolean, string])[];

/** What works today but will hurt on a bad day, each with what to do. `tokens`: those that led to the state. */
export function adviceFor(
  { state, tokens }: { readonly state: DomainState; readonly tokens: readonly Uint8Array[] },
  status: StatusResponse__Output,
  { checkpoint }: TrustAnchor,
): string[] {
  const newestNeeded = Math.max(1, tokens.findLastIndex(outdatesCheckpoint) + 1);
  const advice: Advice = [
    [
      !state.operators.some(({ role }) => role === 'service-host'),
      'no operator has the role service-host, so no frontend can use the workers. Run: keyfleet domain propose operators',
    ],
    [
      (checkpoint?.generation ?? 0) < newestNeeded,
      `the trust anchor ${checkpoint === undefined ? 'has no checkpoint' : 'has a checkpoint from before the last removal or change of the rules'}: a service that starts with an empty disk would accept an older domain state. Run: keyfleet domain checkpoint`,
    ],
    ...onPeople(state),
    ...onMembers(state, status),
    ...onDomainKeys(state, status),
  ];
  return advice.filter(([applies]) => applies).map(([, text]) => text);
}

/** It removes a member or an operator, or may ask for more than before: fewer could sign another continuation. */
function outdatesCheckpoint(token: Uint8Array): boolean {
  const { name, body } = parseDomainChange(parseToken(token).proposal.command);
  if (name === 'ModifyMembers' || name === 'ModifyOperators') return body.remove.length > 0;
  return name === 'ModifyRules';
}

function onPeople(state: DomainState): Advice {
  const people = state.operators.filter(({ role }) => role === 'operator').length;
  const needed = peopleNeeded(state, 'ModifyMembers');
  const alone = membership.filter((command) => peopleNeeded(state, command) === 1);
  return [
    [
      alone.length > 0,
      `one person alone can change the members (${alone.join(', ')}): require two. Run: keyfleet domain propose rules`,
    ],
    [
      alone.length === 0 && peopleNeeded(state, 'RetireDomainKeys') === 1,
      'one person alone may retire domain keys, also those that everything is sealed under: ask for as many as for the members, ' +
        'or for the scheduler, with keyfleet domain propose rules',
    ],
    [
      people <= needed,
      `a change of members needs everyone's signature (${people} people): admit one more, in case a key is lost`,
    ],
  ];
}

function onMembers({ members }: DomainState, { absent_members: absent = [] }: StatusResponse__Output): Advice {
  const unmarked = members.filter(({ memberId, offline }) => offline !== true && absent.includes(memberId));
  const withoutKem = members.filter(({ encapsulationKey }) => encapsulationKey === undefined);
  return [
    [
      absent.length === 0,
      'no offline member: if all workers are lost, all keys are. Run: keyfleet member create-offline',
    ],
    [
      unmarked.length > 0,
      `${unmarked.map(({ memberId }) => memberId).join(', ')}: not in reach, and not marked as offline: where no other member is in reach, each change of the domain waits for it to confirm the token. ` +
        'If an earlier release admitted it as an offline member, mark it so, as CHANGELOG.md says',
    ],
    [
      withoutKem.length > 0,
      `${withoutKem.map(({ memberId }) => memberId).join(', ')}: no ML-KEM key, because an earlier release made the identity. ` +
        'Replace one after the other: keyfleet member remove, leave and admit; for an offline member, keyfleet member create-offline',
    ],
  ];
}

function onDomainKeys(state: DomainState, status: StatusResponse__Output): Advice {
  const unruled = domainKeyCommands.filter((name) => state.rules.every(({ command }) => command !== name));
  return [
    [
      state.version < 3,
      'the newest domain token is from an earlier release, and until the next one no token needs a witness. Run: keyfleet domain rotate',
    ],
    [
      (status.rotation_every ?? 0) === 0,
      'domain keys rotate only by hand: let the scheduler sign RotateDomainKeys. Run: keyfleet domain propose rules',
    ],
    [
      state.backupHorizonMs < DAY_MS,
      'old domain keys are kept for less than a day: an older backup would not open. Run: keyfleet domain propose rules',
    ],
    [
      !hasRoomToRotate(state),
      `${state.domainKeys.length} domain keys: no more rotations until you drop old ones. Run: keyfleet domain drop all-old`,
    ],
    [
      unruled.length > 0,
      `no rule allows ${unruled.join(', ')}: after a removal, the domain keys that the former member knows stay in use. ` +
        'Add the rules as docs/ceremony.md shows. Run: keyfleet domain propose rules',
    ],
  ];
}

/** The fewest people who may make the change without a machine; 0 if nobody may. */
function peopleNeeded({ rules }: DomainState, change: RuledChange): number {
  const rule = rules.find(({ command }) => command === change);
  const counts = rule?.alternatives.flatMap((way) => way.filter(({ role }) => role === 'operator')) ?? [];
  return counts.length === 0 ? 0 : Math.min(...counts.map(({ minimum }) => minimum));
}
