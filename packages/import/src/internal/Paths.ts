/**
 * Paths of nodes, and names that can be part of one.
 *
 * @since 0.1.0
 */

/** A path of a data set below a path of a session. */
export const join = (base: string, path: string): string =>
  `${base.replace(/\/+$/, "")}/${path.replace(/^\/+/, "")}`.replace(/(?<=.)\/$/, "")

/** The paths above one, without the root: those that come first are above the others. */
export const above = (path: string): ReadonlyArray<string> => {
  const names = path.split("/").filter((name) => name !== "")
  return names.slice(0, -1).map((_, i) => `/${names.slice(0, i + 1).join("/")}`)
}

/** A sentence that says why a name cannot be that of a node, or `undefined`. Source: Zarr 3 core specification, "Node names". */
export const nameProblem = (name: string): string | undefined => {
  if (name === "") return "it is empty"
  if (name.includes("/")) return "it contains `/`, which separates names"
  // Readers that make URLs of paths, as zarrita does, take `%2e` for a dot.
  if (/^(?:\.|%2e)+$/i.test(name)) return "it consists of dots only"
  if (name.startsWith("__")) return "it starts with `__`, which Zarr keeps for itself"
  return name.isWellFormed() ? undefined : "it is no well-formed Unicode"
}
