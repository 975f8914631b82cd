/** What a service sends to its export thread. Plain data, because it is copied between threads. */
export interface Report {
  readonly counts: Count[];
  readonly durations: Durations[];
  readonly gauges: Gauge[];
  readonly spans: SpanRecord[];
}

export type Attributes = Readonly<Record<string, string>>;

/** How often something happened since the previous report. */
export interface Count {
  readonly name: string;
  readonly attributes: Attributes;
  readonly count: number;
}

/** How long each took since the previous report, in milliseconds. */
export interface Durations {
  readonly name: string;
  readonly attributes: Attributes;
  readonly values: Float64Array;
}

export interface Gauge {
  readonly name: string;
  readonly attributes: Attributes;
  /** Undefined if there is no value now. */
  readonly value: number | undefined;
}

/** A finished span. Ids are lowercase hex; times are milliseconds since the epoch. */
export interface SpanRecord {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** Whether the parent belongs to another process. */
  readonly parentIsRemote: boolean;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Attributes;
  /** The name of the error that ended it. */
  readonly error: string | undefined;
}
