import type { EdgeRequest } from '../request/attempt.ts';

/** A whole request as it came in, before anything in it is believed. */
export interface HttpRequest extends EdgeRequest {
  readonly body: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  /** Bytes are overwritten once they are sent. */
  readonly body: string | Buffer;
}

/** AWS's answer to what is not an API call at all: another method, path or content type. */
export const unknownOperation: HttpAnswer = {
  status: 404,
  contentType: 'application/xml',
  body: '<UnknownOperationException/>\n',
};
