/**
 * What zarrita's registry of codecs holds, as far as it is used here.
 *
 * @since 0.1.0
 */
export interface ZarritaRegistry {
  readonly set: (name: string, entry: () => Promise<never>) => unknown
}
