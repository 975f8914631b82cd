import { Kms } from '@keyfleet/proto/kms';
import { requestCodec, responseCodec } from '@keyfleet/shared/api/aws-json';
import { type Message, protoCodec } from '@keyfleet/shared/api/proto';
import { findOperation } from '@keyfleet/shared/api/registry';
import { hash } from 'node:crypto';
import { UnsupportedError } from '../bench-error.ts';
import type { Output, Protocol } from './target.ts';

/** Keyfleet's gRPC edge: docs/grpc.md. */
export const keyfleetGrpc: Protocol = {
  encode({ operation, input }) {
    const { found, method } = operationOf(operation);
    const values = requestCodec(found).parse(Buffer.from(JSON.stringify(input)));
    const body = method.requestSerialize(protoCodec(found).formatRequest(values));
    return {
      method: 'POST',
      path: method.path,
      headers: { 'x-amz-content-sha256': hash('sha256', body, 'hex') },
      body,
    };
  },
  decode({ operation }, { body }) {
    const { found, method } = operationOf(operation);
    const output = protoCodec(found).parseResponse(method.responseDeserialize(body) as Message);
    const text = responseCodec(found).encode(output).toString();
    return text === '' ? {} : (JSON.parse(text) as Output);
  },
};

function operationOf(name: string) {
  const found = findOperation(name);
  const method = Kms.service[name];
  if (!found || !method) throw new UnsupportedError(`there is no ${name}`);
  return { found, method };
}
