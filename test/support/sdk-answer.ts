import { operations } from '@keyfleet/shared/api/registry';
import type { Operation } from '@keyfleet/shared/api/operation';
import { commonErrors, type ExceptionCode, exceptions } from '@keyfleet/shared/errors/exceptions';
import { awsOperations, awsStructures } from '../conformance/aws-model.ts';
import { deviations } from '../conformance/deviations.ts';

export interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const aws = awsOperations();
const structures = awsStructures();

/** Throws unless this, as it came over the wire, is an answer that AWS's model and its recorded habits allow. */
export function assertAnswer(operation: string, { statusCode, headers, body }: Answer): void {
  const problems = [
    ...(body.length === 0 || headers['content-type'] === 'application/x-amz-json-1.1' ? [] : ['content-type']),
    ...(headers['x-amzn-requestid'] ? [] : ['x-amzn-requestid']),
    ...(statusCode === 200 ? outputProblems(operation, body) : errorProblems(operation, { statusCode, body })),
  ];
  if (problems.length > 0)
    throw new Error(`${operation} answers what AWS does not: ${problems.join(', ')}: ${body.toString()}`);
}

function outputProblems(operation: string, body: Buffer): string[] {
  const { output } = aws.get(operation)!;
  if (output === undefined) return body.length === 0 ? [] : ['a body'];
  return problemsOf(JSON.parse(body.toString()), output, output);
}

function errorProblems(operation: string, { statusCode, body }: { statusCode: number; body: Buffer }): string[] {
  const answer = JSON.parse(body.toString()) as Record<string, unknown>;
  const code = answer['__type'] as ExceptionCode;
  if (!Object.hasOwn(exceptions, code)) return [`exception ${code}`];
  const { errors } = operations[operation as keyof typeof operations] as Operation;
  const { http, text } = exceptions[code];
  return [
    ...(commonErrors.has(code) || errors.includes(code) ? [] : [`${code} is not declared`]),
    ...(statusCode === http ? [] : [`status ${statusCode}`]),
    ...Object.keys(answer).filter((member) => member !== '__type' && member !== text),
  ];
}

const scalars: Readonly<Record<string, (value: unknown) => boolean>> = {
  text: (value) => typeof value === 'string',
  integer: Number.isInteger,
  flag: (value) => typeof value === 'boolean',
  timestamp: (value) => typeof value === 'number',
  blob: (value) => typeof value === 'string' && Buffer.from(value, 'base64').toString('base64') === value,
};

/** The places where `value` does not fit the type, written as in aws-model.ts. */
function problemsOf(value: unknown, type: string, path: string): string[] {
  const scalar = scalars[type];
  if (scalar) return scalar(value) ? [] : [path];
  if (type.startsWith('one of '))
    return type
      .slice(7)
      .split(' ')
      .includes(value as string)
      ? []
      : [path];
  if (type.startsWith('list of ')) {
    return Array.isArray(value) ? value.flatMap((item) => problemsOf(item, type.slice(8), `${path}[]`)) : [path];
  }
  const members = structures[type];
  if (members === undefined || typeof value !== 'object' || value === null) return [path];
  return [
    ...Object.entries(value).flatMap(([name, field]) => {
      const memberType = members[name]?.replace(', required', '');
      if (memberType === undefined) return [`${path}.${name}`];
      // Reviewed differences from the model; null is never one.
      if (`${type}.${name}` in deviations && field !== null) return [];
      return problemsOf(field, memberType, `${path}.${name}`);
    }),
    ...Object.keys(members).filter((name) => members[name]!.endsWith(', required') && !(name in value)),
  ];
}
