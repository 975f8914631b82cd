import type { DomainKey as DomainKeyMessage } from '@keyfleet/proto/gen/keyfleet/domain/v1/DomainKey';
import type { StatusResponse } from '@keyfleet/proto/gen/keyfleet/domain/v1/StatusResponse';
import type { Worker as WorkerMessage } from '@keyfleet/proto/gen/keyfleet/domain/v1/Worker';
import type { Reseal as ResealMessage } from '@keyfleet/proto/gen/keyfleet/domain/v1/Reseal';
import { systemClock } from '@keyfleet/shared/clock';
import { activeDomainKey, type DomainState, droppableAt, hasRoomToRotate } from '@keyfleet/shared/domain/state';
import { latenessOf } from './changeover.ts';
import { absentMembers, type WorkerView } from './worker-survey.ts';
import { nextRotationAt } from './scheduled-changes.ts';
import type { ResealProgress } from './store/store.ts';
import type { TokenLog } from './token-log.ts';

export interface StatusSource {
  readonly domain: string;
  readonly tokens: TokenLog;
  readonly views: readonly WorkerView[];
  readonly replica: string;
  readonly leader: string | undefined;
  /** Undefined if rotation is not scheduled. */
  readonly rotateEveryMs: number | undefined;
  readonly reseal: ResealProgress | undefined;
  readonly natsConnected: boolean;
  /** '' if the store is intact. */
  readonly storeProblem: string;
  /** Why this replica cannot lead; '' if it can. */
  readonly schedulerProblem: string;
}

export function statusOf({
  domain,
  tokens,
  views,
  replica,
  leader,
  rotateEveryMs,
  reseal,
  natsConnected,
  storeProblem,
  schedulerProblem,
}: StatusSource): StatusResponse {
  const { head } = tokens;
  return {
    domain,
    generation: tokens.generation,
    replica,
    leader: leader ?? '',
    now: systemClock.now(),
    nats_connected: natsConnected,
    store_problem: storeProblem,
    scheduler_problem: schedulerProblem,
    workers: views.map((view) => workerOf(view, head && latenessOf(head.state, view, waitedFor(head.state, tokens)))),
    ...(head === undefined
      ? {}
      : {
          token_hash: Buffer.from(head.hash),
          absent_members: absentMembers(head.state, views),
          domain_keys: domainKeysOf(head.state),
        }),
    ...(rotateEveryMs === undefined ? {} : { rotation_every: rotateEveryMs }),
    ...(head === undefined || rotateEveryMs === undefined || !hasRoomToRotate(head.state)
      ? {}
      : { next_rotation_at: nextRotationAt(head.state, rotateEveryMs) }),
    ...(head === undefined || reseal === undefined ? {} : { reseal: resealOf(head.state, reseal) }),
  };
}

function resealOf(state: DomainState, progress: ResealProgress): ResealMessage {
  const { shards, reports, resealed, verifiedAt } = progress;
  return {
    generation: activeDomainKey(state).createdGeneration,
    shards,
    shards_done: reports.size,
    resealed,
    remaining: [...reports.values()].reduce((sum, { remaining }) => sum + remaining, 0),
    verified: verifiedAt !== undefined,
  };
}

function domainKeysOf(state: DomainState): DomainKeyMessage[] {
  return state.domainKeys.map(({ id, createdGeneration, status }) => ({
    id,
    generation: createdGeneration,
    status,
    droppable_at: droppableAt(state, id) ?? 0,
  }));
}

function waitedFor(state: DomainState, tokens: TokenLog): number {
  return tokens.seenForMs(activeDomainKey(state).createdGeneration);
}

/** Characters. A worker says why it refuses; its answer must not be too long for all to be shown. */
const MAX_PROBLEM = 1_000;

function workerOf(view: WorkerView, lateness: string | undefined): WorkerMessage {
  const { worker, standing, description, problem = lateness } = view;
  return {
    address: worker.address,
    reachable: standing !== 'unreachable',
    standing,
    problem: problem?.slice(0, MAX_PROBLEM) ?? '',
    ...(description === undefined
      ? {}
      : {
          member_id: description.memberId,
          signing_key: Buffer.from(description.signingKey),
          agreement_key: Buffer.from(description.agreementKey),
          ...(description.encapsulationKey && { encapsulation_key: Buffer.from(description.encapsulationKey) }),
          generation: description.generation,
          active_generation: description.activeGeneration,
          ...(description.clockAheadMs === undefined ? {} : { clock_ahead: description.clockAheadMs }),
        }),
  };
}
