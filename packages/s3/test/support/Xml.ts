/** The little XML that the S3 server of the tests speaks. */

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;"
}

export const escape = (text: string): string => text.replace(/[&<>"\r]/g, (c) => entities[c]!)

const unescape = (text: string): string =>
  text.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (all, hex: string, decimal: string, name: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal))
    return { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }[name] ?? all
  })

export type Content = string | number | boolean | undefined | ReadonlyArray<Element>
export type Element = readonly [name: string, content: Content]

const render = ([name, content]: Element): string => {
  if (content === undefined) return ""
  return `<${name}>${typeof content === "object" ? content.map(render).join("") : escape(String(content))}</${name}>`
}

export const document = (name: string, content: ReadonlyArray<Element>): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content.map(render).join("")}</${name}>`

/** The texts of all elements of this name, without looking at what is around them. */
export const textsOf = (xml: string, name: string): ReadonlyArray<string> =>
  Array.from(xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g")), ([, text]) => unescape(text!))

export const error = (content: ReadonlyArray<Element>): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n${render(["Error", content])}`
