import { type ChannelCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { Hsm } from '@keyfleet/proto';
import { systemClock } from '@keyfleet/shared/clock';
import { type DomainCallMethod, signCall } from '@keyfleet/shared/domain/domain-call';
import type { Signer } from '@keyfleet/shared/domain/proposal';
import type { HsmDescription__Output } from '@keyfleet/proto/gen/keyfleet/hsm/v1/HsmDescription';
import { channelOptions, unary } from '@keyfleet/proto/unary';
import { type HsmDescription, type Worker, WorkerRefusedError } from './workers.ts';

const TIMEOUT_MS = 5_000;
/** A new member takes its time to verify a chain of many years. */
const INSTALL_TIMEOUT_MS = 30_000;

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
        unary(client, Hsm.service.PrepareDomainToken, { ...request, call }, TIMEOUT_MS),
      );
      return token ?? Buffer.alloc(0);
    },
    async check(token) {
      const request = { token: Buffer.from(token), call: await signed('CheckDomainToken', token) };
      const { check } = await refusable(unary(client, Hsm.service.CheckDomainToken, request, TIMEOUT_MS));
      return check ?? NOTHING;
    },
    async install(tokens) {
      const request = { tokens: [...tokens], call: await signed('InstallDomainTokens', ...tokens) };
      return descriptionOf(
        await refusable(unary(client, Hsm.service.InstallDomainTokens, request, INSTALL_TIMEOUT_MS)),
      );
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
    if (REFUSALS.includes(code)) throw new WorkerRefusedError(details || 'the worker refused', { cause: error });
    throw error;
  }
}

const NOTHING = Buffer.alloc(0);

/** protobuf omits zeros and empty values. */
function descriptionOf(message: HsmDescription__Output): HsmDescription {
  return {
    memberId: message.member_id ?? '',
    signingKey: message.signing_key ?? NOTHING,
    agreementKey: message.agreement_key ?? NOTHING,
    ...(message.encapsulation_key?.length && { encapsulationKey: message.encapsulation_key }),
    domain: message.domain ?? '',
    generation: message.generation ?? 0,
    tokenHash: message.token_hash ?? NOTHING,
    activeGeneration: message.active_generation ?? 0,
    ...(message.now === undefined ? {} : { clockAheadMs: message.now - systemClock.now() }),
  };
}
