import { type JsonStyle, type JsonWriter, structureWriterOf } from '@keyfleet/shared/api/json-writer';
import type { Operation } from '@keyfleet/shared/api/operation';
import { structureOf } from '@keyfleet/shared/api/shape';
import { camelCase } from '@keyfleet/shared/errors/aws-messages';

/** What of a request and its answer goes into the audit record, as JSON: everything but bytes and secrets, named as CloudTrail names it. */
export interface Disclosure {
  input(operation: Pick<Operation, 'input'>, input: Readonly<Record<string, unknown>>): string;
  /** CloudTrail names the key of what answers nothing else. */
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

const cloudTrail: JsonStyle = {
  memberName: camelCase,
  /** As CloudTrail writes dates in answers: `Aug 10, 2022, 10:38:27 PM`. */
  timestamp: (milliseconds) => `"${dateFormat.format(milliseconds).replace('\u202F', ' ')}"`,
  blob: undefined,
};
