/** Answers as they come over the wire: how much of one is read, and whether such a request is answered so at all. */
import * as S3Error from "../S3Error.ts"

/**
 * What a success is:
 *
 * - `object`: the headers of an object, and with a GET its bytes, which whoever asked for them reads;
 * - `nothing`: headers alone;
 * - a document: XML with this root.
 */
export type Kind = "object" | "nothing" | { readonly document: string }

/** As the SDK's handlers give it. */
export interface Answer {
  statusCode: number
  readonly headers: Readonly<Record<string, string>>
  body?: unknown
}

/** Bytes of errors, and of what comes where nothing should. */
const maxError = 64 * 1024

/** Bytes of a document: a page of a list has 1,000 keys of 1,024 bytes, each written as three characters. */
const maxDocument = 8 * 1024 ** 2

/** An answer from something that is not the store. A write may have been made all the same. */
export const strange = (detail: string): S3Error.S3Failure =>
  S3Error.failure(
    "InvalidResponse",
    `${detail}; check that the endpoint is an S3 service, and that nothing on the way to it, such as a proxy or a login page, answers instead`,
    { mayBeApplied: true }
  )

/** Ends an answer whose body is not wanted. */
export const discard = (body: unknown): void => {
  const stream = body as { readonly destroy?: () => void; readonly cancel?: () => Promise<void> } | undefined
  if (stream?.destroy !== undefined) stream.destroy()
  else stream?.cancel?.().catch(() => {})
}

async function* chunksOf(body: unknown): AsyncGenerator<Uint8Array> {
  if (body === undefined || body === null) return
  if (body instanceof Uint8Array) {
    yield body
  } else if (body instanceof Blob) {
    yield new Uint8Array(await body.arrayBuffer())
  } else if (body instanceof ReadableStream) {
    // Not every browser iterates over streams.
    const reader = (body as ReadableStream<Uint8Array>).getReader()
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        yield value
      }
    } finally {
      reader.cancel().catch(() => {})
    }
  } else {
    yield* body as AsyncIterable<Uint8Array>
  }
}

/** The bytes of a body in a buffer of their own, or `undefined` where there are more than `limit`: the rest is not read. */
export const collect = async (
  body: unknown,
  limit: number,
  note: (bytes: number) => void
): Promise<Uint8Array | undefined> => {
  const chunks: Array<Uint8Array> = []
  let length = 0
  for await (const chunk of chunksOf(body)) {
    length += chunk.length
    if (length > limit) return undefined
    note(chunk.length)
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** The name of the root element of an XML document that is there to its end, else `undefined`. */
const rootOf = (bytes: Uint8Array): string | undefined => {
  const text = new TextDecoder().decode(bytes).trim()
  const root = /^(?:<\?xml[^>]*\?>\s*)?<([A-Za-z][A-Za-z0-9]*)(?=[\s/>])/.exec(text)?.[1]
  if (root === undefined) return undefined
  return text.endsWith(`</${root}>`) || /^(?:<\?xml[^>]*\?>\s*)?<[^<>]*\/>$/.test(text) ? root : undefined
}

type Told = Pick<Answer, "statusCode" | "headers">

const whatCame = ({ headers, statusCode }: Told): string => {
  const type = Object.entries(headers).find(([name]) => name.toLowerCase() === "content-type")?.[1]
  return `HTTP status ${statusCode}${type === undefined ? "" : ` with \`${S3Error.scrub(type, [])}\``}`
}

const isHtml = ({ headers }: Told): boolean =>
  Object.entries(headers).some(([name, value]) => name.toLowerCase() === "content-type" && /^text\/html\b/i.test(value))

/** Bytes to read of an answer that is not an object. */
export const limit = (status: number, kind: Kind): number =>
  status >= 300 || kind === "nothing" ? maxError : maxDocument

/** What of the body of an error is looked at: whole XML that says it is one. */
export const said = (bytes: Uint8Array | undefined): Uint8Array =>
  bytes !== undefined && rootOf(bytes) === "Error" ? bytes : new Uint8Array(0)

/**
 * Judges a success by its bytes, `undefined` where there are too many. `Error`: it is an error after all, because some
 * requests are answered before their outcome is known. Throws an `S3Failure` when it is none.
 */
export const judge = (
  answer: Told,
  kind: Exclude<Kind, "object">,
  bytes: Uint8Array | undefined
): "Success" | "Error" => {
  if (bytes === undefined) throw strange("the answer has more bytes than any of its kind")
  const root = rootOf(bytes)
  if (root === "Error") return "Error"
  if (kind === "nothing") {
    if (isHtml(answer) || (bytes.length > 0 && root === undefined)) {
      throw strange(`the answer is ${whatCame(answer)}, and no success of S3`)
    }
  } else if (root !== kind.document) {
    throw strange(`the answer is ${whatCame(answer)}, and no whole document \`${kind.document}\``)
  }
  return "Success"
}

/**
 * Reads what is to be read of an answer before the SDK does, within bounds, and puts it back. Throws an `S3Failure`
 * when a success is none.
 */
export const admit = async (answer: Answer, kind: Kind): Promise<void> => {
  if (answer.statusCode >= 300) {
    // What it says is a help; the status counts without.
    answer.body = said(await collect(answer.body, maxError, () => {}).catch(() => undefined))
    return
  }
  if (kind === "object") return
  const bytes = await collect(answer.body, limit(answer.statusCode, kind), () => {})
  const verdict = judge(answer, kind, bytes)
  answer.body = bytes
  if (verdict === "Error") answer.statusCode = 503
}
