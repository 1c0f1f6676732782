/**
 * The containers that every repository has.
 *
 * @since 0.1.0
 */
import type { VirtualChunkContainer } from "./VirtualChunkContainer.ts"

/**
 * One for each platform: every location with the platform's protocol, without region. A container of
 * the same name replaces it.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: ReadonlyArray<VirtualChunkContainer> = [
  { name: "s3", protocol: "s3", platform: "s3" },
  { name: "gcs", protocol: "gcs", platform: "gcs" },
  { name: "tigris", protocol: "tigris", platform: "tigris" },
  { name: "file", protocol: "file", platform: "fs" }
]
