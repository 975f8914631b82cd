import { AWS_JSON } from '@keyfleet/shared/api/aws-json';
import type { Output, Protocol } from './target.ts';

/** The AWS KMS API itself. */
export function awsJson(path = '/'): Protocol {
  return {
    encode: ({ operation, input }) => ({
      method: 'POST',
      path,
      headers: { 'content-type': AWS_JSON, 'x-amz-target': `TrentService.${operation}` },
      body: JSON.stringify(input),
    }),
    decode: (_, { body }) => (body.length === 0 ? {} : (JSON.parse(body.toString()) as Output)),
  };
}
