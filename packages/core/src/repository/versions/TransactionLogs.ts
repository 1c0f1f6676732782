/**
 * Reads transaction logs. They are not kept: each is read once, to be put together with others.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Zstd } from "../../encoding/Zstd.ts"
import * as TransactionLog from "../../format/TransactionLog.ts"
import type { ObjectStoreShape } from "../../store/ObjectStore.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import * as Assets from "../Assets.ts"
import * as Layout from "../Layout.ts"

/**
 * The transaction log of a snapshot. Fails with the `ObjectStoreError` of the store when there is none.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = /*#__PURE__*/ Effect.fn("Assets.transactionLog")(function* (
  store: ObjectStoreShape,
  id: SnapshotId
): Effect.fn.Return<TransactionLog.TransactionLog, Assets.AssetError, Zstd> {
  const file = Layout.transaction(id)
  const { maxHeld, payload } = yield* Assets.readFile(store, file, "TransactionLog")
  const log = yield* Effect.fromResult(TransactionLog.decode(file, payload, { maxHeld }))
  yield* Assets.ensureId(file, id, log.id)
  return log
})
