import type { EdgeRequest } from '../request/attempt.ts';

/** A whole request as it arrived, nothing in it trusted yet. */
export interface HttpRequest extends EdgeRequest {
  readonly body: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  /** The bytes are overwritten once sent. */
  readonly body: string | Buffer;
}

/** Answers the calls of one protocol. */
export interface Protocol {
  /** Never rejects. */
  answer(request: HttpRequest): Promise<HttpAnswer>;
}

/** AWS's answer to a request that is not an API call: a wrong method, path or content type. */
export const unknownOperation: HttpAnswer = {
  status: 404,
  contentType: 'application/xml',
  body: '<UnknownOperationException/>\n',
};

interface RequestTarget {
  /** As sent. */
  readonly path: string;
  /** As sent, without the question mark. */
  readonly query: string;
  /** Host and port, if the request line has them. */
  readonly authority?: string;
}

/** Sent by clients that take the service for a proxy, such as `curl -x`. */
const absoluteForm = /^https?:\/\/([^/?#]+)([^#]*)$/i;

/** Parses a request target in origin form or absolute form (RFC 9112, 3.2); undefined for any other. */
export function readTarget(text: string): RequestTarget | undefined {
  if (text.startsWith('/')) return split(text);
  const [, authority, rest] = absoluteForm.exec(text) ?? [];
  if (authority === undefined || rest === undefined) return undefined;
  return { ...split(rest.startsWith('/') ? rest : `/${rest}`), authority };
}

function split(target: string): RequestTarget {
  const mark = target.indexOf('?');
  return mark < 0 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/**
 * The longest form of a call that needs no signature, which anybody may send. A token has 20,000 characters, and a
 * session's policy 2,048.
 */
export const UNSIGNED_FORM_BYTES = 32_768;

/** IAM and STS share KMS's port; only their protocol sends forms and names the action in the query. */
export function isQueryRequest({ headers, query }: Pick<HttpRequest, 'headers' | 'query'>): boolean {
  return isForm(headers) || (namesAction(query) && !headers.has('x-amz-target'));
}

function isForm(headers: HttpRequest['headers']): boolean {
  return headers.get('content-type')?.startsWith('application/x-www-form-urlencoded') === true;
}

/** Whether a body of so many bytes may be a call that needs no signature. */
export function mayBeUnsigned({ headers }: Pick<HttpRequest, 'headers'>, length: number): boolean {
  return length <= UNSIGNED_FORM_BYTES && isForm(headers) && !headers.has('authorization');
}

/** True for the query of a call that has no body: a GET, or a presigned URL. */
export function namesAction(query: string): boolean {
  return /(?:^|&)Action=/.test(query);
}
