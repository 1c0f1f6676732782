/**
 * What zarrita asks for when it wants to know all nodes of a store at once. A snapshot has their metadata, so that no request
 * is made.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Session } from "../repository/Session.ts"
import type { Node } from "../repository/SnapshotView.ts"
import * as NodePath from "../values/NodePath.ts"
import * as ZarritaDocument from "./ZarritaDocument.ts"
import * as ZarrKey from "./ZarrKey.ts"
import type * as ZarrReads from "./ZarrReads.ts"

/**
 * Those of nodes that can be addressed: other clients write paths with empty and `.` segments.
 *
 * @category combinators
 * @since 0.1.0
 */
export const addressable = (nodes: ReadonlyArray<Node>): ReadonlyArray<Node> =>
  nodes.filter(({ path }) => Result.isSuccess(NodePath.parse(path)))

/**
 * All nodes of a session that can be addressed.
 *
 * @category accessors
 * @since 0.1.0
 */
export const nodesOf = (session: Pick<Session, "nodes">): ReadonlyArray<Node> =>
  addressable(Effect.runSync(session.nodes()))

/**
 * Groups and arrays by path, as zarrita lists them.
 *
 * @category accessors
 * @since 0.1.0
 */
export const contents = (nodes: ReadonlyArray<Node>): Array<{ path: `/${string}`; kind: "array" | "group" }> =>
  nodes.map(({ data, path }) => ({
    path: path as NodePath.NodePath & `/${string}`,
    kind: data._tag === "Array" ? "array" : "group"
  }))

/**
 * The key that zarrita looks for consolidated metadata at.
 *
 * @category constants
 * @since 0.1.0
 */
export const key = "/.zmetadata"

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/**
 * A document of the metadata of all nodes, in the form that zarrita takes for consolidated. What is no JSON is left out, and
 * asked for by its own key.
 *
 * @category encoding
 * @since 0.1.0
 */
export const document = (nodes: ReadonlyArray<Pick<Node, "path" | "userData">>): Uint8Array => {
  const decoder = new TextDecoder()
  const members = nodes.flatMap(({ path, userData }) => {
    const text = decoder.decode(userData)
    return isJson(text) ? [`${JSON.stringify(ZarrKey.metadata(path))}:${ZarritaDocument.exact(text)}`] : []
  })
  return new TextEncoder().encode(`{"zarr_consolidated_format":1,"metadata":{${members.join(",")}}}`)
}

/**
 * The keys of a session, and the one that zarrita looks for consolidated metadata at.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reading =
  (session: Pick<Session, "nodes">, get: ZarrReads.Get): ZarrReads.Get =>
  (wanted, options) =>
    wanted === key && options?.range === undefined
      ? Effect.sync(() => document(nodesOf(session)))
      : get(wanted, options)
