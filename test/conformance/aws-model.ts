import * as sdk from '@aws-sdk/client-kms';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Structure -> member -> what it is, in one line: `text, required`. */
export type Described = Record<string, Record<string, string>>;

export interface AwsOperation {
  readonly input: string;
  /** Undefined for an operation that answers with no body. */
  readonly output: string | undefined;
  readonly errors: readonly string[];
}

// The schema objects of AWS's code generator: arrays of kind, namespace, name, traits and what the kind needs.
type Schema = readonly [kind: number, namespace: string, name: string, traits: unknown, ...rest: unknown[]];
type Reference = Schema | (() => Reference) | number | 'unit' | readonly [Reference, unknown];

const LIST = 1;
const STRUCTURE = 3;
const OPERATION = 9;
const LIST_OF = 64;
const MAP_OF = 128;
const SIMPLE: Readonly<Record<number, string>> = { 0: 'text', 1: 'integer', 2: 'flag', 4: 'timestamp', 21: 'blob' };

const schemas = Object.entries(sdk as unknown as Record<string, unknown>)
  .filter(([name, value]) => name.endsWith('$') && Array.isArray(value))
  .map(([, value]) => value as unknown as Schema);
const types = readFileSync(join(distTypes(), 'models/models_0.d.ts'), 'utf8');

/** The KMS API as the newest AWS SDK knows it. */
export function awsOperations(): Map<string, AwsOperation> {
  const found = schemas.filter(([kind]) => kind === OPERATION);
  return new Map(
    found.map(([, , name, , input, output]) => {
      const answer = resolve(output as Reference);
      return [
        name,
        {
          input: nameOf(input as Reference)!,
          output: answer === 'unit' ? undefined : nameOf(output as Reference),
          errors: errorsOf(name),
        },
      ];
    }),
  );
}

export function awsStructures(): Described {
  const structures = schemas.filter(([kind]) => kind === STRUCTURE);
  return Object.fromEntries(
    structures.map((schema) => {
      const [names, references, required = 0] = schema.slice(4) as [string[], Reference[], number?];
      const typesOfMembers = typesOf(schema[2]);
      const members = names.map((name, index) => {
        const type = describe(references[index]!, typesOfMembers[name]);
        return [name, index < required ? `${type}, required` : type];
      });
      return [schema[2], Object.fromEntries(members) as Record<string, string>];
    }),
  );
}

function describe(reference: Reference, type: string | undefined): string {
  const schema = resolve(reference);
  if (typeof schema === 'number') {
    if (schema >= MAP_OF) return 'map';
    return schema >= LIST_OF
      ? `list of ${describe(schema - LIST_OF, type)}`
      : (choiceOf(type) ?? SIMPLE[schema] ?? `unknown ${schema}`);
  }
  if (schema === 'unit') return 'nothing';
  const [kind, , name, , inner] = schema;
  if (kind === LIST) return `list of ${describe(inner as Reference, type)}`;
  return kind === STRUCTURE ? name : describe(inner as Reference, type);
}

/** An enumeration is text in the schemas; the type declarations say which. */
function choiceOf(type: string | undefined): string | undefined {
  const values: unknown = type === undefined ? undefined : (sdk as unknown as Record<string, unknown>)[type];
  return typeof values === 'object' && values !== null
    ? choice(Object.values(values as Record<string, string>))
    : undefined;
}

export function choice(values: readonly string[]): string {
  return `one of ${values.toSorted().join(' ')}`;
}

function resolve(reference: Reference): Schema | number | 'unit' {
  if (typeof reference === 'function') return resolve(reference());
  if (typeof reference === 'number' || reference === 'unit') return reference;
  // A member with traits of its own: the schema, then the traits.
  return typeof reference[1] === 'string' ? (reference as Schema) : resolve(reference[0] as Reference);
}

function nameOf(reference: Reference): string | undefined {
  const schema = resolve(reference);
  return typeof schema === 'object' ? schema[2] : undefined;
}

/** Member -> name of its type, without list brackets. */
function typesOf(structure: string): Record<string, string> {
  const body = new RegExp(`^export interface ${structure} \\{$([^]*?)^\\}$`, 'm').exec(types)?.[1] ?? '';
  const members = body.matchAll(/^ {4}(\w+)\??: (\w+)(?:\[\])? \| undefined;$/gm);
  return Object.fromEntries([...members].map(([, member, type]) => [member!, type!]));
}

function errorsOf(operation: string): string[] {
  const declaration = readFileSync(join(distTypes(), `commands/${operation}Command.d.ts`), 'utf8');
  return [...declaration.matchAll(/@throws \{@link (\w+Exception)\} \((?:client|server) fault\)/g)].map(
    ([, name]) => name!,
  );
}

function distTypes(): string {
  return join(import.meta.dirname, '../../node_modules/@aws-sdk/client-kms/dist-types');
}
