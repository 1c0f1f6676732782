import { defaultClientConditions, defineConfig } from "vite"

export default defineConfig({
  root: import.meta.dirname,
  // Wherever the page is put, its files are found beside it.
  base: "./",
  // Packages of this workspace resolve to their sources.
  resolve: { conditions: ["@effect-icechunk/source", ...defaultClientConditions] },
  build: { target: "es2022", emptyOutDir: true, chunkSizeWarningLimit: 1000 }
})
