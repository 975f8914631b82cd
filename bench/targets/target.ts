import type { TestCluster } from '@keyfleet/test-support/cluster';
import type { Callers } from './callers.ts';
import type { Answer, Endpoint, WireRequest } from '../wire/endpoint.ts';

/** One call of the AWS KMS API, as its JSON has it: blobs are base64. */
export interface Call {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** The key, if the input does not name it: servers other than AWS's need it. */
  readonly keyId?: string;
}

/** Members of an answer, as AWS's JSON has them. */
export type Output = Readonly<Record<string, unknown>>;

/** How calls look to a kind of server. */
export interface Protocol {
  /** Throws UnsupportedError for calls that the server does not have. */
  encode(call: Call): WireRequest;
  /** Of an answer, to this request, that is not a failure. */
  decode(call: Call, answer: Answer, request: WireRequest): Output;
  /** The caller names each key: one request makes one key, however often it is sent. */
  readonly namesKeys?: true;
}

/** A measured server. */
export interface Target {
  readonly name: string;
  readonly endpoint: Endpoint;
  /** Undefined: it knows no keys, and the one request is all that it is asked. */
  readonly protocol: Protocol | undefined;
  readonly onlyRequest?: WireRequest | undefined;
  /** The processes that the harness started or was told of: name -> process id. */
  processes(): Readonly<Record<string, number>>;
  /** Who signs the timed requests, if not the one who prepares. */
  readonly callers?: Callers | undefined;
  /** The cluster that events happen to, if the harness started it. */
  readonly cluster?: TestCluster | undefined;
}
