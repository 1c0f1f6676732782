/**
 * Every example runs, in a process of its own, and prints what it should.
 */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { PNG } from "pngjs"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"

vi.setConfig({ testTimeout: 120_000 })

const root = path.resolve(import.meta.dirname, "..")
const examples = path.join(root, "examples")

let directory: string
beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "icechunk-examples-"))
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

interface Ran {
  readonly code: number
  readonly output: string
}

const run = (example: string, options: { readonly output: string; readonly env?: NodeJS.ProcessEnv }): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [
        "--conditions=@effect-icechunk/source",
        "--disable-warning=ExperimentalWarning",
        path.join(examples, example),
        options.output
      ],
      { cwd: directory, env: { ...process.env, ...options.env } },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr })
    )
  })

it("there are no examples that are not run here", () => {
  expect(fs.readdirSync(examples).filter((file) => file.endsWith(".ts"))).toEqual([
    "distributed-cluster.ts",
    "distributed-threads.ts",
    "egm96.ts",
    "environments.ts",
    "git.ts",
    "history.ts",
    "inspect.ts",
    "many-chunks.ts",
    "netcdf.ts",
    "opentelemetry.ts",
    "quickstart.ts",
    "rearrange.ts",
    "s3-and-gcs.ts",
    "s3-endpoint.ts",
    "s3-region.ts",
    "s3.ts",
    "start-node.ts",
    "three-credentials.ts",
    "together.ts"
  ])
})

describe("egm96", () => {
  it("writes, reads, compares and refuses, twice in the same directory", async () => {
    for (let i = 0; i < 2; i++) {
      const { code, output } = await run("egm96.ts", { output: "demo" })
      expect(output).toContain("−106.99 m  4.75° N, 78.75° E")
      expect(output).toContain("85.39 m  8.25° S, 147.25° E")
      expect(output).toMatch(/\/egm96\/geoid +721 × 1440 +103 virtual chunks/)
      expect(output).toMatch(
        /equal, byte for byte +103 virtual chunks  whose checksum the engine verified\n +16 native chunks\n +35 inline chunks/
      )
      expect(output).toMatch(/vcc:\/\/geoid\/egm96_15\.gtx +103 chunks of it, 4\.15 MB/)
      expect(output).toMatch(/fails with +ChecksumMismatch\n +`vcc:\/\/geoid\/egm96_15\.gtx` has changed/)
      expect(output).toMatch(/fails with +MissingContainer\n +No container matches/)
      expect(output).not.toContain(os.tmpdir())
      expect(output).not.toContain("\u001B")
      expect(code).toBe(0)
    }
    const { data, height, width } = PNG.sync.read(fs.readFileSync(path.join(directory, "demo/egm96.png")))
    const colors = new Set(Array.from({ length: width * height }, (_, i) => data.readUInt32BE(i * 4)))
    expect({ width, colorful: colors.size > 10_000 }).toEqual({ width: 1600, colorful: true })
  })

  it("compares with the WebAssembly build of the official engine where that is asked for", async () => {
    const { code, output } = await run("egm96.ts", { output: "wasm", env: { NAPI_RS_FORCE_WASI: "1" } })
    expect(output).toMatch(/engine +@earthmover\/icechunk, WebAssembly build/)
    expect(code).toBe(0)
  })

  it("ends with another code than 0 when something goes wrong", async () => {
    fs.writeFileSync(path.join(directory, "file"), "no directory")
    const { code } = await run("egm96.ts", { output: "file" })
    expect(code).toBe(1)
  })
})

describe("inspect", () => {
  it("prints what a repository depends on, without credentials", async () => {
    await run("quickstart.ts", { output: "inspected" })
    const { code, output } = await run("inspect.ts", { output: "inspected" })
    expect(output).toMatch(/geoid {2}geoid:\/\/ on fs, .*examples\/data\n +credentials +needed: /)
    expect(output).toContain("geoid  1 chunks of 1 object(s), 4152960 bytes")
    expect(code).toBe(0)
  })

  it("ends with another code than 0 where there is no repository", async () => {
    const { code, output } = await run("inspect.ts", { output: "nothing-here" })
    expect(output).toContain("There is no Icechunk repository")
    expect(code).toBe(1)
  })
})

describe("history", () => {
  it("prints what was done and what changed", async () => {
    await run("quickstart.ts", { output: "history" })
    const { code, output } = await run("history.ts", { output: "history" })
    expect(output).toMatch(/^status {4}Online\nfile {6}\{"key":"repo",/)
    expect(output).toMatch(/operations\n {2}\S+Z {2}NewCommit\n {2}\S+Z {2}RepoInitialized\n/)
    expect(output).toMatch(/snapshots\n {2}\w{20} {2}main {2}EGM96, not copied\n/)
    expect(output).toContain("    new      /\n    new      /heights\n    chunks   /heights: 1, [0,0]…\n")
    expect(output).toMatch(/ {2}1CECHNKREP0F1RSTCMT0 {2}.*\n$/)
    expect(code).toBe(0)
  })
})

describe("netcdf", () => {
  it("puts days together, appends one, and refuses what is packed otherwise or has changed", async () => {
    const { code, output } = await run("netcdf.ts", { output: "netcdf" })
    expect(output).toMatch(/virtual chunks +14\n +times +12\n +drawn +three-days\.png/)
    expect(output).toMatch(/times +16\n +drawn +four-days\.png/)
    expect(output).toMatch(/CannotConcatenate\n[^]*`attributes\.scale_factor` is\s+0\.02, not 0\.01/)
    expect(output).toMatch(/ChecksumMismatch\n +`vcc:\/\/days\/2026-11-29\.nc` has changed/)
    expect(code).toBe(0)
    const { height, width } = PNG.sync.read(fs.readFileSync(path.join(directory, "netcdf/four-days.png")))
    expect([width, height]).toEqual([720, 360])
  })
})

describe("quickstart", () => {
  it("reads the geoid through zarrita", async () => {
    const { code, output } = await run("quickstart.ts", { output: "quickstart" })
    expect(output).toBe("The geoid at 0° N, 180° W is 21.15 m above the ellipsoid\n")
    expect(code).toBe(0)
  })

  it("is the program of the README", () => {
    const readme = fs.readFileSync(path.join(root, "README.md"), "utf8")
    expect(readme).toContain(fs.readFileSync(path.join(examples, "quickstart.ts"), "utf8"))
  })
})

/** A program as it stands in another one, where lines are indented and broken otherwise. */
const unindented = (program: string): string => program.replaceAll(/\s+/g, "")

const expectPrograms = (file: string, page: string, atLeast = 3): void => {
  const guide = fs.readFileSync(path.join(root, page), "utf8")
  const programs = Array.from(guide.matchAll(/```ts\n([^]*?)```/g), ([, program]) => program!)
  expect(programs.length).toBeGreaterThanOrEqual(atLeast)
  const example = unindented(fs.readFileSync(path.join(examples, file), "utf8"))
  for (const program of programs) expect(example).toContain(unindented(program))
}

describe("many-chunks", () => {
  it("reads the chunks of an array at once, and as a stream", async () => {
    const { code, output } = await run("many-chunks.ts", { output: "many-chunks" })
    expect(output).toBe("read at once: 721 of 722 chunks\nstreamed: 4152960 bytes\n")
    expect(code).toBe(0)
  })

  it("has every program of the guide to reading", () => expectPrograms("many-chunks.ts", "docs/reading.md"))
})

describe("start-node", () => {
  it("writes, reads and looks back, also where there is a repository already", async () => {
    const lines = "mean 16.5\nmean 15\na warm first row\n15 degrees everywhere\n"
    const first = await run("start-node.ts", { output: "start-node" })
    expect(first).toEqual({ code: 0, output: `${lines}Repository initialized\n` })
    const page = fs.readFileSync(path.join(root, "docs/start-node.md"), "utf8")
    expect(page).toContain(first.output)
    const second = await run("start-node.ts", { output: "start-node" })
    expect(second.output.startsWith(lines)).toBe(true)
  })

  it("has every program of the first guide", () => expectPrograms("start-node.ts", "docs/start-node.md"))
})

describe("git", () => {
  it("does what the commands of git do", async () => {
    const { code, output } = await run("git.ts", { output: "" })
    expect(output).toBe(
      "status: 1 array changed\n" +
        "merged: 1 commit\n" +
        "log: the second hour\n" +
        "log: the third hour\n" +
        "log: the first hour\n" +
        "log: Repository initialized\n" +
        "diff: /wind, 2 chunks\n" +
        "reflog: BranchDeleted\n" +
        "reflog: BranchReset\n"
    )
    expect(code).toBe(0)
  })

  it("has every program of the guide for people who know git", () => expectPrograms("git.ts", "docs/for-git-users.md"))
})

describe("opentelemetry", () => {
  it("sends spans, one below the other, and metrics to a collector", async () => {
    const { code, output } = await run("opentelemetry.ts", { output: "opentelemetry" })
    expect(output).toMatch(/^work\n {2}Repository\.create\n/)
    expect(output).toMatch(/\n {2}Repository\.transact\n(?: {4}.*\n)+/)
    expect(output).toMatch(/\n {4}Session\.commit\n(?: {6}.*\n)+/)
    expect(output).toMatch(/\n {2}read\n {4}ObjectStore\.get {2}chunks\/\w{20}\n/)
    expect(output).not.toContain("Session.chunk\n")
    expect(output).toMatch(/icechunk_requests put \d+\n/)
    expect(output).toMatch(/icechunk_bytes_received {2}4096\n/)
    expect(code).toBe(0)
  })

  it("has every program of the guide to tracing", () => expectPrograms("opentelemetry.ts", "docs/observability.md", 2))
})

describe("backends", () => {
  it.each(["fs", "s3", "gcs", "tigris"])("the stores of the page on %s are made so", (page) =>
    expectPrograms("src/Backends.ts", `docs/backends/${page}.md`, 1)
  )
})

describe("together", () => {
  it("commits at the same time, tells of a conflict, and merges", async () => {
    const { code, output } = await run("together.ts", { output: "together" })
    expect(output).toBe(
      "committed at the same time: 12\n" +
        "conflict: chunk [0] of `/bremen` was written here and by others\n" +
        'merged: {"by":"other","title":"stations","licence":"CC0-1.0"}\n' +
        "commits: 19\n"
    )
    expect(code).toBe(0)
  })

  it("has every program of the guide to writing together", () => expectPrograms("together.ts", "docs/transactions.md"))
})

describe("distributed", () => {
  it("fills pieces of a session in threads, and commits once", async () => {
    const { code, output } = await run("distributed-threads.ts", { output: "threads" })
    expect(output).toBe("4 threads wrote 512 chunks, in 1 commit\n")
    expect(code).toBe(0)
  })

  it("fills them in a cluster whose messages are in SQL, also when a message comes twice", async () => {
    const { code, output } = await run("distributed-cluster.ts", { output: "cluster" })
    expect(output).toBe("8 pieces, 8 messages in SQL, 256 chunks in one commit\n")
    expect(code).toBe(0)
  })

  it("is as the guide to it says", () => {
    const guide = fs.readFileSync(path.join(root, "docs/distributed.md"), "utf8")
    const programs = Array.from(guide.matchAll(/```ts\n([^]*?)```/g), ([, program]) => program!)
    expect(programs.length).toBeGreaterThan(2)
    const all = ["distributed-threads.ts", "distributed-cluster.ts", "src/Filling.ts", "src/FillWorker.ts"]
      .map((file) => unindented(fs.readFileSync(path.join(examples, file), "utf8")))
      .join("\n")
    for (const program of programs) expect(all).toContain(unindented(program))
  })
})

describe("rearrange", () => {
  it("shifts, moves, copies, flushes and amends", async () => {
    const { code, output } = await run("rearrange.ts", { output: "rearrange" })
    expect(output).toBe(
      "for review: day 4 comes first\n" +
        "/archive\n" +
        "/archive/gusts  1000 chunks\n" +
        "/archive/wind  4 chunks\n" +
        "/archive/wind-as-it-was  4 chunks\n" +
        'gusts {"author":"rearrange.ts"}\n' +
        'archived, with the array as it was {"author":"rearrange.ts"}\n' +
        'a day later {"author":"rearrange.ts"}\n' +
        'four days {"author":"rearrange.ts"}\n'
    )
    expect(code).toBe(0)
  })

  it("has every program of the guide to changing what is there", () =>
    expectPrograms("rearrange.ts", "docs/editing.md"))
})

describe("environments", () => {
  it("forks production for alice and bob, shows that they are isolated, and deletes all three", async () => {
    const { code, output } = await run("environments.ts", { output: "environments", env: { ENV: "elsewhere" } })
    expect(output).toMatch(
      /menu of alice +SOUP +0\.01 \| BREAD +0\.01\n +menu of production +soup +3\.50 \| bread +1\.20\n/
    )
    expect(output).toMatch(
      /environments +alice, bob, production\n +delete production +.* other buckets are forks of it/
    )
    expect(output).toMatch(/environments +none\n$/)
    expect(output).not.toMatch(/Signature|secret/)
    expect(code).toBe(0)
  })

  it("ends with another code than 0 when something goes wrong", async () => {
    const { code, output } = await run("environments.ts", { output: "nowhere", env: { TMPDIR: "/does/not/exist" } })
    expect(output).not.toContain("menu")
    expect(code).toBe(1)
  })
})

/** The real server of the tests of S3, as the examples want to be told of one. */
const realServer = {
  EXAMPLE_S3_ENDPOINT: process.env["TEST_S3_ENDPOINT"],
  EXAMPLE_S3_ACCESS_KEY: process.env["TEST_S3_ACCESS_KEY"],
  EXAMPLE_S3_SECRET_KEY: process.env["TEST_S3_SECRET_KEY"],
  EXAMPLE_S3_REGION: process.env["TEST_S3_REGION"]
}

describe("s3", () => {
  it("reads virtual chunks with the credentials of the repository's store, and refuses changed ones", async () => {
    const { code, output } = await run("s3.ts", { output: "" })
    expect(output).toMatch(
      /0° N, 180° W +21\.15 m\n +fetched +40\.3 kB  in 1 request\n +signed by +access key `example`/
    )
    expect(output).toMatch(/fails with +ChecksumMismatch/)
    expect(code).toBe(0)
  })

  it("ends with another code than 0 where there is no server", async () => {
    const { code, output } = await run("s3.ts", { output: "", env: { EXAMPLE_S3_ENDPOINT: "http://127.0.0.1:9" } })
    expect(output).toContain("ECONNREFUSED")
    expect(code).toBe(1)
  })
})

describe("s3-region", () => {
  it("reads from the persisted region, and from that of the override, each at once", async () => {
    const { code, output } = await run("s3-region.ts", { output: "" })
    expect(output).toContain("vcc://geoid/egm96_15.gtx")
    expect(output).toMatch(/example-frankfurt-\w+\n +signed for +eu-central-1  in 1 request/)
    expect(output).toMatch(/example-sydney-\w+\n +signed for +ap-southeast-2  in 1 request/)
    expect(code).toBe(0)
  })
})

describe("s3-endpoint", () => {
  it("reads each prefix from its own server, and does not send credentials to another one", async () => {
    const { code, output } = await run("s3-endpoint.ts", { output: "" })
    expect(output).toMatch(/85\.39 m  from the other one\n.+−106\.99 m  from the local server/)
    expect(output).toMatch(/fails with +MissingCredentials/)
    expect(code).toBe(0)
  })
})

describe.skipIf(realServer.EXAMPLE_S3_ENDPOINT === undefined)("on the real server of TEST_S3_ENDPOINT", () => {
  it.each(["s3.ts", "s3-region.ts", "s3-endpoint.ts"])("%s runs", async (example) => {
    const { code, output } = await run(example, { output: "", env: realServer })
    expect(output).toContain(realServer.EXAMPLE_S3_ENDPOINT)
    expect(output).toMatch(/21\.15 m|−106\.99 m/)
    expect(code).toBe(0)
  })
})

describe("s3-and-gcs", () => {
  it("reads a repository on S3 and its chunks on GCS, each cloud with its own credentials", async () => {
    const { code, output } = await run("s3-and-gcs.ts", { output: "" })
    expect(output).toMatch(
      /0° N, 180° W +21\.15 m\n +S3 was asked by +key-of-home\n +GCS was asked by +token-of-data\n/
    )
    expect(output).toMatch(/fails with +MissingCredentials\n +Container `gcs` on `gcs` needs credentials/)
    expect(code).toBe(0)
  })

  it.each<readonly [string, NodeJS.ProcessEnv]>([
    [
      "s3",
      { EXAMPLE_HOME_BUCKET: "home", EXAMPLE_HOME_ENDPOINT: "http://127.0.0.1:9", EXAMPLE_HOME_ACCESS_KEY: "key" }
    ],
    ["gcs", { EXAMPLE_DATA_BUCKET: "data", EXAMPLE_DATA_ENDPOINT: "no endpoint" }]
  ])("ends with another code than 0 where the place on %s that the environment names is none", async (_, env) => {
    const { code, output } = await run("s3-and-gcs.ts", { output: "", env })
    expect(output).toMatch(/ECONNREFUSED|The GCS store cannot be made: `endpoint`/)
    expect(code).toBe(1)
  })
})

describe("three-credentials", () => {
  it("reads three arrays with three sets of credentials, and names the container whose are missing", async () => {
    const { code, output } = await run("three-credentials.ts", { output: "" })
    expect(output).toContain("vcc://modela/run-1/t.bin  vcc://modelb/run-1/t.bin  vcc://modelc/run-1/t.bin")
    expect(output).toMatch(
      /A was asked by +token-of-model-a\n +B was asked by +token-of-model-b\n +C was asked by +key-of-model-c\n/
    )
    expect(output).toMatch(/fails with +MissingCredentials\n +Container `modelb` on `gcs` needs credentials/)
    expect(code).toBe(0)
  })
})
