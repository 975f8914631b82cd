/**
 * The life of a domain's keys as a pure model: tokens in the store, members that install them late, crash and restart,
 * one KMS key whose token (EKT) is made and resealed by frontends, a domain-manager that retires old domain keys after
 * a removal, and people who drop them. Everything that can happen does, at any time and in any order: a notice that is
 * lost is an action that does not happen, a message that is late one that happens later. A member that was removed
 * keeps what it has for as long as it does not install its removal. A domain key is named by the generation that made
 * it. docs/domain.md tells the same protocol in words; who may make which token is fork-model.ts.
 */
export interface Protocol {
  /** Frontends store no EKT under a domain key that was deactivated longer ago than they may be behind. */
  readonly fence: boolean;
  /**
   * A domain key is retired or dropped only after every member of the newest token said that it seals under a newer
   * one.
   */
  readonly confirm: boolean;
  /** A restarted member refuses tokens older than the newest it ever installed. */
  readonly floor: boolean;
  /** A member that learns of a removal seals under the new domain key at once. */
  readonly atOnce: boolean;
}

/** How much of the life of a domain is looked at. */
export interface Size {
  readonly founders: number;
  /** HSMs there are; those that did not found the domain may be admitted. */
  readonly members: number;
  readonly generations: number;
  /** Operators remove members. */
  readonly removal: boolean;
}

interface Token {
  readonly members: readonly number[];
  /** Oldest first; the last one is the active one. */
  readonly keys: readonly number[];
  /** The newest key that a removal made: former members never held it; 0 before the first. */
  readonly safe: number;
  /** Keys older than this one open nothing. */
  readonly retired: number;
}

interface Member {
  /** The token whose keys it has in memory; 0 after a crash. */
  readonly installed: number;
  /** The newest token it wrote down. */
  readonly floor: number;
  /** The domain key it seals under. */
  readonly sealing: number;
}

interface InFlight {
  /** The domain key of the new EKT. */
  readonly key: number;
  /** What the record must still hold for the write to happen; 0: nothing. */
  readonly replaces: number;
  /** Began before the members confirmed: by the time of the verifying pass its deadline is over. */
  readonly old: boolean;
}

export interface State {
  readonly tokens: readonly Token[];
  readonly members: readonly Member[];
  /** The domain key of the stored EKT; 0 before there is one. */
  readonly stored: number;
  readonly inFlight: InFlight | undefined;
  /** Frontends know by now that older domain keys are out of use. */
  readonly fence: number;
  /** What each member said last about the domain key it seals under. */
  readonly confirmed: readonly number[];
  /** A pass over all records found nothing under domain keys older than this. */
  readonly verified: number;
}

/** What can happen next: a name for the trace, and the state after it. */
export type Step = readonly [name: string, next: State];

export function initialState({ founders, members }: Size): State {
  const all = Array.from({ length: members }, (_, i) => i);
  return {
    tokens: [{ members: all.slice(0, founders), keys: [1], safe: 0, retired: 0 }],
    members: all.map(() => ({ installed: 0, floor: 0, sealing: 0 })),
    stored: 0,
    inFlight: undefined,
    fence: 0,
    confirmed: all.map(() => 0),
    verified: 0,
  };
}

/** Two states are the same if this is. */
export function keyOf({ tokens, members, stored, inFlight, fence, confirmed, verified }: State): string {
  const flight = inFlight === undefined ? '' : `${inFlight.key}/${inFlight.replaces}${inFlight.old ? '!' : ''}`;
  const chain = tokens
    .map((token) => `${token.members.join('')}:${token.keys.join('')}/${token.safe}${token.retired}`)
    .join(',');
  const hsms = members.map((one) => `${one.installed}${one.sealing}${one.floor}`).join(',');
  return `${chain} ${hsms} ${stored}${fence}${verified} ${confirmed.join('')} ${flight}`;
}

/** The first promise: what is stored opens under a key that every member gets with the newest token. */
export function isOpenable({ tokens, stored }: State): boolean {
  return stored === 0 || opens(tokens.at(-1)!, stored);
}

/** The second: who knows of a removal seals nothing that the former member could open. */
export function sealsForMembersOnly({ tokens, members }: State): boolean {
  return members.every(
    ({ installed: generation, sealing }) => generation === 0 || sealing >= tokens[generation - 1]!.safe,
  );
}

function opens({ keys, retired }: Token, key: number): boolean {
  return keys.includes(key) && key >= retired;
}

export function stepsOf(state: State, protocol: Protocol, size: Size): Step[] {
  return [
    ...state.members.flatMap((_, i) => memberSteps(state, i, protocol)),
    ...requestSteps(state, protocol),
    ...managerSteps(state, protocol),
    ...domainSteps(state, size),
  ];
}

function memberSteps(state: State, i: number, protocol: Protocol): Step[] {
  const { floor } = protocol;
  const member = state.members[i]!;
  const steps: Step[] = [];
  const become = (name: string, change: Partial<Member>): void => {
    steps.push([`${name}(${i})`, { ...state, members: state.members.with(i, { ...member, ...change }) }]);
  };
  for (let generation = Math.max(member.installed + 1, member.floor); generation <= state.tokens.length; generation++) {
    become(`install ${generation}`, installed(member, { i, generation }, state, protocol));
  }
  if (member.installed > 0) {
    // By the hint, which may be forged, or by the passing of a minute.
    become('activate', { sealing: state.tokens[member.installed - 1]!.keys.at(-1)! });
    if (floor) become('write floor', { floor: member.installed });
    become('crash', { installed: 0, sealing: 0 });
  }
  return steps;
}

function installed(
  member: Member,
  { i, generation }: { i: number; generation: number },
  { tokens }: State,
  { atOnce }: Protocol,
): Partial<Member> {
  const token = tokens[generation - 1]!;
  // Who was removed erases its keys.
  if (!token.members.includes(i)) return { installed: 0, sealing: 0 };
  const known = atOnce && member.sealing < token.safe;
  const goesOn = member.installed > 0 && opens(token, member.sealing) && !known;
  return { installed: generation, sealing: goesOn ? member.sealing : token.keys.at(-1)! };
}

/** A frontend has a member make or reseal the EKT, and writes it by compare-and-set; or dies before. */
function requestSteps(state: State, { fence }: Protocol): Step[] {
  const { inFlight, stored } = state;
  if (inFlight !== undefined) {
    const refused = inFlight.replaces !== stored || (fence && inFlight.key < state.fence);
    const after = { ...state, inFlight: undefined };
    return [
      ['write lost', after],
      ['write', refused ? after : { ...after, stored: inFlight.key }],
    ];
  }
  return state.members.flatMap(({ installed: generation, sealing }, i): Step[] => {
    // A member that does not have the old key cannot reseal what is under it.
    const canOpen = generation > 0 && (stored === 0 || opens(state.tokens[generation - 1]!, stored));
    if (!canOpen || sealing === stored) return [];
    return [[`seal(${i})`, { ...state, inFlight: { key: sealing, replaces: stored, old: false } }]];
  });
}

function managerSteps(state: State, protocol: Protocol): Step[] {
  const { fence, confirm, floor } = protocol;
  const newest = state.tokens.at(-1)!;
  const steps: Step[] = [];
  if (fence) steps.push(['time passes', { ...state, fence: newest.keys.at(-1)! }]);
  for (const i of confirm ? newest.members : []) {
    const member = state.members[i]!;
    // A member writes its floor down before it answers.
    if (member.installed === 0 || (floor && member.floor < member.installed)) continue;
    const inFlight = state.inFlight && { ...state.inFlight, old: true };
    steps.push([`confirm(${i})`, { ...state, confirmed: state.confirmed.with(i, member.sealing), inFlight }]);
  }
  const oldest = oldestNeeded(state, protocol);
  // The pass comes after the deadline of whatever was under way when the last member confirmed.
  const inFlight = confirm && state.inFlight?.old ? undefined : state.inFlight;
  const isClean = state.stored === 0 || state.stored >= oldest;
  if (isClean && oldest > state.verified) steps.push(['pass', { ...state, inFlight, verified: oldest }]);
  return steps;
}

/** No EKT under a domain key older than this can still come, says the protocol. */
function oldestNeeded({ tokens, fence, confirmed }: State, protocol: Protocol): number {
  const { members, keys } = tokens.at(-1)!;
  const byFence = protocol.fence ? fence : keys.at(-1)!;
  return protocol.confirm ? Math.min(byFence, ...members.map((i) => confirmed[i]!)) : byFence;
}

/** A member that has the newest token makes the next one; the store takes one token of each generation. */
function domainSteps(state: State, { generations, removal }: Size): Step[] {
  const { tokens, verified } = state;
  const generation = tokens.length + 1;
  const newest = tokens.at(-1)!;
  const { members, keys, safe, retired } = newest;
  const signers = members.filter((i) => state.members[i]!.installed === tokens.length);
  if (generation > generations || signers.length === 0) return [];

  const append = (name: string, change: Partial<Token>): Step => [
    name,
    { ...state, tokens: [...tokens, { ...newest, ...change }] },
  ];
  const steps = [append('rotate', { keys: [...keys, generation] })];
  const kept = keys.filter((key) => key >= verified || key === keys.at(-1));
  if (kept.length < keys.length) steps.push(append('drop', { keys: kept }));
  if (verified >= safe && safe > retired) steps.push(append('retire', { retired: safe }));
  const candidate = state.members.findIndex((_, i) => !members.includes(i));
  if (candidate >= 0)
    steps.push(append(`admit(${candidate})`, { members: [...members, candidate].toSorted((a, b) => a - b) }));
  for (const i of removal ? members : []) {
    const others = members.filter((member) => member !== i);
    // The token that removes a member is made by another one.
    if (signers.some((signer) => signer !== i))
      steps.push(append(`remove(${i})`, { members: others, keys: [...keys, generation], safe: generation }));
  }
  return steps;
}
