/**
 * Signatures of requests without a query, as the SDK makes them, in a fraction of its time: one hash of the request and
 * one keyed hash with a key that lasts a day.
 *
 * Source: Amazon S3 API Reference, "Authenticating requests: using the Authorization header (AWS Signature Version 4)".
 */
import { createHmac, hash } from "node:crypto"

/** Who signs. */
export interface Identity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/** What a signature is for. */
export interface Purpose {
  readonly region: string
  readonly service: string
}

/** Names in lower case. */
interface Unsigned {
  readonly method: string
  /** As it goes over the wire. */
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array | undefined
}

export interface Signer {
  /** The headers with those that prove who sends them. `now` in milliseconds since 1970. */
  readonly sign: (request: Unsigned, identity: Identity, purpose: Purpose, now: number) => ReadonlyMap<string, string>
}

/** What something on the way may change, or no server expects to be signed; the SDK has the same list. */
const unsignable: ReadonlySet<string> = new Set(
  (
    "authorization cache-control connection expect from keep-alive max-forwards pragma referer te trailer " +
    "transfer-encoding upgrade user-agent x-amzn-trace-id"
  ).split(" ")
)

const emptyHash = hash("sha256", "", "hex")

const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest()

const keyFor = ({ secretAccessKey }: Identity, { region, service }: Purpose, date: string): Buffer =>
  hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, date), region), service), "aws4_request")

const canonical = (value: string): string =>
  /[\r\n\t]|^ | $| {2}/.test(value)
    ? value
        .replace(/[\r\n]/g, " ")
        .replace(/[ \t]+/g, " ")
        .replace(/^ | $/g, "")
    : value

/** `20261130T154550Z`. */
const stamp = (now: number): string => {
  const text = new Date(now).toISOString()
  return text.slice(0, 19).replaceAll(/[-:]/g, "") + "Z"
}

/** A signer that remembers the key of the last day and identity. `alsoSigned`: headers that are signed all the same. */
export const make = (alsoSigned: ReadonlyArray<string> = []): Signer => {
  const also = new Set(alsoSigned)
  const isSigned = (name: string): boolean =>
    also.has(name) || !(unsignable.has(name) || name.startsWith("proxy-") || name.startsWith("sec-"))
  let last: { readonly secret: string; readonly scope: string; readonly key: Buffer } | undefined

  const keyOf = (identity: Identity, purpose: Purpose, date: string, scope: string): Buffer => {
    if (last === undefined || last.secret !== identity.secretAccessKey || last.scope !== scope) {
      last = { secret: identity.secretAccessKey, scope, key: keyFor(identity, purpose, date) }
    }
    return last.key
  }

  return {
    sign: ({ body, headers, method, path }, identity, purpose, now) => {
      const time = stamp(now)
      const date = time.slice(0, 8)
      const payload = body === undefined || body.length === 0 ? emptyHash : hash("sha256", body, "hex")
      const all = new Map(headers)
      all.set("x-amz-date", time)
      all.set("x-amz-content-sha256", payload)
      if (identity.sessionToken !== undefined && identity.sessionToken !== "")
        all.set("x-amz-security-token", identity.sessionToken)
      let lines = ""
      let names = ""
      for (const name of [...all.keys()].filter(isSigned).toSorted()) {
        lines += `${name}:${canonical(all.get(name)!)}\n`
        names += names === "" ? name : `;${name}`
      }
      const scope = `${date}/${purpose.region}/${purpose.service}/aws4_request`
      const request = `${method}\n${path}\n\n${lines}\n${names}\n${payload}`
      const signature = createHmac("sha256", keyOf(identity, purpose, date, scope))
        .update(`AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash("sha256", request, "hex")}`)
        .digest("hex")
      all.set(
        "authorization",
        `AWS4-HMAC-SHA256 Credential=${identity.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`
      )
      return all
    }
  }
}
