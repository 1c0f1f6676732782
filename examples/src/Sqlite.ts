/** A SQL client over the SQLite of Node. Programs on several machines take PostgreSQL or MySQL in its place. */
import { DatabaseSync, type SQLInputValue } from "node:sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"

const make = Effect.fnUntraced(function* (file: string) {
  const database = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(file)),
    (database) => Effect.sync(() => database.close())
  )
  database.exec("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 10000")

  const attempt = <A>(operation: string, run: () => A): Effect.Effect<A, SqlError> =>
    Effect.try({
      try: run,
      catch: (cause) => new SqlError({ reason: classifySqliteError(cause, { operation }) })
    })
  const rows = (sql: string, params: ReadonlyArray<unknown>) =>
    attempt("execute", (): ReadonlyArray<object> => {
      const given = params.map((param) =>
        typeof param === "boolean" ? Number(param) : param instanceof Date ? param.toISOString() : param
      )
      return database.prepare(sql).all(...(given as ReadonlyArray<SQLInputValue>))
    })
  const values = (sql: string, params: ReadonlyArray<unknown>) =>
    Effect.map(rows(sql, params), (found) => found.map((row) => Object.values(row) as ReadonlyArray<unknown>))

  const connection: SqlConnection.Connection = {
    execute: (sql, params, transform) => Effect.map(rows(sql, params), (found) => transform?.(found) ?? found),
    executeUnprepared: (sql, params, transform) =>
      Effect.map(rows(sql, params), (found) => transform?.(found) ?? found),
    executeRaw: rows,
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: (sql, params, transform) =>
      Stream.fromIterableEffect(Effect.map(rows(sql, params), (found) => transform?.(found) ?? found))
  }
  const acquirers = SqlClient.makeSqliteAcquirers({
    connection: Effect.succeed(connection),
    semaphore: yield* Semaphore.make(1),
    isTransaction: () => database.isTransaction
  })
  return yield* SqlClient.make({
    ...acquirers,
    compiler: Statement.makeCompilerSqlite(),
    driver: "sqlite-node",
    beginTransaction: "BEGIN IMMEDIATE",
    spanAttributes: []
  })
})

export const layer = (file: string) =>
  Layer.effect(SqlClient.SqlClient, make(file)).pipe(Layer.provide(Reactivity.layer))
