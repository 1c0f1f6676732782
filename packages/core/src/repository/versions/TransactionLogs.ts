/**
 * Reads transaction logs. They are not kept: each is read once, to be put together with others.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as IcechunkFile from "../../format/IcechunkFile.ts"
import * as TransactionLog from "../../format/TransactionLog.ts"
import type { SnapshotId } from "../../values/ObjectId.ts"
import * as Assets from "../Assets.ts"
import * as Layout from "../Layout.ts"
import type { Opened } from "../Opening.ts"

/**
 * The transaction log of a snapshot. Fails with the `ObjectStoreError` of the store when there is none.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = /*#__PURE__*/ Effect.fn("Assets.transactionLog")(function* (
  { store, withZstd }: Pick<Opened, "store" | "withZstd">,
  id: SnapshotId
): Effect.fn.Return<TransactionLog.TransactionLog, Assets.AssetError> {
  const file = Layout.transaction(id)
  const { bytes } = yield* store.get(file, { maxBytes: IcechunkFile.maxFileBytes("TransactionLog") })
  yield* Assets.describeSpan(file, "TransactionLog", bytes)
  const { maxHeld, payload } = yield* withZstd(IcechunkFile.decode(file, bytes, "TransactionLog"))
  const log = yield* Effect.fromResult(TransactionLog.decode(file, payload, { maxHeld }))
  yield* Assets.ensureId(file, id, log.id)
  return log
})
