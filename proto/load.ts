import { type GrpcObject, loadPackageDefinition } from '@grpc/grpc-js';
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
