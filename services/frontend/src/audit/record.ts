import { randomUUID } from 'node:crypto';
import { type JsonStyle, type JsonWriter, structureWriterOf } from '@keyfleet/shared/api/json-writer';
import type { Operation } from '@keyfleet/shared/api/operation';
import { structureOf } from '@keyfleet/shared/api/shape';
import type { Clock } from '@keyfleet/shared/clock';
import { camelCase } from '@keyfleet/shared/errors/aws-messages';
import type { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { Attestation } from '../attestation/attestations.ts';
import { MATERIAL_TAG } from '../keys/development-tags.ts';
import { ShownOnce } from '../identities/shown-once.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import type { Caller } from '../operations/handler.ts';
import type { Attempt } from '../request/attempt.ts';
import { assertRecordable, type AuditSink } from './sink.ts';

/** One line of the audit log. It has CloudTrail's shape, so that tools which read CloudTrail can read it. */
export interface AuditRecord {
  readonly eventVersion: '1.11';
  readonly userIdentity: UserIdentity;
  /** ISO 8601, UTC. */
  readonly eventTime: string;
  readonly eventSource: `${Attempt['service']}.amazonaws.com`;
  readonly eventName: string;
  readonly awsRegion: string;
  readonly sourceIPAddress: string;
  readonly userAgent: string;
  readonly errorCode?: string;
  readonly errorMessage?: string;
  /** Never a plaintext, a ciphertext, a message, a signature or a token. */
  readonly requestParameters: unknown;
  readonly responseElements: unknown;
  /** `lastKnownKeyRecord`: Redis was away, and the record of the key, its store or the caller is from before that. */
  readonly additionalEventData?: AdditionalEventData;
  readonly requestID: string;
  readonly eventID: string;
  readonly readOnly: boolean;
  readonly resources?: readonly AuditedResource[];
  readonly eventType: 'AwsApiCall';
  readonly managementEvent: true;
  readonly recipientAccountId: string;
  readonly eventCategory: 'Management';
}

interface AdditionalEventData {
  readonly keyMaterialId?: string;
  readonly recipient?: Readonly<Record<string, string>>;
  readonly lastKnownKeyRecord?: true;
  /** The grant that RetireGrant ended. */
  readonly grantId?: string;
}

interface UserIdentity {
  readonly type: string;
  readonly principalId: string;
  readonly arn: string;
  readonly accountId: string;
  readonly accessKeyId: string;
}

interface AuditedResource {
  readonly accountId: string;
  readonly type: 'AWS::KMS::Key';
  readonly ARN: string;
}

/** Of an error's text and of a user agent: CloudTrail User Guide, "CloudTrail record contents". */
const MAX_CHARACTERS = 1024;

/** CloudTrail leaves out longer ones (CloudTrail User Guide, "CloudTrail record contents"). */
const MAX_PARAMETERS = 100 * 1024;

/**
 * Of a call without a signature, and of one beyond its rate, which are answered as fast as they are sent: whoever it is
 * may not fill the disk. A role's ARN and a session's name take less.
 */
const MAX_UNBOUNDED_PARAMETERS = 1024;

function isProven(caller: Caller | undefined): caller is Caller {
  return caller !== undefined && caller.arn !== '';
}

/**
 * Writes one record for every outcome of every request. This is on every request's path, so the JSON is built as text.
 */
export class Audit {
  readonly #sink: Pick<AuditSink, 'write' | 'isFull'>;
  readonly #clock: Clock;
  readonly #disclose = newDisclosure();
  /** JSON text. */
  readonly #identities = new WeakMap<Caller, string>();
  #time = { milliseconds: Number.NaN, text: '' };

  constructor(sink: Pick<AuditSink, 'write' | 'isFull'>, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** Throws AuditFullError while actions could not be recorded. */
  assertRecordable(): void {
    assertRecordable(this.#sink);
  }

  /** Returns the record's eventID. */
  record(attempt: Attempt): string {
    const { name, service, request, userAgent, operation, query, input, call, keys } = attempt;
    const { caller, region = '' } = call ?? {};
    const eventID = randomUUID();
    // If a request was refused before it reached its operation, its effect is unknown.
    const reached = input && (operation ?? query);
    const readOnly = reached?.readOnly ?? false;
    const asked =
      input === undefined || reached === undefined ? 'null' : this.#disclose.input(reached, withoutMaterial(input));
    const isBounded = isProven(caller) && attempt.exception?.code !== 'ThrottlingException';
    const parameters = asked.length <= (isBounded ? MAX_PARAMETERS : MAX_UNBOUNDED_PARAMETERS) ? asked : 'null';
    this.#sink.write(
      `{"eventVersion":"1.11","userIdentity":${this.#identityOf(caller)},"eventTime":"${this.#now()}",` +
        `"eventSource":"${service}.amazonaws.com","eventName":${JSON.stringify(name)},` +
        `"awsRegion":${JSON.stringify(region)},"sourceIPAddress":${JSON.stringify(request.sourceIpAddress)},` +
        `"userAgent":${JSON.stringify(userAgent.slice(0, MAX_CHARACTERS))},${errorMembers(attempt.exception)}` +
        `"requestParameters":${parameters},"responseElements":${this.#responseOf(attempt)},` +
        `${additionalMember(attempt)}"requestID":${JSON.stringify(request.requestId)},"eventID":"${eventID}",` +
        `"readOnly":${readOnly},${resourcesMember(keys)}"eventType":"AwsApiCall","managementEvent":true,` +
        `"recipientAccountId":${JSON.stringify(caller?.accountId ?? '')},"eventCategory":"Management"}`,
    );
    return eventID;
  }

  #responseOf({ operation, query, keys, output, exception }: Attempt): string {
    if (exception !== undefined || (operation ?? query)?.readOnly !== false) return 'null';
    return operation === undefined ? queryAnswerOf(output) : this.#disclose.output(operation, output, keys[0]?.arn);
  }

  /** Many requests share a millisecond. */
  #now(): string {
    const milliseconds = this.#clock.now();
    if (this.#time.milliseconds !== milliseconds) {
      this.#time = { milliseconds, text: new Date(milliseconds).toISOString() };
    }
    return this.#time.text;
  }

  #identityOf(caller: Caller | undefined): string {
    if (!isProven(caller)) return nobody;
    const known = this.#identities.get(caller);
    if (known !== undefined) return known;
    const { arn, accountId, accessKeyId, userId } = caller;
    const identity = jsonOf({ type: identityTypeOf(arn), principalId: userId, arn, accountId, accessKeyId });
    this.#identities.set(caller, identity);
    return identity;
  }
}

const nobody = jsonOf({ type: 'Unknown', principalId: '', arn: '', accountId: '', accessKeyId: '' });

function jsonOf(identity: UserIdentity): string {
  return JSON.stringify(identity);
}

function identityTypeOf(arn: string): string {
  if (arn.endsWith(':root')) return 'Root';
  return /^arn:[^:]+:sts:/.test(arn) ? 'AssumedRole' : 'IAMUser';
}

// Optional members of a record, each with its trailing comma.

function errorMembers(exception: KmsException | undefined): string {
  if (exception === undefined) return '';
  const recorded = exception.recorded.slice(0, MAX_CHARACTERS).toWellFormed();
  const message = recorded === '' ? '' : `"errorMessage":${JSON.stringify(recorded)},`;
  return `"errorCode":"${exception.name}",${message}`;
}

function additionalMember({ operation, lastKnown, output, attestation, grantId }: Attempt): string {
  const materialId = materialIdOf(output);
  const members: string[] = [];
  // The request may name it by a token only.
  if (operation?.name === 'RetireGrant' && grantId !== undefined) members.push(`"grantId":${JSON.stringify(grantId)}`);
  if (materialId !== undefined) members.push(`"keyMaterialId":${JSON.stringify(materialId)}`);
  if (attestation !== undefined) members.push(`"recipient":${JSON.stringify(recipientOf(attestation))}`);
  if (lastKnown?.served === true) members.push('"lastKnownKeyRecord":true');
  return members.length === 0 ? '' : `"additionalEventData":{${members.join(',')}},`;
}

/** The registers that a record has, by what it calls them. */
const recordedRegisters: Readonly<
  Record<Attestation['platform'], readonly (readonly [index: number, name: string])[]>
> = {
  enclave: [[0, 'EnclaveImageDigest'], ...[1, 2, 3, 4, 8].map((index) => [index, `EnclavePCR${index}`] as const)],
  'nitro-tpm': [4, 7, 8, 9, 16, 23].map((index) => [index, `NitroTPMPCR${index}`] as const),
};

/** KMS Developer Guide, "Monitoring attested requests"; the registers in Base64, as CloudTrail has them. */
function recipientOf({ platform, moduleId, pcrs }: Attestation): Record<string, string> {
  const recorded = recordedRegisters[platform].flatMap(([index, name]): (readonly [string, string])[] => {
    const pcr = pcrs.get(index);
    return pcr === undefined ? [] : [[`attestationDocument${name}`, pcr.toString('base64')]];
  });
  return { attestationDocumentModuleId: moduleId, ...Object.fromEntries(recorded) };
}

function resourcesMember(keys: readonly KmsKey[]): string {
  if (keys.length === 0) return '';
  const resources = keys.map(
    // Our own ARNs need no escaping.
    ({ accountId, arn }) => `{"accountId":"${accountId}","type":"AWS::KMS::Key","ARN":"${arn}"}`,
  );
  return `"resources":[${resources.join(',')}],`;
}

/** Of key material that a tag brings, only the tag is told. */
function withoutMaterial(input: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { Tags: tags } = input;
  const isMaterial = (tag: unknown): boolean => (tag as { readonly TagKey?: unknown }).TagKey === MATERIAL_TAG;
  if (!Array.isArray(tags) || !tags.some(isMaterial)) return input;
  return { ...input, Tags: tags.map((tag: object) => (isMaterial(tag) ? { ...tag, TagValue: '' } : tag)) };
}

function materialIdOf(output: unknown): string | undefined {
  const id = (output as { readonly KeyMaterialId?: unknown } | undefined)?.KeyMaterialId;
  return typeof id === 'string' ? id : undefined;
}

/**
 * The parts of a request and its answer that go into the audit record, as JSON: everything but bytes and secrets, with
 * CloudTrail's names.
 */
interface Disclosure {
  input(operation: Pick<Operation, 'input'>, input: Readonly<Record<string, unknown>>): string;
  /** For an operation that returns nothing, CloudTrail gives the key's ARN. */
  output(operation: Operation, output: unknown, keyArn: string | undefined): string;
}

/** Compiles each operation's disclosure once. */
export function newDisclosure(): Disclosure {
  const inputs = new Map<Pick<Operation, 'input'>, JsonWriter>();
  const outputs = new Map<Pick<Operation, 'input'>, JsonWriter>();
  return {
    input: (operation, input) => writerOf(inputs, operation, operation.input)(input),
    output(operation, output, keyArn) {
      const { output: schema } = operation;
      const keyId = keyArn === undefined ? undefined : JSON.stringify(keyArn);
      if (schema === null) return keyId === undefined ? 'null' : `{"keyId":${keyId}}`;
      const write = writerOf(outputs, operation, schema);
      if (keyId === undefined) return write(output);
      if ('KeyId' in schema.shape) return write({ ...(output as object), KeyId: keyArn });
      const shown = write(output);
      return `${shown.slice(0, -1)}${shown === '{}' ? '' : ','}"keyId":${keyId}}`;
    },
  };
}

/** What IAM or STS answered, but for what is shown once. */
function queryAnswerOf(output: unknown): string {
  const isEmpty = typeof output !== 'object' || output === null || Object.keys(output).length === 0;
  return isEmpty ? 'null' : JSON.stringify(named(output));
}

function named(value: unknown): unknown {
  if (value instanceof Date) return dateText(value.getTime());
  if (Array.isArray(value)) return value.map(named);
  if (typeof value !== 'object' || value === null || value instanceof ShownOnce) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [camelCase(name), named(member)]));
}

function writerOf(
  known: Map<Pick<Operation, 'input'>, JsonWriter>,
  operation: Pick<Operation, 'input'>,
  schema: NonNullable<Operation['output']>,
): JsonWriter {
  const found = known.get(operation);
  if (found) return found;
  const writer = structureWriterOf(structureOf(schema.shape), cloudTrail);
  known.set(operation, writer);
  return writer;
}

const dateFormat = new Intl.DateTimeFormat('en-US', { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' });

/** The date format of CloudTrail's answers: `Aug 10, 2022, 10:38:27 PM`. */
function dateText(milliseconds: number): string {
  return dateFormat.format(milliseconds).replace('\u202F', ' ');
}

const cloudTrail: JsonStyle = {
  memberName: camelCase,
  timestamp: (milliseconds) => `"${dateText(milliseconds)}"`,
  blob: undefined,
};
