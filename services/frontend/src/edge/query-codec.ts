import { compileCheck } from '@keyfleet/shared/api/check';
import { type Shape, type StructureShape, structureOf } from '@keyfleet/shared/api/shape';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { z } from 'zod';
import { ShownOnce } from '../identities/shown-once.ts';

export type Parameters = ReadonlyMap<string, string>;

/** More items than any list accepts. Further items are not read, and the list is refused for its length. */
const MAX_ITEMS = 1_001;

/**
 * Compiles a reader of forms such as `UserName=a&Tags.member.1.Key=b` from an operation's input. Throws
 * ValidationException with every violated constraint, in AWS's words. Parameters that belong to no member are ignored,
 * as AWS does.
 */
export function queryReader(input: z.ZodObject): (parameters: Parameters) => Readonly<Record<string, unknown>> {
  const shape = structureOf(input.shape);
  const check = compileCheck(shape);
  return (parameters) => {
    const value = readStructure(parameters, shape, '') ?? {};
    check(value);
    return value;
  };
}

/** Undefined if none of it was given. */
function readValue(parameters: Parameters, shape: Shape, path: string): unknown {
  switch (shape.kind) {
    case 'structure':
      return readStructure(parameters, shape, `${path}.`);
    case 'list':
      return readList(parameters, shape.item, path);
    case 'integer':
      return readInteger(parameters.get(path), path);
    case 'flag':
      return readFlag(parameters.get(path), path);
    case 'text':
    case 'choice':
      return parameters.get(path);
    case 'timestamp':
    case 'blob':
    case 'map':
      throw new TypeError(`no form of the Query protocol for a ${shape.kind}`);
  }
}

function readStructure(parameters: Parameters, shape: StructureShape, prefix: string) {
  const members = shape.members.flatMap(({ name, shape: member, default: absent }) => {
    const value = readValue(parameters, member, prefix + name) ?? absent;
    return value === undefined ? [] : [[name, value] as const];
  });
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

function readList(parameters: Parameters, item: Shape, path: string): unknown[] | undefined {
  const items: unknown[] = [];
  for (let i = 1; i <= MAX_ITEMS; i++) {
    const value = readValue(parameters, item, `${path}.member.${i}`);
    if (value === undefined) break;
    items.push(value);
  }
  // An empty list is sent as its bare name.
  return items.length > 0 || parameters.has(path) ? items : undefined;
}

function readInteger(text: string | undefined, path: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw malformed(text, path);
}

function readFlag(text: string | undefined, path: string): boolean | undefined {
  if (text === undefined) return undefined;
  if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  throw malformed(text, path);
}

function malformed(text: string, path: string): KmsException {
  return new KmsException('ValidationException', `The value '${text}' of ${path} is malformed.`);
}

/** An answer's members as XML: lists as `<member>`, maps as `<entry>`, dates as ISO 8601 to the second. */
export function xmlOf(value: unknown): string {
  if (value instanceof ShownOnce) return escapeXml(value.text);
  if (value instanceof Date) return `${value.toISOString().slice(0, 19)}Z`;
  if (value instanceof Map) {
    return [...value].map(([key, item]) => `<entry>${xmlOf({ key, value: item })}</entry>`).join('');
  }
  if (Array.isArray(value)) return value.map((item) => `<member>${xmlOf(item)}</member>`).join('');
  if (typeof value !== 'object' || value === null) return escapeXml(String(value));
  return Object.entries(value)
    .map(([name, member]) => (member === undefined ? '' : `<${name}>${xmlOf(member)}</${name}>`))
    .join('');
}

/** Text on one line. Characters that XML 1.0 cannot represent are left out. */
export function escapeXml(text: string): string {
  return (
    text
      .toWellFormed()
      // oxlint-disable-next-line no-control-regex
      .replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
  );
}
