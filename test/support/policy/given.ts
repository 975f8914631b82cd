import { readGivenKeyPolicy } from '@keyfleet/frontend/policy/given-policy';
import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** What PutKeyPolicy would say of a text; undefined if it is taken. */
export function refusalOfKeyPolicy(text: string): string | undefined {
  try {
    readGivenKeyPolicy(text, 'aws');
    return undefined;
  } catch (error) {
    if (error instanceof KmsException) return `${error.code}: ${error.message}`;
    throw error;
  }
}
