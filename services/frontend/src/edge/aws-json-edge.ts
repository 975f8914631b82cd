import { AWS_JSON, errorBody, requestCodec, responseCodec } from '@keyfleet/shared/api/aws-json';
import type { Operation, OutputOf } from '@keyfleet/shared/api/operation';
import { operations } from '@keyfleet/shared/api/registry';
import { exceptions, KmsException } from '@keyfleet/shared/errors/exceptions';
import { type HttpAnswer, type HttpRequest, unknownOperation } from './http-message.ts';
import type { Pipeline } from '../request/pipeline.ts';

export interface KmsEdgeDeps {
  readonly pipeline: Pipeline;
  readonly regions: ReadonlySet<string>;
}

/** AWS JSON 1.1: `X-Amz-Target` names the operation, the body is its input. */
export class AwsJsonEdge {
  readonly #deps: KmsEdgeDeps;
  readonly #routes: ReadonlyMap<string, Route>;

  constructor(deps: KmsEdgeDeps) {
    this.#deps = deps;
    this.#routes = new Map(
      Object.values<Operation>(operations).map((operation) => [targetOf(operation), routeOf(operation)]),
    );
  }

  /** Never rejects. */
  async answer(request: HttpRequest): Promise<HttpAnswer> {
    const contentType = request.headers.get('content-type');
    if (request.body.length > 0 && contentType?.split(';', 1)[0]?.trim() !== AWS_JSON) return unknownOperation;
    try {
      const route = this.#routes.get(request.headers.get('x-amz-target') ?? '');
      if (route === undefined) throw new KmsException('UnknownOperationException');
      return { status: 200, contentType: AWS_JSON, body: await this.#process(request, route) };
    } catch (error) {
      const exception = firstProblem(
        error instanceof KmsException ? error : new KmsException('KMSInternalException'),
        request.body,
      );
      return { status: exceptions[exception.code].http, contentType: AWS_JSON, body: errorBody(exception) };
    }
  }

  #process(request: HttpRequest, { operation, requests, responses }: Route): Promise<HttpAnswer['body']> {
    const { pipeline, regions } = this.#deps;
    return pipeline.process(request, {
      service: 'kms',
      name: operation.name,
      operation,
      signedFor: { service: 'kms', regions },
      parse: () => requests.parse(request.body),
      format: (output) => responses.encode(output as OutputOf<Operation>),
    });
  }
}

type Route = ReturnType<typeof routeOf>;

function routeOf(operation: Operation) {
  return { operation, requests: requestCodec(operation), responses: responseCodec(operation) };
}

function targetOf({ name }: Operation): string {
  return `TrentService.${name}`;
}

/**
 * AWS reads the JSON first, then the target, then the signature. We parse nothing for a stranger until the request is
 * refused anyway, so that the usual request is parsed once. Of two problems we still answer the one that AWS would.
 */
function firstProblem(exception: KmsException, body: Buffer): KmsException {
  const isStranger = exception.code === 'UnknownOperationException' || UNAUTHENTICATED.has(exception.code);
  return isStranger && body.length > 0 && body.length <= READ_FOR_STRANGERS && !isJson(body)
    ? new KmsException('SerializationException')
    : exception;
}

/** Bytes. A longer body costs more than a stranger's second problem is worth. */
const READ_FOR_STRANGERS = 65_536;

const UNAUTHENTICATED: ReadonlySet<string> = new Set([
  'IncompleteSignatureException',
  'InvalidSignatureException',
  'MissingAuthenticationTokenException',
  'UnrecognizedClientException',
] satisfies KmsException['code'][]);

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}
