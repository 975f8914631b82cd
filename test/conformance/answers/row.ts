import type { Keys } from './keys.ts';

/** One request, as the bytes of its body or what JSON makes of it, and the whole body that answers it. */
export interface Row {
  /** What was decided, where facts contradict each other. */
  readonly title: string;
  readonly operation: string;
  readonly body: (keys: Keys) => object | string;
  /** undefined: 200 and no body. A text is the exact body, an object what it is as JSON. */
  readonly answer: (keys: Keys) => Record<string, unknown> | undefined;
  /** 400 unless said; 200 for an answer that is no error. */
  readonly status?: number;
  /** `other`: the administrator of another account. */
  readonly by?: 'other';
}

/** `__type` and the text; AWS writes the member in lower case, in all but two. */
export function error(code: string, message?: string): Record<string, unknown> {
  const member = code === 'AccessDeniedException' || code === 'SerializationException' ? 'Message' : 'message';
  return { __type: code, ...(message !== undefined && { [member]: message }) };
}

export function invalid(...violations: string[]): Record<string, unknown> {
  const errors = violations.length === 1 ? 'error' : 'errors';
  return error('ValidationException', `${violations.length} validation ${errors} detected: ${violations.join('; ')}`);
}

export const outOfReach =
  'because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access';
