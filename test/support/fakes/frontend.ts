import { requestCodec } from '@keyfleet/shared/api/aws-json';
import type { InputOf, Operation, OutputOf } from '@keyfleet/shared/api/operation';
import { compileInputCheck } from '@keyfleet/shared/api/input-check';
import { type ExceptionCode, KmsException } from '@keyfleet/shared/errors/exceptions';
import { newKeyId } from '@keyfleet/shared/ids';
import { Audit, type AuditRecord } from '@keyfleet/frontend/audit/record';
import { type ServiceEvent, ServiceEvents } from '@keyfleet/frontend/audit/service-events';
import type { HsmCommands } from '@keyfleet/frontend/hsm/commands';
import { newInvoke } from '@keyfleet/frontend/request/invoke';
import type { Call, Caller } from '@keyfleet/frontend/operations/handler';
import { Markers } from '@keyfleet/frontend/operations/markers';
import { Policies } from '@keyfleet/frontend/policy/policies';
import { MemoryStore } from '@keyfleet/frontend/store/memory-store';
import { LastUsages } from '@keyfleet/frontend/background/last-usages';
import { FakeHsm } from './fake-hsm.ts';

export const accountId = '111122223333';
export const region = 'us-east-1';

const allowKms = JSON.stringify({ Statement: { Effect: 'Allow', Action: 'kms:*', Resource: '*' } });

/** A user of the account who may do everything; `policies` says otherwise. */
export function user(name: string, overrides: Partial<Caller> = {}): Caller {
  const account = overrides.accountId ?? accountId;
  return {
    accountId: account,
    arn: `arn:aws:iam::${account}:user/${name}`,
    userId: `AIDA${name.toUpperCase()}`,
    accessKeyId: `AKIA${name.toUpperCase()}`,
    policies: [allowKms],
    ...overrides,
  };
}

/** Everything of a frontend that stands behind its edges, on a store in memory and a fake HSM. */
export class FakeFrontend<H extends HsmCommands = FakeHsm> {
  readonly store = new MemoryStore();
  readonly hsm: H;
  readonly audit: AuditRecord[] = [];
  /** What the service recorded of its own doing. */
  readonly serviceEvents: ServiceEvent[] = [];
  readonly faults: unknown[] = [];
  readonly lastUsages: LastUsages;
  now = Date.UTC(2026, 10, 23, 12);
  readonly #invoke;

  constructor(hsm?: H) {
    this.hsm = hsm ?? (new FakeHsm() as HsmCommands as H);
    const { store, faults } = this;
    const clock = { now: () => this.now };
    this.lastUsages = new LastUsages({ usages: store, clock, onProblem: (problem) => void faults.push(problem) });
    this.#invoke = newInvoke({
      keys: store,
      aliases: store,
      hsm: this.hsm,
      clock,
      newKeyId,
      partition: 'aws',
      policies: new Policies(),
      users: { exists: (_account, arn) => Promise.resolve(!arn.endsWith('/nobody') && arn.includes(':user/')) },
      markers: new Markers({ secrets: store, hsm: this.hsm }),
      lastUsages: this.lastUsages,
      audit: new Audit({ write: (record) => void this.audit.push(JSON.parse(record) as AuditRecord) }, clock),
      serviceEvents: new ServiceEvents(
        { write: (record) => void this.serviceEvents.push(JSON.parse(record) as ServiceEvent) },
        clock,
      ),
      lastKnown: () => undefined,
      countStale: () => {},
      assertStore: () => {},
      forgetKey: () => {},
      onFault: (fault) => void faults.push(fault),
    });
  }

  /** Fills in the schema's defaults and validates, as the edge does. */
  async call<O extends Operation>(operation: O, input: object, overrides: Partial<Call> = {}): Promise<OutputOf<O>> {
    const parsed = operation.input.safeParse(input);
    compileInputCheck(operation)(parsed.success ? parsed.data : input);
    return this.#call(operation, operation.input.parse(input) as InputOf<O>, overrides);
  }

  /** From the request's JSON on, as a client sent it. */
  callJson<O extends Operation>(operation: O, json: string): Promise<OutputOf<O>> {
    return this.#call(operation, requestCodec(operation).parse(Buffer.from(json)), {});
  }

  /** As it is: nothing is validated. */
  raw(operation: Operation, input: object): Promise<unknown> {
    return this.#call(operation, input as InputOf<Operation>, {});
  }

  #call<O extends Operation>(operation: O, input: InputOf<O>, overrides: Partial<Call>): Promise<OutputOf<O>> {
    const call: Call = {
      caller: user('alice'),
      region,
      requestId: 'request-1',
      sourceIpAddress: '192.0.2.1',
      userAgent: 'test',
      deadline: this.now + 5_000,
      ...overrides,
    };
    return this.#invoke(operation, input, call);
  }

  /** The exception that the call ends with, as `Code: message`. */
  async refusal<O extends Operation>(operation: O, input: object, overrides: Partial<Call> = {}): Promise<string> {
    try {
      await this.call(operation, input, overrides);
    } catch (error) {
      if (error instanceof KmsException) return refusalText(error.code, error.message);
      throw error;
    }
    throw new Error(`${operation.name} was not refused`);
  }

  get lastAudit(): AuditRecord {
    const record = this.audit.at(-1);
    if (!record) throw new Error('nothing was audited');
    return record;
  }
}

export function refusalText(code: ExceptionCode, message: string): string {
  return message === '' ? code : `${code}: ${message}`;
}
