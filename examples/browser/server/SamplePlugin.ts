/**
 * Tells the page of the sample, at `sample.json` beside it, whether it is built or not.
 */
import type { Connect, Plugin } from "vite"
import type { Sample } from "../src/Sample.ts"

export const samplePlugin = (sample: Sample): Plugin => {
  const answer: Connect.NextHandleFunction = (request, response, next) => {
    if (request.url?.replace(/\?.*/, "") !== "/sample.json") return next()
    response.setHeader("content-type", "application/json")
    response.end(JSON.stringify(sample))
  }
  return {
    name: "sample",
    configureServer: ({ middlewares }) => void middlewares.use(answer),
    configurePreviewServer: ({ middlewares }) => void middlewares.use(answer)
  }
}
