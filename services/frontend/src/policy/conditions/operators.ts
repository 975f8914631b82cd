import { IpNetworks } from '@keyfleet/shared/ip-networks';
import type { MeteredContext } from './context.ts';
import { compileArns, compileTexts, isArnPattern, isTemplate, STEPS_PER_TEST, type TextRules } from './patterns.ts';

export type ValueType = 'string' | 'numeric' | 'date' | 'bool' | 'binary' | 'ip' | 'arn';

/**
 * Whether a value from the request is one that the policy lists. Undefined if it is not of the operator's type and so
 * cannot be compared, or if a variable is undecidable.
 */
export type Comparison = (value: string, context: MeteredContext) => boolean | undefined;

/** A condition operator without its prefix and suffix (IAM User Guide, "Condition operators"). */
export interface Operator {
  readonly type: ValueType;
  /** Holds when no listed value matches, and when the request has no value. */
  readonly negated: boolean;
  /** Whether a policy may list the value. */
  readonly takes: (text: string, variables: boolean) => boolean;
  readonly compile: (texts: readonly string[], variables: boolean) => Comparison;
}

type Matching = Pick<Operator, 'type' | 'takes' | 'compile'>;

function textual(rules: Omit<TextRules, 'variables'>): Matching {
  return {
    type: 'string',
    takes: (text, variables) => isTemplate(text, { variables, wildcards: rules.wildcards }),
    compile: (texts, variables) => compileTexts(texts, { ...rules, variables }),
  };
}

/** For values compared as numbers. */
function ordered(
  type: 'numeric' | 'date',
  parse: (text: string) => number,
  holds: (value: number, listed: number) => boolean,
): Matching {
  return {
    type,
    takes: (text) => !Number.isNaN(parse(text)),
    compile: (texts) => {
      const listed = texts.map(parse);
      // All requests within one second carry the same time.
      let last = { text: '', value: Number.NaN };
      return (text, context) => {
        context.spend(STEPS_PER_TEST + text.length + listed.length);
        if (text !== last.text) last = { text, value: parse(text) };
        const { value } = last;
        return Number.isNaN(value) ? undefined : listed.some((one) => holds(value, one));
      };
    },
  };
}

function parseNumber(text: string): number {
  return /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
}

const isBool = (text: string): boolean => /^(?:true|false)$/i.test(text);

const bool: Matching = {
  type: 'bool',
  takes: isBool,
  compile: (texts) => {
    const listed = new Set(texts.map((text) => text.toLowerCase()));
    return (value, context) => {
      context.spend(STEPS_PER_TEST);
      return isBool(value) ? listed.has(value.toLowerCase()) : undefined;
    };
  },
};

const isBase64 = (text: string): boolean => Buffer.from(text, 'base64').toString('base64') === text;

const binary: Matching = {
  type: 'binary',
  takes: isBase64,
  compile: (texts) => (value, context) => {
    context.spend(STEPS_PER_TEST + value.length + texts.length);
    return isBase64(value) ? texts.includes(value) : undefined;
  },
};

/** To parse an address, beside looking for it. */
const STEPS_PER_ADDRESS = 500;

const ipAddress: Matching = {
  type: 'ip',
  takes: IpNetworks.accepts,
  compile: (texts) => {
    const networks = IpNetworks.parse(texts);
    return (value, context) => {
      context.spend(STEPS_PER_ADDRESS + STEPS_PER_TEST * texts.length);
      return networks?.has(value);
    };
  },
};

/** AWS's ArnEquals and ArnLike are the same. */
const arn: Matching = {
  type: 'arn',
  takes: (text, variables) => isArnPattern(text) && isTemplate(text, { variables, wildcards: true }),
  compile: (texts, variables) => compileArns(texts, { variables, completes: false }),
};

const equals = textual({ wildcards: false, ignoreCase: false });
const equalsIgnoreCase = textual({ wildcards: false, ignoreCase: true });
const like = textual({ wildcards: true, ignoreCase: false });

const is = (matching: Matching): Operator => ({ ...matching, negated: false });
const isNot = (matching: Matching): Operator => ({ ...matching, negated: true });

const same = (value: number, listed: number): boolean => value === listed;
const less = (value: number, listed: number): boolean => value < listed;
const lessOrSame = (value: number, listed: number): boolean => value <= listed;
const more = (value: number, listed: number): boolean => value > listed;
const moreOrSame = (value: number, listed: number): boolean => value >= listed;

/** By name. `Null`, which asks for no value, is separate (condition.ts). */
export const operators: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    StringEquals: is(equals),
    StringNotEquals: isNot(equals),
    StringEqualsIgnoreCase: is(equalsIgnoreCase),
    StringNotEqualsIgnoreCase: isNot(equalsIgnoreCase),
    StringLike: is(like),
    StringNotLike: isNot(like),
    NumericEquals: is(ordered('numeric', parseNumber, same)),
    NumericNotEquals: isNot(ordered('numeric', parseNumber, same)),
    NumericLessThan: is(ordered('numeric', parseNumber, less)),
    NumericLessThanEquals: is(ordered('numeric', parseNumber, lessOrSame)),
    NumericGreaterThan: is(ordered('numeric', parseNumber, more)),
    NumericGreaterThanEquals: is(ordered('numeric', parseNumber, moreOrSame)),
    DateEquals: is(ordered('date', parseInstant, same)),
    DateNotEquals: isNot(ordered('date', parseInstant, same)),
    DateLessThan: is(ordered('date', parseInstant, less)),
    DateLessThanEquals: is(ordered('date', parseInstant, lessOrSame)),
    DateGreaterThan: is(ordered('date', parseInstant, more)),
    DateGreaterThanEquals: is(ordered('date', parseInstant, moreOrSame)),
    Bool: is(bool),
    BinaryEquals: is(binary),
    IpAddress: is(ipAddress),
    NotIpAddress: isNot(ipAddress),
    ArnEquals: is(arn),
    ArnLike: is(arn),
    ArnNotEquals: isNot(arn),
    ArnNotLike: isNot(arn),
  }),
);

/** W3C's profile of ISO 8601, from a bare year to fractions of a second. A date has no zone; a time must have one. */
const form =
  /^\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])(?:T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))?)?)?$/;

/** The milliseconds since the epoch for a date or for seconds since the epoch; NaN for anything else. */
function parseInstant(text: string): number {
  if (form.test(text) && text.length !== 4) return Date.parse(text);
  // Four digits mean a year: nobody means the first hours of 1970.
  if (/^\d{4}$/.test(text)) return Date.UTC(Number(text), 0);
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1_000 : Number.NaN;
}
