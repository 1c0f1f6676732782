/** Where the site will be, as `SITE_URL` says it: links of what is read elsewhere need it, and pages below a path do. Pure. */

export interface Address {
  readonly origin: string
  /** The path of the site, with a slash at both ends. */
  readonly base: string
}

/** At the top of whatever host serves it; its links have no host then. */
export const unknown: Address = { origin: "", base: "/" }

/** An address, or what is wrong with it. */
export const parse = (text: string | undefined): Address | { readonly problem: string } => {
  if (text === undefined || text === "") return unknown
  const wrong = (because: string): { readonly problem: string } => ({
    problem: `SITE_URL ${because}; give the address of the site, such as https://docs.example.org/icechunk/`
  })
  if (!URL.canParse(text)) return wrong("is not a URL")
  const { hash, origin, pathname, password, protocol, search, username } = new URL(text)
  if (protocol !== "https:" && protocol !== "http:") return wrong("is not an address of the web")
  if (search !== "" || hash !== "") return wrong("has a query or an anchor")
  if (username !== "" || password !== "") return wrong("has a user or a password")
  return { origin, base: pathname.endsWith("/") ? pathname : `${pathname}/` }
}

/** The address of a page, which begins with a slash on the site. */
export const of = ({ base, origin }: Address, link: string): string => `${origin}${base}${link.slice(1)}`
