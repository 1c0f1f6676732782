/** Whether VitePress, with the native parts that it brings, loads on this machine. */
export const canLoad = (): Promise<boolean> =>
  import("vitepress").then(
    () => true,
    () => false
  )
