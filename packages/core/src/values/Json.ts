/**
 * JSON values, as metadata and configuration hold them.
 *
 * @since 0.1.0
 */

/**
 * Any JSON value.
 *
 * @category models
 * @since 0.1.0
 */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject

/**
 * A JSON object.
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonObject {
  readonly [key: string]: Json
}
