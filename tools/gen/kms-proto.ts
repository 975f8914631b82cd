import type { Operation } from '@keyfleet/shared/api/operation';
import { type MemberShape, type Shape, structureOf, type StructureShape } from '@keyfleet/shared/api/shape';

/**
 * Message -> field -> number. Append-only: a number once given keeps its meaning for ever, also after its field is
 * gone.
 */
export type FieldNumbers = Readonly<Record<string, Readonly<Record<string, number>>>>;

const HEADER = `// Generated from the operation registry by \`npm run gen\`; never edited. Field numbers are kept in fields.lock.json.
// The AWS KMS API as a gRPC service: fields have AWS's own names, and docs/api.md says what they may hold. docs/grpc.md
// says how a call is signed. An error is a status with the exception's name in the \`kms-error\` trailer.
syntax = "proto3";
package keyfleet.kms.v1;

import "google/protobuf/timestamp.proto";
`;

/** kms.proto, and the field numbers with those that are new. */
export function kmsProto(
  operations: readonly Operation[],
  locked: FieldNumbers,
): { text: string; numbers: FieldNumbers } {
  const messages = messagesOf(operations);
  const numbers: Record<string, Record<string, number>> = {};
  for (const name of new Set([...Object.keys(locked), ...messages.keys()])) {
    numbers[name] = numbered(locked[name] ?? {}, messages.get(name) ?? []);
  }
  const bodies = [...messages].map(([name, members]) => messageText(name, members, numbers[name]!));
  return { text: [HEADER, serviceText(operations), ...bodies].join('\n'), numbers };
}

function serviceText(operations: readonly Operation[]): string {
  const methods = operations.map(
    ({ name, summary }) => `  // ${summary}\n  rpc ${name}(${name}Request) returns (${name}Response);\n`,
  );
  return `service Kms {\n${methods.join('\n')}}\n`;
}

/** Every message by name: the requests and responses, then the structures they use. */
function messagesOf(operations: readonly Operation[]): Map<string, readonly MemberShape[]> {
  const messages = new Map<string, readonly MemberShape[]>();
  for (const { name, input, output } of operations) {
    messages.set(`${name}Request`, structureOf(input.shape).members);
    messages.set(`${name}Response`, output === null ? [] : structureOf(output.shape).members);
  }
  for (const { name, members } of structuresIn([...messages.values()].flat())) messages.set(name!, members);
  return messages;
}

function structuresIn(members: readonly MemberShape[]): StructureShape[] {
  return members.flatMap(({ shape }) => {
    const inner = shape.kind === 'list' ? shape.item : shape;
    return inner.kind === 'structure' ? [inner, ...structuresIn(inner.members)] : [];
  });
}

function numbered(locked: Readonly<Record<string, number>>, members: readonly MemberShape[]): Record<string, number> {
  const numbers = { ...locked };
  let next = Math.max(0, ...Object.values(numbers));
  for (const { name } of members) numbers[name] ??= ++next;
  return numbers;
}

function messageText(name: string, members: readonly MemberShape[], numbers: Readonly<Record<string, number>>): string {
  const present = new Set(members.map((member) => member.name));
  const gone = Object.entries(numbers).filter(([field]) => !present.has(field));
  const lines = gone.flatMap(([field, number]) => [`  reserved ${number};`, `  reserved "${field}";`]);
  for (const member of members) lines.push(`  ${fieldType(member.shape)} ${member.name} = ${numbers[member.name]};`);
  return lines.length === 0 ? `message ${name} {}\n` : `message ${name} {\n${lines.join('\n')}\n}\n`;
}

/** Scalars are \`optional\`: AWS tells absent from empty. */
function fieldType(shape: Shape): string {
  if (shape.kind === 'list') return `repeated ${typeName(shape.item)}`;
  const name = typeName(shape);
  return shape.kind === 'structure' || shape.kind === 'map' || shape.kind === 'timestamp' ? name : `optional ${name}`;
}

function typeName(shape: Shape): string {
  switch (shape.kind) {
    // Enumerations are text: AWS adds values, and answers an unknown one with a message that repeats it.
    case 'text':
    case 'choice':
      return 'string';
    case 'integer':
      return 'int32';
    case 'flag':
      return 'bool';
    case 'timestamp':
      return 'google.protobuf.Timestamp';
    case 'blob':
      return 'bytes';
    case 'map':
      return 'map<string, string>';
    case 'list':
      throw new TypeError('protobuf has no list of lists');
    case 'structure':
      return shape.name!;
  }
}
