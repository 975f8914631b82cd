import { type ChannelCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import { systemClock } from '@keyfleet/shared/clock';
import { bytes } from '@keyfleet/shared/encoding/canonical';
import { domainName, encapsulationKey, entityId, publicKey, sha256Hash } from '@keyfleet/shared/domain/state';
import { type DomainCallMethod, signCall } from '@keyfleet/shared/domain/domain-call';
import type { Signer } from '@keyfleet/shared/domain/proposal';
import type { HsmDescription__Output } from '@keyfleet/proto/gen/keyfleet/hsm/v1/HsmDescription';
import { channelOptions, unary } from '@keyfleet/proto/unary';
import { z } from 'zod';
import { type HsmDescription, type Worker, WorkerRefusedError } from './workers.ts';

const TIMEOUT_MS = 5_000;
/** Of what makes a wrapped key for each member: for 250, a busy worker takes 5 s. */
const WRAPPING_TIMEOUT_MS = 15_000;
/** A new member takes its time to verify a chain of many years. */
const INSTALL_TIMEOUT_MS = 30_000;

/** Characters. It is stored with the proposal, and shown with all the others. */
const MAX_REFUSAL = 1_000;

const REFUSALS: readonly status[] = [
  status.INVALID_ARGUMENT,
  status.FAILED_PRECONDITION,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.ABORTED,
];

/** How workers are called, and how calls that change one are signed. */
export interface Caller {
  readonly credentials: ChannelCredentials;
  readonly domain: string;
  readonly scheduler: Signer;
}

/** A worker over gRPC. Nothing on the channel needs hiding: everything is public or sealed, and signed. */
export function startGrpcWorker(address: string, { credentials, domain, scheduler }: Caller): Worker & Disposable {
  const client = new Hsm(address, credentials, channelOptions);
  const describe = async (): Promise<HsmDescription> =>
    descriptionOf(await unary(client, Hsm.service.Describe, {}, TIMEOUT_MS));
  let memberId: string | undefined;
  const signed = async (method: DomainCallMethod, ...request: readonly Uint8Array[]): Promise<Buffer> => {
    memberId ??= (await describe()).memberId;
    return signCall({ domain, method, memberId, request }, scheduler, systemClock.now());
  };
  return {
    address,
    async describe() {
      const description = await describe();
      memberId = description.memberId;
      return description;
    },
    async prepare(proposal, current) {
      const request = current === undefined ? { proposal } : { proposal, current };
      const call = await signed('PrepareDomainToken', ...Object.values(request));
      const { token } = await refusable(
        unary(client, Hsm.service.PrepareDomainToken, { ...request, call }, WRAPPING_TIMEOUT_MS),
      );
      return token ?? Buffer.alloc(0);
    },
    async check(token) {
      const request = { token: Buffer.from(token), call: await signed('CheckDomainToken', token) };
      const { check } = await refusable(unary(client, Hsm.service.CheckDomainToken, request, WRAPPING_TIMEOUT_MS));
      return check ?? NOTHING;
    },
    async install(tokens) {
      const request = { tokens: [...tokens], call: await signed('InstallDomainTokens', ...tokens) };
      return descriptionOf(
        await refusable(unary(client, Hsm.service.InstallDomainTokens, request, INSTALL_TIMEOUT_MS)),
      );
    },
    async heldToken(generation) {
      const { token } = await unary(client, Hsm.service.FetchHeldToken, { generation }, TIMEOUT_MS);
      return token ?? NOTHING;
    },
    async activate(generation) {
      const request = { generation, call: await signed('ActivateDomainKey', Buffer.from(String(generation))) };
      return descriptionOf(await refusable(unary(client, Hsm.service.ActivateDomainKey, request, TIMEOUT_MS)));
    },
    async leave(proposal) {
      const request = { proposal, call: await signed('LeaveDomain', proposal) };
      return descriptionOf(await refusable(unary(client, Hsm.service.LeaveDomain, request, TIMEOUT_MS)));
    },
    [Symbol.dispose]: () => client.close(),
  };
}

async function refusable<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const { code, details } = error as ServiceError;
    if (REFUSALS.includes(code)) {
      const reason = details.slice(0, MAX_REFUSAL) || 'the worker refused';
      throw new WorkerRefusedError(reason, { cause: error });
    }
    throw error;
  }
}

const NOTHING = Buffer.alloc(0);
const noBytes = bytes({ max: 0 });

/** As long as they may be: what a worker says of itself is shown to operators, with that of all the others. */
const Description = z.object({
  member_id: entityId,
  signing_key: publicKey,
  agreement_key: publicKey,
  encapsulation_key: encapsulationKey.or(noBytes).default(NOTHING),
  domain: domainName.or(z.literal('')).default(''),
  generation: z.int().min(0).default(0),
  token_hash: sha256Hash.or(noBytes).default(NOTHING),
  active_generation: z.int().min(0).default(0),
  now: z.int().optional(),
});

/** protobuf omits zeros and empty values. Throws for what no hsm-worker says. */
function descriptionOf(message: HsmDescription__Output): HsmDescription {
  const { success, data } = Description.safeParse(message);
  if (!success) throw new Error('it does not describe itself as an hsm-worker does');
  return {
    memberId: data.member_id,
    signingKey: data.signing_key,
    agreementKey: data.agreement_key,
    ...(data.encapsulation_key.length > 0 && { encapsulationKey: data.encapsulation_key }),
    domain: data.domain,
    generation: data.generation,
    tokenHash: data.token_hash,
    activeGeneration: data.active_generation,
    ...(data.now === undefined ? {} : { clockAheadMs: data.now - systemClock.now() }),
  };
}
