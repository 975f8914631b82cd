import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface ReceivedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** Nanoseconds since the epoch, in decimal. */
  readonly startTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface ReceivedPoint {
  readonly service: string;
  readonly metric: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The value of a counter or a gauge, or the number of values in a histogram. */
  readonly count: number;
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number };
}
interface Point {
  readonly attributes: readonly Attribute[];
  readonly asDouble?: number;
  readonly asInt?: number;
  readonly count?: number;
}
interface Metric {
  readonly name: string;
  readonly sum?: { readonly dataPoints: readonly Point[] };
  readonly gauge?: { readonly dataPoints: readonly Point[] };
  readonly histogram?: { readonly dataPoints: readonly Point[] };
}
interface Exported {
  readonly resource: { readonly attributes: readonly Attribute[] };
  readonly scopeSpans?: readonly {
    readonly spans: readonly (Omit<ReceivedSpan, 'attributes'> & { attributes: Attribute[] })[];
  }[];
  readonly scopeMetrics?: readonly { readonly metrics: readonly Metric[] }[];
}

/** Takes OTLP over HTTP with JSON (OTEL_EXPORTER_OTLP_PROTOCOL=http/json), as an OpenTelemetry collector does. */
export class OtlpCollector implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  /** The newest of each series. */
  readonly points = new Map<string, ReceivedPoint>();
  /** Everything as it came. */
  received = '';
  readonly #server = createServer((request, response) => {
    void text(request).then((body) => {
      this.#take(body);
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #take(body: string): void {
    this.received += body;
    const { resourceSpans = [], resourceMetrics = [] } = JSON.parse(body) as Record<string, Exported[]>;
    for (const { resource, scopeSpans = [], scopeMetrics = [] } of [...resourceSpans, ...resourceMetrics]) {
      const service = String(valuesOf(resource.attributes)['service.name']);
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        this.spans.push({ ...span, service, attributes: valuesOf(span.attributes) });
      }
      for (const metric of scopeMetrics.flatMap(({ metrics }) => metrics)) this.#takeMetric(service, metric);
    }
  }

  #takeMetric(service: string, { name, sum, gauge, histogram }: Metric): void {
    for (const point of [sum, gauge, histogram].flatMap((one) => one?.dataPoints ?? [])) {
      const attributes = valuesOf(point.attributes);
      const count = Number(point.asDouble ?? point.asInt ?? point.count);
      this.points.set(JSON.stringify([service, name, attributes]), { service, metric: name, attributes, count });
    }
  }
}

function valuesOf(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]));
}
