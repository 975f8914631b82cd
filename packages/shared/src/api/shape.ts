import { z } from 'zod';

/**
 * A schema's form on the wire, independent of the protocol: the JSON and protobuf codecs, kms.proto, the documents and
 * the audit record derive from it.
 */
export type Shape =
  | TextShape
  | ChoiceShape
  | IntegerShape
  | FlagShape
  | TimestampShape
  | BlobShape
  | ListShape
  | MapShape
  | StructureShape;

export interface TextShape {
  readonly kind: 'text';
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** In AWS's notation; the whole text must match. */
  readonly pattern?: string | undefined;
  /** Never written to the audit record. */
  readonly secret?: boolean | undefined;
  /** AWS's trait: never printed in a validation message. */
  readonly sensitive?: boolean | undefined;
}
export interface ChoiceShape {
  readonly kind: 'choice';
  /** As in AWS's model. */
  readonly values: readonly string[];
  /** What a request may contain. */
  readonly accepted: readonly string[];
  /** What a validation message lists as allowed, in AWS's order. */
  readonly listed: readonly string[];
}
export interface IntegerShape {
  readonly kind: 'integer';
  readonly min: number;
  readonly max: number;
}
export interface FlagShape {
  readonly kind: 'flag';
}
/** Milliseconds since the epoch in the program, epoch seconds in JSON. */
export interface TimestampShape {
  readonly kind: 'timestamp';
}
/** A Uint8Array in the program, base64 in JSON. Never in the audit record. */
export interface BlobShape {
  readonly kind: 'blob';
  readonly min: number;
  readonly max: number;
  /** As for text. */
  readonly sensitive?: boolean | undefined;
}
export interface ListShape {
  readonly kind: 'list';
  readonly item: Shape;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}
/**
 * Text to text. An object without prototype in the program, so that `constructor` and `__proto__` are ordinary keys.
 */
export interface MapShape {
  readonly kind: 'map';
  /** Characters, keys and values together. */
  readonly max: number;
}
export interface StructureShape {
  readonly kind: 'structure';
  /** Undefined for an operation's input and output themselves. */
  readonly name?: string | undefined;
  readonly members: readonly MemberShape[];
}
export interface MemberShape {
  readonly name: string;
  readonly shape: Shape;
  readonly required: boolean;
  /** The meaning of an absent member, where the operation documents one and absence makes no other difference. */
  readonly default?: unknown;
}

const shapes = z.registry<Shape>();

export function text(shape: Omit<TextShape, 'kind'> = {}) {
  let schema = z.string();
  if (shape.min !== undefined) schema = schema.min(shape.min);
  if (shape.max !== undefined) schema = schema.max(shape.max);
  if (shape.pattern !== undefined) schema = schema.regex(wholePattern(shape.pattern));
  return schema.register(shapes, { kind: 'text', ...shape });
}

export interface ChoiceRules<A extends string> {
  /** Default: the values. */
  readonly accepted?: readonly A[];
  /** Default: what is accepted. AWS lists what it accepts in its own order, and sometimes something else. */
  readonly listed?: readonly string[];
}

export function choice<const V extends string, const A extends string = V>(
  values: readonly [V, ...V[]],
  rules: ChoiceRules<A> = {},
) {
  const accepted = rules.accepted ?? (values as readonly string[] as readonly A[]);
  const shape = { kind: 'choice', values, accepted, listed: rules.listed ?? accepted } as const;
  return z.enum(accepted).register(shapes, shape);
}

export function integer(min: number, max: number) {
  return z.int().min(min).max(max).register(shapes, { kind: 'integer', min, max });
}

export function flag() {
  return z.boolean().register(shapes, { kind: 'flag' });
}

export function timestamp() {
  return z.number().register(shapes, { kind: 'timestamp' });
}

export function blob(max: number, { sensitive = false } = {}) {
  return z
    .custom<Uint8Array>((value) => value instanceof Uint8Array && value.length >= 1 && value.length <= max)
    .register(shapes, { kind: 'blob', min: 1, max, sensitive });
}

export function list<S extends z.ZodType>(item: S, length: { min?: number; max?: number } = {}) {
  let schema = z.array(item);
  if (length.min !== undefined) schema = schema.min(length.min);
  if (length.max !== undefined) schema = schema.max(length.max);
  return schema.register(shapes, { kind: 'list', item: shapeOf(item), ...length });
}

export function textMap(max: number) {
  return z.record(z.string(), z.string()).register(shapes, { kind: 'map', max });
}

export function structure<S extends z.ZodRawShape>(name: string, members: S) {
  return z.object(members).register(shapes, structureOf(members, name));
}

export function shapeOf(schema: z.ZodType): Shape {
  const known = shapes.get(schema);
  if (known !== undefined) return known;
  if (schema instanceof z.ZodObject) return structureOf(schema.shape);
  throw new TypeError(`not made by a function of shape.ts: zod ${schema._zod.def.type}`);
}

/** The shape of an operation's input or output. */
export function structureOf(members: z.ZodRawShape, name?: string): StructureShape {
  return {
    kind: 'structure',
    name,
    members: Object.entries(members).map(([member, schema]) => memberOf(member, schema as z.ZodType)),
  };
}

function memberOf(name: string, schema: z.ZodType): MemberShape {
  if (schema instanceof z.ZodOptional) return { name, shape: shapeOf(schema.unwrap() as z.ZodType), required: false };
  if (schema instanceof z.ZodDefault) {
    return { name, shape: shapeOf(schema.unwrap() as z.ZodType), required: false, default: schema.def.defaultValue };
  }
  return { name, shape: shapeOf(schema), required: true };
}

/** Compiles a pattern to match as Java's `matches` does: the whole text, with `\s` only for ASCII. */
export function wholePattern(source: string): RegExp {
  const own = source.replaceAll('\\s', ' \\t\\n\\v\\f\\r').replaceAll('\\p{ASCII}', '[\\x00-\\x7f]');
  return new RegExp(`^(?:${own})$`);
}
