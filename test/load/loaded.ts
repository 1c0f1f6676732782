/**
 * Imports modules in a process of its own and prints every module that was loaded for them, each with the one that
 * wanted it first.
 *
 *   node --conditions=@effect-icechunk/source loaded.ts MODULE...
 */
import { registerHooks } from "node:module"

const importers = new Map<string, string | undefined>()
registerHooks({
  resolve: (specifier, context, next) => {
    const resolved = next(specifier, context)
    if (!importers.has(resolved.url)) importers.set(resolved.url, context.parentURL)
    return resolved
  }
})
for (const specifier of process.argv.slice(2)) await import(specifier)
console.log(JSON.stringify([...importers]))
