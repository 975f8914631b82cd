import { isUtf8 } from 'node:buffer';
import { createRequire } from 'node:module';
import { type GrpcObject, loadPackageDefinition, logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';

/** The types in gen/ are made with the same options: `npm run gen`. */
const loadOptions: Options = {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: false,
  arrays: false,
  includeDirs: [import.meta.dirname],
};

/** `file`: relative to this folder. */
export function load(file: string): GrpcObject {
  return loadPackageDefinition(loadDefinition(file));
}

export function loadDefinition(file: string): PackageDefinition {
  return loadSync(file, loadOptions);
}

/** What of protobufjs is used here: the loader's own, no other would read our messages. */
interface Protobuf {
  readonly BufferReader: { readonly prototype: { string(): string; bytes(): Buffer } };
}

/**
 * Protobuf's texts are UTF-8, and a parser refuses what is not (proto3, "Scalar Value Types"). protobufjs reads such
 * bytes as U+FFFD, so that different encryption contexts would be one, and a text that the message is too short for as
 * far as it goes.
 */
function refuseBadTexts(): void {
  const loader = createRequire(import.meta.url).resolve('@grpc/proto-loader');
  const { BufferReader } = createRequire(loader)('protobufjs') as Protobuf;
  BufferReader.prototype.string = function string() {
    const bytes = this.bytes();
    if (!isUtf8(bytes)) throw new RangeError('a text is not UTF-8');
    return bytes.toString('utf8');
  };
}

refuseBadTexts();

// grpc-js prints each header that it cannot take, with its value: before any limit, megabytes a second that a stranger
// sends, or a caller's secrets.
setLogVerbosity(logVerbosity.NONE);
