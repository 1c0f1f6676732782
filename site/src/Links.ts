/** Links of a site that lead nowhere: to a page that is not there, or to an anchor that the page does not have. Pure. */

const decoded = (text: string): string => {
  const plain = text.replaceAll("&amp;", "&").replaceAll("&quot;", '"').replaceAll("&#39;", "'")
  try {
    return decodeURIComponent(plain)
  } catch {
    return plain
  }
}

export interface DeadLink {
  readonly page: string
  readonly href: string
  readonly because: "NoPage" | "NoAnchor"
}

export const describe = ({ because, href, page }: DeadLink): string =>
  because === "NoPage"
    ? `${page} leads to \`${href}\`, which is not there`
    : `${page} leads to \`${href}\`: the page is there, the anchor is not`

/**
 * The dead links of a site.
 *
 * @param pages - the HTML of each page, by its path
 * @param files - the paths of all files of the site
 * @param base - the path of the site on its host
 */
export const dead = (
  pages: ReadonlyMap<string, string>,
  files: ReadonlySet<string>,
  base = "/"
): ReadonlyArray<DeadLink> => {
  const ids = new Map(
    Array.from(pages, ([page, html]) => [
      page,
      new Set(Array.from(html.matchAll(/\sid="([^"]*)"/g), ([, id]) => decoded(id!)))
    ])
  )
  const found: Array<DeadLink> = []
  for (const [page, html] of pages) {
    const from = new URL(`http://site${base}${page}`)
    for (const [, , raw] of html.matchAll(/<(?:a|img|link|script)\s[^>]*?(href|src)="([^"]*)"/g)) {
      const href = raw!.replaceAll("&amp;", "&")
      const url = new URL(href, from)
      if (url.host !== "site" || url.protocol !== "http:") continue
      if (!url.pathname.startsWith(base)) {
        found.push({ page, href, because: "NoPage" })
        continue
      }
      const file = decoded(url.pathname.slice(base.length))
      const candidates =
        file === "" || file.endsWith("/") ? [`${file}index.html`] : [file, `${file}.html`, `${file}/index.html`]
      const target = candidates.find((candidate) => files.has(candidate))
      if (target === undefined) found.push({ page, href, because: "NoPage" })
      else if (url.hash.length > 1 && ids.get(target)?.has(decoded(url.hash.slice(1))) !== true) {
        found.push({ page, href, because: "NoAnchor" })
      }
    }
  }
  return found
}
