/**
 * Sends the spans and metrics of a program to an OpenTelemetry collector. The example brings one, which prints what it was
 * sent; `OTEL_EXPORTER_OTLP_ENDPOINT` names another one.
 */
import { Platform, Repository, Session } from "@effect-icechunk/core"
import * as NodeZstd from "@effect-icechunk/core/node/NodeZstd"
import { FsObjectStore } from "@effect-icechunk/fs"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Otlp from "effect/observability/Otlp"
import * as OtlpReceiver from "./src/OtlpReceiver.ts"

const work = Effect.gen(function* () {
  const repository = yield* Repository.create()
  yield* repository.transact("main", "wind", (session) =>
    Effect.gen(function* () {
      yield* session.createArray("/wind", { shape: [8192], chunkShape: [4096], dataType: "uint8", fillValue: 0 })
      yield* session.setChunk("/wind", [0], new Uint8Array(4096).fill(7))
    })
  )
  const session = yield* repository.readonlySession({ branch: "main" })
  yield* session.chunks("/wind", [[0], [1]]).pipe(Stream.runDrain, Effect.withSpan("read"))
}).pipe(Effect.scoped, Effect.withSpan("work"))

// With a span for each chunk.
const traced = work.pipe(Effect.provideService(Session.ChunkSpans, true))

const observability = (baseUrl: string) =>
  Otlp.layerJson({
    baseUrl,
    resource: { serviceName: "wind", serviceVersion: "1.0.0" },
    tracerExportInterval: "1 second",
    metricsExportInterval: "10 seconds"
  }).pipe(Layer.provide(FetchHttpClient.layer))

const files = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)
const store = FsObjectStore.layer({ directory: process.argv[2] ?? "demo-output/opentelemetry" })
const services = Layer.mergeAll(store.pipe(Layer.provide(files)), Platform.layerNone, NodeZstd.layer)

const program = Effect.gen(function* () {
  const elsewhere = process.env["OTEL_EXPORTER_OTLP_ENDPOINT"]
  const collector = yield* OtlpReceiver.make
  // What is left is sent when the layer is released.
  const wanted = process.argv.includes("--chunks") ? traced : work
  yield* wanted.pipe(Effect.provide(Layer.mergeAll(services, observability(elsewhere ?? collector.url))))
  if (elsewhere !== undefined) return yield* Console.log(`sent to ${elsewhere}`)

  const show = (parent: string | undefined, depth: number): Effect.Effect<void> =>
    Effect.forEach(
      collector.spans
        .filter(({ parentSpanId }) => parentSpanId === parent)
        .toSorted((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano))),
      (span) =>
        Effect.andThen(
          Console.log(`${"  ".repeat(depth)}${span.name}  ${OtlpReceiver.attribute(span, "key")}`.trimEnd()),
          show(span.spanId, depth + 1)
        ),
      { discard: true }
    )
  yield* show(undefined, 0)
  for (const { name, sum } of collector.metrics.values()) {
    for (const point of sum?.dataPoints ?? []) {
      yield* Console.log(`${name} ${OtlpReceiver.attribute(point, "operation")} ${point.asDouble}`)
    }
  }
})

program.pipe(Effect.scoped, NodeRuntime.runMain)
