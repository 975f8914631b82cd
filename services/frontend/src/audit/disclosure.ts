import type { Operation } from '@keyfleet/shared/api/operation';
import { type Shape, shapeOf, type StructureShape } from '@keyfleet/shared/api/shape';
import { camelCase } from '@keyfleet/shared/errors/aws-messages';

/** What of a request and its answer goes into the audit record: everything but bytes and secrets, named as CloudTrail names it. */
export interface Disclosure {
  input(operation: Operation, input: Readonly<Record<string, unknown>>): unknown;
  /** CloudTrail names the key of what answers nothing else. */
  output(operation: Operation, output: unknown, keyArn: string | undefined): unknown;
}

type Show = (value: unknown) => unknown;

/** Compiles each operation's disclosure once. */
export function newDisclosure(): Disclosure {
  const inputs = new Map<Operation, Show>();
  const outputs = new Map<Operation, Show>();
  return {
    input: (operation, input) => showerOf(inputs, operation, operation.input)(input),
    output(operation, output, keyArn) {
      const keyId = keyArn === undefined ? {} : { keyId: keyArn };
      if (operation.output === null) return keyArn === undefined ? null : keyId;
      return Object.assign(showerOf(outputs, operation, operation.output)(output) as object, keyId);
    },
  };
}

function showerOf(known: Map<Operation, Show>, operation: Operation, schema: Operation['input']): Show {
  const found = known.get(operation);
  if (found) return found;
  const show = compile(shapeOf(schema)) ?? (() => ({}));
  known.set(operation, show);
  return show;
}

/** Undefined for what is never shown. */
function compile(shape: Shape): Show | undefined {
  switch (shape.kind) {
    case 'blob':
      return undefined;
    case 'text':
      return shape.secret ? undefined : asItIs;
    case 'timestamp':
      return (value) => dateTextOf(value as number);
    case 'list': {
      const item = compile(shape.item);
      return item && ((value) => (value as unknown[]).map(item));
    }
    case 'structure':
      return compileStructure(shape);
    default:
      return asItIs;
  }
}

function compileStructure({ members }: StructureShape): Show {
  const shown = members.flatMap(({ name, shape }) => {
    const show = compile(shape);
    return show ? [{ name, shownAs: camelCase(name), show }] : [];
  });
  return (value) => {
    const result: Record<string, unknown> = {};
    for (const { name, shownAs, show } of shown) {
      const member = (value as Record<string, unknown>)[name];
      if (member !== undefined) result[shownAs] = show(member);
    }
    return result;
  };
}

function asItIs(value: unknown): unknown {
  return value;
}

const dateFormat = new Intl.DateTimeFormat('en-US', { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' });

/** As CloudTrail writes dates in answers: `Aug 10, 2022, 10:38:27 PM`. */
function dateTextOf(milliseconds: number): string {
  return dateFormat.format(milliseconds).replace('\u202F', ' ');
}
