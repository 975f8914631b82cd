import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { KMS, type KMSClientConfig } from '@aws-sdk/client-kms';
import type { OperationName } from '@keyfleet/shared/api/registry';
import { camelCase } from '@keyfleet/shared/errors/aws-messages';
import { inject } from 'vitest';
import { assertAnswer } from './sdk-answer.ts';

interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  body: Readable;
}

/** The AWS SDK as the cluster's administrator. It throws on any answer that AWS could not have given. */
export function newKms(overrides: KMSClientConfig = {}): KMS {
  const { endpoint, credentials } = inject('cluster');
  const client = new KMS({ endpoint, credentials, region: 'us-east-1', maxAttempts: 1, ...overrides });
  // Of the lowest priority: inside the SDK's own reader, which would drop what its schema does not know.
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args);
        const response = result.response as HttpResponse;
        const body = await buffer(response.body);
        assertAnswer(commandName!.replace('Command', ''), { ...response, body });
        response.body = Readable.from([body]);
        return result;
      },
    { step: 'deserialize', priority: 'low' },
  );
  return client;
}

export const kms = newKms();

/** Any operation by name. */
export function call(operation: OperationName, input: object, client: KMS = kms): Promise<Record<string, unknown>> {
  const methods = client as unknown as Record<string, (input: object) => Promise<Record<string, unknown>>>;
  return methods[camelCase(operation)]!.call(client, input);
}

/** `NotFoundException: the message`, or the name alone when the service said nothing. Throws if the call succeeds. */
export async function refusalOf(answer: Promise<unknown>): Promise<string> {
  const error = await answer.then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown as Error,
  );
  if (!('$metadata' in error)) throw error;
  // If the service sends no message, the SDK writes its own.
  return error.message === '' || error.message === 'UnknownError' ? error.name : `${error.name}: ${error.message}`;
}
