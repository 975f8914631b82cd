import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { QueryOperation } from '../identities/query-operation.ts';
import type { PerformQuery } from '../identities/perform-query.ts';
import type { Pipeline } from '../request/pipeline.ts';
import { countParameters } from '../request/presigned-claim.ts';
import { type HttpAnswer, type HttpRequest, UNSIGNED_FORM_BYTES } from './http-message.ts';
import { escapeXml, type Parameters, queryReader, xmlOf } from './query-codec.ts';
import { invalidAction, type QueryError, queryErrorOf } from './query-errors.ts';

const namespaces = {
  iam: 'https://iam.amazonaws.com/doc/2010-05-08/',
  sts: 'https://sts.amazonaws.com/doc/2011-06-15/',
} as const;
type Service = keyof typeof namespaces;
/** The versions of the two APIs, which tell them apart. */
const versions: ReadonlyMap<string, Service> = new Map([
  ['2010-05-08', 'iam'],
  ['2011-06-15', 'sts'],
]);

export interface QueryEdgeDeps {
  readonly pipeline: Pick<Pipeline, 'process'>;
  readonly perform: PerformQuery;
  readonly operations: readonly QueryOperation[];
  readonly regions: ReadonlySet<string>;
}

interface Route {
  readonly operation: QueryOperation;
  readonly read: (parameters: Parameters) => Readonly<Record<string, unknown>>;
}

/** The AWS Query protocol of IAM and STS. */
export class QueryEdge {
  readonly #deps: QueryEdgeDeps;
  readonly #routes: ReadonlyMap<string, Route>;
  /** IAM is global, and so is STS's oldest endpoint: they sign for us-east-1, whichever Regions there are. */
  readonly #regions: ReadonlySet<string>;

  constructor(deps: QueryEdgeDeps) {
    this.#deps = deps;
    this.#regions = new Set([...deps.regions, 'us-east-1']);
    this.#routes = new Map(
      deps.operations.map((operation) => [
        `${operation.service}:${operation.name}`,
        { operation, read: queryReader(operation.input) },
      ]),
    );
  }

  /** Never rejects. */
  async answer(request: HttpRequest): Promise<HttpAnswer> {
    const form = formOf(request);
    const [action, version] = [parameterOf(form, 'Action'), parameterOf(form, 'Version')];
    const service = versions.get(version) ?? 'sts';
    const route = this.#routes.get(`${service}:${action}`);
    const isKnown = route !== undefined && versions.has(version);
    try {
      const result = await this.#process(request, { service, form, route: isKnown ? route : undefined });
      if (!isKnown) return errorAnswer(invalidAction(action, version), service, request.requestId);
      return xml(200, answerOf(route.operation, result, request.requestId));
    } catch (error) {
      const exception = error instanceof KmsException ? error : new KmsException('KMSInternalException');
      return errorAnswer(queryErrorOf(exception), service, request.requestId);
    }
  }

  #process(
    request: HttpRequest,
    { service, form, route }: { service: Service; form: string; route: Route | undefined },
  ): Promise<object | undefined> {
    const { pipeline, perform } = this.#deps;
    return pipeline.process(request, {
      service,
      name: route?.operation.name ?? 'unknown',
      operation: undefined,
      query: route?.operation,
      signedFor: route?.operation.unsigned
        ? undefined
        : { service, regions: this.#regions, presigned: service === 'sts' },
      parse: () => route?.read(readForm(form, route.operation.unsigned ? UNSIGNED : SIGNED)) ?? {},
      perform: (attempt) => perform(attempt),
      format: (output) => output as object | undefined,
    });
  }
}

/** The call is in the body, or in the query if there is no body. */
function formOf({ body, query }: HttpRequest): string {
  // A query's plus is signed as a plus; in a form it is a space.
  return body.length > 0 ? body.toString('utf8') : query.replaceAll('+', '%2B');
}

interface FormLimits {
  readonly parameters: number;
  readonly characters: number;
}

/** More than any call has: a list of a thousand tags takes two thousand parameters. The port limits the body. */
const SIGNED: FormLimits = { parameters: 5_000, characters: Number.POSITIVE_INFINITY };
/** Anybody may send such a call. */
const UNSIGNED: FormLimits = { parameters: 200, characters: UNSIGNED_FORM_BYTES };

/**
 * The last of repeated parameters counts. To read a long form takes time, and an error says a wrong value back. Throws
 * ValidationException.
 */
function readForm(form: string, { parameters, characters }: FormLimits): Parameters {
  if (form.length > characters)
    throw new KmsException('ValidationException', `The call has more than ${characters} characters.`);
  if (countParameters(form) > parameters)
    throw new KmsException('ValidationException', `The call has more than ${parameters} parameters.`);
  return new Map(new URLSearchParams(form));
}

/** The last one of this name, for all that a stranger's form is searched for; '' if there is none. */
function parameterOf(form: string, name: string): string {
  const after = form.lastIndexOf(`&${name}=`) + 1;
  if (after === 0 && !form.startsWith(`${name}=`)) return '';
  const end = form.indexOf('&', after);
  return new URLSearchParams(form.slice(after, end < 0 ? form.length : end)).get(name) ?? '';
}

function answerOf({ service, name }: QueryOperation, result: object | undefined, requestId: string): string {
  const members = result === undefined ? '' : `<${name}Result>${xmlOf(result)}</${name}Result>`;
  return (
    `<${name}Response xmlns="${namespaces[service]}">${members}` +
    `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${name}Response>\n`
  );
}

function errorAnswer({ status, code, message }: QueryError, service: Service, requestId: string): HttpAnswer {
  const type = status < 500 ? 'Sender' : 'Receiver';
  const error = `<Type>${type}</Type><Code>${code}</Code><Message>${escapeXml(message)}</Message>`;
  const body = `<ErrorResponse xmlns="${namespaces[service]}"><Error>${error}</Error><RequestId>${requestId}</RequestId></ErrorResponse>\n`;
  return xml(status, body);
}

function xml(status: number, body: string): HttpAnswer {
  return { status, contentType: 'text/xml', body };
}
