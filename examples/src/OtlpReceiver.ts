/** A receiver of OTLP over HTTP, in JSON: keeps the spans and the latest metrics that come. */
import * as Effect from "effect/Effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string }
}

export interface Span {
  readonly name: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly startTimeUnixNano: string
  readonly attributes: ReadonlyArray<Attribute>
}

interface Metric {
  readonly name: string
  readonly sum?: {
    readonly dataPoints: ReadonlyArray<{ readonly attributes: ReadonlyArray<Attribute>; readonly asDouble?: number }>
  }
}

interface Received {
  readonly resourceSpans?: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }>
  }>
  readonly resourceMetrics?: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{ readonly metrics: ReadonlyArray<Metric> }>
  }>
}

export interface OtlpReceiver {
  readonly url: string
  readonly spans: ReadonlyArray<Span>
  readonly metrics: ReadonlyMap<string, Metric>
}

/** The text of an attribute, empty where a span does not have it. */
export const attribute = ({ attributes }: { readonly attributes: ReadonlyArray<Attribute> }, name: string): string => {
  const value = attributes.find(({ key }) => key === name)?.value
  return String(value?.stringValue ?? value?.intValue ?? "")
}

/** Listens on this machine until the Scope is closed. */
export const make = Effect.gen(function* () {
  const spans: Array<Span> = []
  const metrics = new Map<string, Metric>()
  const server = http.createServer((request, response) => {
    let text = ""
    request.setEncoding("utf8")
    request.on("data", (chunk: string) => (text += chunk))
    request.on("end", () => {
      const received = JSON.parse(text) as Received
      for (const { scopeSpans } of received.resourceSpans ?? []) spans.push(...scopeSpans.flatMap(({ spans }) => spans))
      for (const { scopeMetrics } of received.resourceMetrics ?? []) {
        for (const metric of scopeMetrics.flatMap(({ metrics }) => metrics)) metrics.set(metric.name, metric)
      }
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, spans, metrics } satisfies OtlpReceiver
})
