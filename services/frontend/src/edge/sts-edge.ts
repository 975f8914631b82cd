import { KmsException } from '@keyfleet/shared/errors/exceptions';
import type { HttpAnswer, HttpRequest } from './http.ts';
import type { Pipeline } from '../request/pipeline.ts';
import type { Caller } from '../operations/handler.ts';
import { invalidAction, type QueryError, queryErrorOf } from './query-errors.ts';

const VERSION = '2011-06-15';
const noInput = {};
const NAMESPACE = `https://sts.amazonaws.com/doc/${VERSION}/`;

/** STS shares the port with KMS; only its protocol sends forms, and names its action in the query. */
export function isStsRequest({ headers, query }: Pick<HttpRequest, 'headers' | 'query'>): boolean {
  const isForm = headers.get('content-type')?.startsWith('application/x-www-form-urlencoded') === true;
  return isForm || (namesAction(query) && !headers.has('x-amz-target'));
}

/** True for the query of a call that has no body: a GET, or a presigned URL. */
export function namesAction(query: string): boolean {
  return /(?:^|&)Action=/.test(query);
}

export interface StsEdgeDeps {
  readonly pipeline: Pipeline;
  readonly regions: ReadonlySet<string>;
}

/** The AWS Query protocol of STS: clients ask who they are before they call anything else. */
export class StsEdge {
  readonly #pipeline: Pipeline;
  readonly #regions: ReadonlySet<string>;

  constructor({ pipeline, regions }: StsEdgeDeps) {
    this.#pipeline = pipeline;
    // The global endpoint signs for us-east-1, whichever Regions there are.
    this.#regions = new Set([...regions, 'us-east-1']);
  }

  /** Never rejects. */
  async answer(request: HttpRequest): Promise<HttpAnswer> {
    const { action, version } = readCall(request);
    try {
      const caller = await this.#pipeline.process(request, {
        name: action === 'GetCallerIdentity' ? 'sts:GetCallerIdentity' : 'sts:unknown',
        operation: undefined,
        signedFor: { service: 'sts', regions: this.#regions, presigned: true },
        parse: () => noInput,
        format: (_, signer) => signer,
      });
      if (action !== 'GetCallerIdentity' || version !== VERSION) {
        return errorAnswer(invalidAction(action, version), request.requestId);
      }
      return xml(200, callerIdentity(caller, request.requestId));
    } catch (error) {
      const exception = error instanceof KmsException ? error : new KmsException('KMSInternalException');
      return errorAnswer(queryErrorOf(exception), request.requestId);
    }
  }
}

/** The call stands in the body, or in the query when there is no body. */
function readCall({ body, query }: HttpRequest): { action: string; version: string } {
  const parameters = new URLSearchParams(body.length > 0 ? body.toString('utf8') : query);
  return { action: parameters.get('Action') ?? '', version: parameters.get('Version') ?? '' };
}

function callerIdentity(caller: Caller, requestId: string): string {
  return (
    `<GetCallerIdentityResponse xmlns="${NAMESPACE}"><GetCallerIdentityResult>` +
    `<Arn>${escapeXml(caller.arn)}</Arn><UserId>${escapeXml(caller.userId)}</UserId>` +
    `<Account>${escapeXml(caller.accountId)}</Account></GetCallerIdentityResult>` +
    `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></GetCallerIdentityResponse>\n`
  );
}

function errorAnswer({ status, code, message }: QueryError, requestId: string): HttpAnswer {
  const type = status < 500 ? 'Sender' : 'Receiver';
  const error = `<Type>${type}</Type><Code>${code}</Code><Message>${escapeXml(message)}</Message>`;
  const body = `<ErrorResponse xmlns="${NAMESPACE}"><Error>${error}</Error><RequestId>${requestId}</RequestId></ErrorResponse>\n`;
  return xml(status, body);
}

function xml(status: number, body: string): HttpAnswer {
  return { status, contentType: 'text/xml', body };
}

/** Text of one line; characters that XML 1.0 has no way to write are left out. */
function escapeXml(text: string): string {
  return (
    text
      .toWellFormed()
      // oxlint-disable-next-line no-control-regex
      .replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/g, '')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
  );
}
