/**
 * Keys of service accounts in files.
 */
import * as Credentials from "@effect-icechunk/core/Credentials"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"

/** Reads the file when the first request needs it. */
export const readKeyFile = (path: string): Effect.Effect<Credentials.Credentials, Credentials.CredentialsUnavailable> =>
  Effect.tryPromise({
    try: (signal) => readFile(path, { encoding: "utf8", signal }),
    catch: (cause) => {
      const { code } = cause as NodeJS.ErrnoException
      return new Credentials.CredentialsUnavailable({ problem: `the key file \`${path}\` cannot be read, ${code}` })
    }
  }).pipe(Effect.map((key) => Credentials.serviceAccount(Redacted.make(key))))
