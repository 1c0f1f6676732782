/**
 * Measures in the measured process: time, processor time, and what the object store counted meanwhile.
 */
import * as http from "node:http"
import type { Sample } from "./Work.ts"

interface Counters {
  readonly requests: number
  readonly bytes: number
  readonly sockets: number
  readonly chain: number
}

const control = (server: string, command: string): Promise<Counters> =>
  new Promise((resolve, reject) => {
    const request = http.get(`${server}/-/${command}`, { agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (part: string) => {
        text += part
      })
      response.on("end", () => resolve(JSON.parse(text) as Counters))
    })
    request.on("error", reject)
  })

/** Sets how long the object store waits before each answer. */
export const setDelay = async (server: string, seconds: number): Promise<void> => {
  await control(server, `delay/${seconds * 1000}`)
}

/** Puts an object of chunks, each of which begins and ends with its number, into the object store. */
export const fill = async (
  server: string,
  object: { readonly bucket: string; readonly key: string; readonly chunkBytes: number; readonly chunks: number }
): Promise<void> => {
  const { bucket, chunkBytes, chunks, key } = object
  await control(server, `fill/${bucket}/${key}/${chunkBytes}/${chunks}`)
}

/** Runs `work` and says what it took. */
export const measure = async <A>(
  work: () => Promise<A>,
  options: { readonly server?: string | undefined } = {}
): Promise<{ readonly result: A; readonly sample: Sample }> => {
  const { server } = options
  if (server !== undefined) await control(server, "reset")
  const before = process.cpuUsage()
  const start = performance.now()
  const result = await work()
  const value = (performance.now() - start) / 1000
  const { system, user } = process.cpuUsage(before)
  const cpu = (system + user) / 1e6
  if (server === undefined) return { result, sample: { value, cpu } }
  const { bytes, chain, requests, sockets } = await control(server, "stats")
  return { result, sample: { value, cpu, requests, bytes, sockets, chain } }
}

/** The same, of work whose result does not matter. */
export const sample = async (
  work: () => Promise<unknown>,
  options?: { readonly server?: string | undefined }
): Promise<Sample> => (await measure(work, options)).sample

/** Time and processor time of one of many equal parts. */
export const per = (count: number, sample: Sample): Sample => ({
  ...sample,
  value: sample.value / count,
  ...(sample.cpu === undefined ? {} : { cpu: sample.cpu / count })
})

/** What a program holds beyond what it held before. */
export interface Held {
  /** The most that was seen, in bytes; ends the watch. */
  readonly most: () => number
}

/** Watches the memory of the process from now on, every few milliseconds. */
export const holding = (): Held => {
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let most = 0
  const look = (): void => {
    most = Math.max(most, process.memoryUsage.rss() - before)
  }
  const timer = setInterval(look, 5)
  return {
    most: () => {
      clearInterval(timer)
      look()
      return most
    }
  }
}

export const peakMemory = (): number => process.resourceUsage().maxRSS * 1024

/** The sample in the middle. */
export const median = (samples: ReadonlyArray<Sample>): Sample =>
  samples.toSorted((a, b) => a.value - b.value)[Math.floor((samples.length - 1) / 2)]!
