import { type Client, Metadata } from '@grpc/grpc-js';
import type { MethodDefinition } from '@grpc/proto-loader';

/**
 * A unary call as a promise. `timeoutMs` is not optional: no call of ours may wait for ever. `method` as in
 * `Hsm.service.Describe`. Throws grpc-js's ServiceError.
 */
export function unary<Request extends object, Response extends object>(
  client: Client,
  method: MethodDefinition<Request, object, object, Response>,
  request: Request,
  timeoutMs: number,
): Promise<Response> {
  const { path, requestSerialize, responseDeserialize } = method;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      { deadline: Date.now() + timeoutMs },
      (error, response) => {
        if (error !== null) reject(error);
        else resolve(response as Response);
      },
    );
  });
}
