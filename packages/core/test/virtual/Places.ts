/**
 * A repository's place, and containers that are somewhere, for tests of who gets which credentials.
 */
import * as Credentials from "@effect-icechunk/core/Credentials"
import type { Origin } from "@effect-icechunk/core/ObjectStore"
import type * as Container from "@effect-icechunk/core/VirtualChunkContainer"
import * as Redacted from "effect/Redacted"

export const key = (accessKeyId: string): Credentials.Credentials =>
  Credentials.accessKey({ accessKeyId, secretAccessKey: Redacted.make("secret of the test") })

/** The credentials of the repository itself. */
export const own = key("the repository's")

export const origin = (change?: Partial<Origin>): Origin => ({
  platform: "s3",
  region: "eu-central-1",
  credentials: own,
  ...change
})

export const container = (change?: Partial<Container.VirtualChunkContainer>): Container.VirtualChunkContainer => ({
  name: "model",
  protocol: "models",
  platform: "s3",
  ...change
})
