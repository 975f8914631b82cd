/** What a service tells the thread that exports it. Plain data: it is copied from one thread to the other. */
export interface Report {
  readonly counts: Count[];
  readonly durations: Durations[];
  readonly gauges: Gauge[];
  readonly spans: SpanRecord[];
}

export type Attributes = Readonly<Record<string, string>>;

/** How often something happened since the report before. */
export interface Count {
  readonly name: string;
  readonly attributes: Attributes;
  readonly count: number;
}

/** How long each took, in milliseconds, since the report before. */
export interface Durations {
  readonly name: string;
  readonly attributes: Attributes;
  readonly values: Float64Array;
}

export interface Gauge {
  readonly name: string;
  /** Undefined: there is no value now. */
  readonly value: number | undefined;
}

/** A span that has ended. Ids are lowercase hex; times are milliseconds since the epoch. */
export interface SpanRecord {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** The parent is another process's. */
  readonly parentIsRemote: boolean;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Attributes;
  /** The name of the error that ended it. */
  readonly error: string | undefined;
}
