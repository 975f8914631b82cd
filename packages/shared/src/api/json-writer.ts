import type { BlobShape, Shape, StructureShape } from './shape.ts';

/** Formats a value of the writer's shape as JSON text. */
export type JsonWriter = (value: unknown) => string;

/** How a kind of document writes what JSON does not define. */
export interface JsonStyle {
  readonly memberName: (name: string) => string;
  /** Returns JSON text. `milliseconds`: since the epoch. */
  readonly timestamp: (milliseconds: number) => string;
  /** Returns JSON text; undefined for documents that contain no bytes and no text marked secret. */
  readonly blob: ((shape: BlobShape) => (bytes: Uint8Array) => string) | undefined;
}

/** Compiled once per shape; much faster than `JSON.stringify` of a copy. Undefined for shapes that the style omits. */
function jsonWriterOf(shape: Shape, style: JsonStyle): JsonWriter | undefined {
  switch (shape.kind) {
    case 'text':
      return shape.secret === true && style.blob === undefined ? undefined : JSON.stringify;
    case 'choice':
    case 'map':
      return JSON.stringify;
    case 'integer':
    case 'flag':
      return String;
    case 'timestamp':
      return style.timestamp as JsonWriter;
    case 'blob':
      return style.blob?.(shape) as JsonWriter | undefined;
    case 'list': {
      const writeItem = jsonWriterOf(shape.item, style);
      return writeItem && ((value) => `[${(value as unknown[]).map((item) => writeItem(item)).join(',')}]`);
    }
    case 'structure':
      return structureWriterOf(shape, style);
  }
}

/** Omits undefined members, and those that the shape does not name. */
export function structureWriterOf({ members }: StructureShape, style: JsonStyle): JsonWriter {
  const written = members.flatMap(({ name, shape }) => {
    const write = jsonWriterOf(shape, style);
    return write ? [{ name, label: `"${style.memberName(name)}":`, write }] : [];
  });
  return (value) => {
    let json = '';
    for (const { name, label, write } of written) {
      const member = (value as Record<string, unknown>)[name];
      if (member !== undefined) json += (json === '' ? label : `,${label}`) + write(member);
    }
    return `{${json}}`;
  };
}
