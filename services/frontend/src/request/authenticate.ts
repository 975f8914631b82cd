import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import { KmsException } from '@keyfleet/shared/errors/exceptions';
import { networkOf, PeerLimit } from '@keyfleet/shared/request-limit';
import {
  canonicalRequest,
  isSameSignature,
  type SignableRequest,
  signatureOf,
  stringToSign,
} from '@keyfleet/shared/sigv4';
import type { AccessKeyUses } from '../background/access-key-uses.ts';
import type { Recall } from '../store/last-known.ts';
import type { Caller } from '../operations/handler.ts';
import type { Credential } from './credential.ts';
import type { ClaimedKey } from './credentials.ts';
import { countParameters, isPresigned, readPresignedClaim } from './presigned-claim.ts';
import { readClaim, type SignatureClaim } from './signature-claim.ts';

/** The signer of a request, and the Region in the signature's scope. */
export interface Authenticated {
  readonly caller: Caller;
  readonly region: string;
  /** Signed in the query: such a URL is given to others, and says nothing of who sends it. */
  readonly isPresigned?: boolean;
}

/** The scope that a signature must have: `kms` or `sts`, in one of these Regions. */
export interface SignedFor {
  readonly service: string;
  readonly regions: ReadonlySet<string>;
  /** Whether the signature may be in the query string. */
  readonly presigned?: boolean;
}

/** How a request may be authenticated while the store or the workers are away. */
export interface Patience {
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  /** Undefined: the caller is who the store says now. */
  readonly recall?: Recall;
}

export interface AuthenticatorDeps {
  readonly credentials: {
    find(claimed: ClaimedKey, deadline: number): Credential | undefined | Promise<Credential | undefined>;
  };
  /** Called for each use of an IAM access key; absent where requests are signed with other keys. */
  readonly uses?: Pick<AccessKeyUses, 'note'>;
  readonly clock: Clock;
  readonly clockSkewMs: number;
}

/** A request, and the peer that sent it. */
export type ClaimingRequest = SignableRequest & {
  readonly sourceIpAddress: string;
  /** Called where the signature is genuine, and nobody can say whose it is: its caller is refused, but no stranger. */
  readonly onGenuine?: () => void;
};

interface Signed extends Patience {
  readonly request: ClaimingRequest;
  readonly claim: SignatureClaim;
  readonly isPresigned: boolean;
}

/**
 * Limits attempts that have a secret opened (twice at most) without a genuine signature, per access key and peer. The
 * burst suffices for a caller that starts in every AWS Region at once.
 */
const USELESS_OPENINGS = { perSecond: 0.1, burst: 40 };

/**
 * Verifies Signature Version 4 in the Authorization header, or in the query where that is taken (IAM User Guide,
 * "Signature Version 4").
 */
export class Authenticator {
  readonly #deps: AuthenticatorDeps;
  /** Stands in for an unknown credential's key, so that an unknown key takes as long to refuse as a wrong signature. */
  readonly #nobodysKey = createSecretKey(randomBytes(32));
  readonly #openings: PeerLimit;

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps;
    this.#openings = new PeerLimit(deps.clock, USELESS_OPENINGS);
  }

  /**
   * Throws KmsException with AWS's text, checking in AWS's order. Returns a promise only if the credential is not
   * cached, which is rare.
   */
  authenticate(
    request: ClaimingRequest,
    signedFor: SignedFor,
    patience: Patience,
  ): Authenticated | Promise<Authenticated> {
    const { clock, clockSkewMs, credentials } = this.#deps;
    const { headers, query } = request;
    assertFewParameters(query);
    const inQuery = signedFor.presigned === true && isPresigned(headers, query);
    const claim = (inQuery ? readPresignedClaim : readClaim)(headers, query, {
      ...signedFor,
      clockSkewMs,
      now: clock.now(),
    });
    const sessionToken = claim.sessionToken ?? headers.get('x-amz-security-token');
    const found = credentials.find({ accessKeyId: claim.accessKeyId, sessionToken }, patience.deadline);
    const signed = { request, claim, isPresigned: inQuery, ...patience };
    if (found instanceof Promise) return found.then((credential) => this.#withKey(signed, credential));
    return this.#withKey(signed, found);
  }

  #withKey(signed: Signed, credential: Credential | undefined): Authenticated | Promise<Authenticated> {
    const key = credential === undefined ? this.#nobodysKey : credential.signingKey(signed.claim.scope);
    if (key === undefined) return this.#open(signed, credential!, { isKnown: false });
    if (key instanceof Promise) return key.then((derived) => this.#judge(signed, credential, derived));
    return this.#judge(signed, credential, key);
  }

  /**
   * Nobody has signed for this scope yet, or the signature is wrong under the key that is known. No member's word alone
   * makes it wrong, because a member may lie, so that another is asked. Anyone who names an access key can make us open
   * its secret: the rate is limited.
   */
  async #open(
    signed: Signed,
    credential: Credential,
    { isKnown }: { readonly isKnown: boolean },
  ): Promise<Authenticated> {
    const { request, claim, deadline } = signed;
    const namer = `${claim.accessKeyId} ${networkOf(request.sourceIpAddress)}`;
    if (!this.#openings.take(namer)) throw new KmsException('ThrottlingException', 'Rate exceeded');
    const verifies = (key: KeyObject): boolean => this.#isGenuine(request, claim, key);
    let isUseless = false;
    try {
      isUseless = !isKnown && !verifies(await credential.openSigningKey(claim.scope, deadline));
      if (isKnown || isUseless) {
        const verdict = await credential.openElsewhere(claim.scope, deadline, verifies);
        isUseless = verdict === 'wrong' || (isUseless && verdict === undefined);
        if (verdict !== 'right') throw mismatch();
      }
      return await this.#accept(signed, credential);
    } finally {
      if (!isUseless) this.#openings.giveBack(namer);
    }
  }

  /**
   * Whether the Authorization header names an access key that exists. A caller must show that before we read more than
   * a little of its body; it proves nothing.
   */
  namesKey(headers: ReadonlyMap<string, string>, deadline: number): boolean | Promise<boolean> {
    const accessKeyId = claimedKeyId(headers.get('authorization') ?? '');
    if (accessKeyId === undefined) return false;
    const found = this.#deps.credentials.find(
      { accessKeyId, sessionToken: headers.get('x-amz-security-token') },
      deadline,
    );
    return found instanceof Promise ? found.then((credential) => credential !== undefined) : found !== undefined;
  }

  #judge(
    signed: Signed,
    credential: Credential | undefined,
    signingKey: KeyObject,
  ): Authenticated | Promise<Authenticated> {
    const { request, claim } = signed;
    const isGenuine = this.#isGenuine(request, claim, signingKey);
    if (credential === undefined) throw unrecognized(signed);
    if (isGenuine) return this.#accept(signed, credential);
    if (!credential.isDoubtful(claim.scope)) throw mismatch();
    return this.#open(signed, credential, { isKnown: true });
  }

  /** The signature is genuine. */
  #accept(signed: Signed, credential: Credential): Authenticated | Promise<Authenticated> {
    const { claim, isPresigned: inQuery, recall } = signed;
    if (credential.expiresAt !== undefined && credential.expiresAt <= this.#deps.clock.now()) {
      throw new KmsException('ExpiredTokenException', 'The security token included in the request is expired');
    }
    const authenticated = (caller: Caller | undefined): Authenticated => {
      if (caller === undefined) throw unrecognized(signed);
      const { region, service } = claim.scope;
      // Temporary credentials belong to no stored access key.
      if (caller.session === undefined) this.#deps.uses?.note(caller.accessKeyId, service, region);
      return { caller, region, isPresigned: inQuery };
    };
    const caller = credential.caller(recall);
    if (!(caller instanceof Promise)) return authenticated(caller);
    return caller.then(authenticated, (unread: Error) => {
      if (!inQuery) signed.request.onGenuine?.();
      throw unread;
    });
  }

  #isGenuine(request: SignableRequest, claim: SignatureClaim, signingKey: KeyObject): boolean {
    const { signedQuery: query = request.query } = claim;
    const canonical = canonicalRequest({ ...request, query }, claim.signedHeaders);
    // The payload hash is always computed here: a client that states another one did not sign what it sent.
    const statedHash = request.headers.get('x-amz-content-sha256');
    if (canonical === undefined || (statedHash !== undefined && statedHash !== request.payloadHash)) return false;
    const expected = signatureOf(signingKey, stringToSign(canonical, claim.amzDate, claim.scope));
    return isSameSignature(expected, claim.signature);
  }
}

/** Each costs two microseconds, signed or not. A call by GET, with all the tags that a session can have, has fewer. */
const MAX_PARAMETERS = 500;

function assertFewParameters(query: string): void {
  // A shorter one has fewer.
  if (query.length > MAX_PARAMETERS && countParameters(query) > MAX_PARAMETERS)
    throw new KmsException('IncompleteSignatureException', `A query string has at most ${MAX_PARAMETERS} parameters.`);
}

const INVALID = 'The security token included in the request is invalid';

/** AWS's text. */
export const MISMATCH =
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and ' +
  'signing method. Consult the service documentation for details.';

function mismatch(): KmsException {
  return new KmsException('InvalidSignatureException', MISMATCH);
}

/** AWS's two texts differ in the final full stop. */
function unrecognized({ request, claim }: Signed): KmsException {
  const isTemporary = claim.sessionToken !== undefined || request.headers.has('x-amz-security-token');
  return new KmsException('UnrecognizedClientException', isTemporary ? INVALID : `${INVALID}.`);
}

/** What an Authorization header says before its first `/`, which is the access key id if there is one. */
function claimedKeyId(authorization: string): string | undefined {
  const start = authorization.indexOf(CREDENTIAL);
  const end = authorization.indexOf('/', start);
  return start < 0 || end < 0 ? undefined : authorization.slice(start + CREDENTIAL.length, end);
}

const CREDENTIAL = 'Credential=';
