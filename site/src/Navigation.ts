/**
 * The order of the pages and their titles in the navigation. A page that is listed and not there is left out; one that is
 * there and not listed comes last, under its own heading.
 */

export interface Section {
  readonly text: string
  /** Path of the page below `docs/`, without `.md`, and its title in the navigation. */
  readonly pages: ReadonlyArray<readonly [path: string, title: string]>
}

export const sections: ReadonlyArray<Section> = [
  {
    text: "Start",
    pages: [
      ["index", "What it is"],
      ["start-node", "In Node"],
      ["start-browser", "In a browser"],
      ["for-git-users", "For people who know git"],
      ["python", "Coming from Python"],
      ["overview", "README"],
      ["features", "Features"]
    ]
  },
  {
    text: "Virtual data",
    pages: [
      ["virtual-chunks", "Virtual chunks and containers"],
      ["clouds", "Several clouds"],
      ["import", "From NetCDF, HDF5 and Zarr"],
      ["import/hdf5", "HDF5 and NetCDF-4"],
      ["import/hdf5-chunks", "Chunks of HDF5"],
      ["import/grib2", "GRIB 2"],
      ["import/kerchunk", "kerchunk"],
      ["checksums", "Checksums"],
      ["dependencies", "What a repository depends on"]
    ]
  },
  {
    text: "Reading and writing",
    pages: [
      ["reading", "Reading chunks"],
      ["zarr", "Zarr metadata and keys"],
      ["codecs", "Codecs"],
      ["editing", "Changing what is there"],
      ["transactions", "Writing together"],
      ["distributed", "Writing with many machines"]
    ]
  },
  {
    text: "Versions and upkeep",
    pages: [
      ["history", "History, status and files"],
      ["forks", "Bringing forks home"],
      ["maintenance", "Keeping a repository in order"],
      ["migration", "Repositories of Icechunk 1"],
      ["configuration", "Configuration"]
    ]
  },
  {
    text: "In your program",
    pages: [
      ["testing", "Testing with Layers"],
      ["observability", "Tracing and metrics"],
      ["browsers", "Browsers"],
      ["runtimes", "Where it runs"],
      ["performance", "Performance"],
      ["security", "Security"]
    ]
  },
  {
    text: "Backends",
    pages: [
      ["backends/fs", "Directories and files"],
      ["backends/s3", "S3 and compatible stores"],
      ["backends/gcs", "Google Cloud Storage"],
      ["backends/tigris", "Tigris"],
      ["http", "HTTP and public buckets"],
      ["guarantees", "Guarantees by backend"]
    ]
  },
  {
    text: "Reference",
    pages: [
      ["errors", "Errors"],
      ["troubleshooting", "Troubleshooting"],
      ["faq", "Questions and answers"],
      ["api/index", "API"]
    ]
  }
]

export interface Item {
  readonly text: string
  readonly link: string
}

export interface Group {
  readonly text: string
  readonly items: ReadonlyArray<Item>
  readonly collapsed?: boolean
}

export interface Navigation {
  readonly groups: ReadonlyArray<Group>
  /** Pages that are listed here and not there. */
  readonly missing: ReadonlyArray<string>
}

/** The address of a page on the site. */
export const linkOf = (page: string): string => `/${page.replace(/(^|\/)index$/, "$1")}`

/** The navigation of the pages that there are: their paths, with the titles that they give themselves. */
export const navigation = (pages: ReadonlyMap<string, string>): Navigation => {
  const listed = new Set(sections.flatMap((section) => section.pages.map(([page]) => page)))
  const groups = sections.map((section) => ({
    text: section.text,
    items: section.pages.flatMap(([page, text]) => (pages.has(page) ? [{ text, link: linkOf(page) }] : []))
  }))
  const others = Array.from(pages)
    .filter(([page]) => !listed.has(page))
    .map(([page, text]) => ({ text, link: linkOf(page) }))
  const missing = Array.from(listed).filter((page) => !pages.has(page))
  return { groups: [...groups, { text: "More", items: others }].filter(({ items }) => items.length > 0), missing }
}
