import type { TestCluster } from '@keyfleet/test-support/cluster';
import type { Callers } from './callers.ts';
import type { Answer, Endpoint, WireRequest } from '../wire/endpoint.ts';

/** One call of the AWS KMS API, as its JSON has it: blobs are base64. */
export interface Call {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** The key that it is about, where the input does not say it: other servers than AWS's want to be told. */
  readonly keyId?: string;
}

/** Members of an answer, as AWS's JSON has them. */
export type Output = Readonly<Record<string, unknown>>;

/** How calls look to a kind of server. */
export interface Protocol {
  /** Throws UnsupportedError for what the server has no word for. */
  encode(call: Call): WireRequest;
  /** Of an answer, to this request, that is not a failure. */
  decode(call: Call, answer: Answer, request: WireRequest): Output;
  /** The caller names each key: one request makes one key, however often it is sent. */
  readonly namesKeys?: true;
}

/** A server that is measured. */
export interface Target {
  readonly name: string;
  readonly endpoint: Endpoint;
  /** Undefined: it knows no keys, and the one request is all that it is asked. */
  readonly protocol: Protocol | undefined;
  readonly onlyRequest?: WireRequest | undefined;
  /** What the harness started, or was told of: name -> process id. */
  processes(): Readonly<Record<string, number>>;
  /** Who the timed requests are from, where it is not whoever prepares. */
  readonly callers?: Callers | undefined;
  /** What events happen to; only of what the harness started. */
  readonly cluster?: TestCluster | undefined;
}
