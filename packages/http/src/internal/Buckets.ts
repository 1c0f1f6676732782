/**
 * Where the buckets of Amazon S3 and Google Cloud Storage are, for requests that nobody signs. Pure.
 *
 * Sources: "Virtual hosting of general purpose buckets" and "Making requests to S3 over dual-stack endpoints"; "Request
 * endpoints" of Google's XML API.
 */

/** What names a bucket that is not part of a host name, because that has dots or no certificate covers it. */
export const isHostName = (bucket: string): boolean => /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket)

const isRegion = (region: string): boolean => /^[a-z]{2}(?:-[a-z0-9]+)+$/.test(region)

/** Amazon's own host for a region; without one, that which knows the region of most buckets by their name. */
const s3Host = (region: string | undefined): string =>
  region === undefined ? "s3.amazonaws.com" : `s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`

/** The URL of a bucket on Amazon S3, without a slash at its end. */
export const s3 = (bucket: string, region: string | undefined): string =>
  isHostName(bucket) ? `https://${bucket}.${s3Host(region)}` : `https://${s3Host(region)}/${encodeURIComponent(bucket)}`

/** The URL of a bucket at an endpoint of its own. */
export const at = (endpoint: string, bucket: string, isInPath: boolean): string => {
  const base = endpoint.replace(/\/+$/, "")
  return isInPath || !isHostName(bucket)
    ? `${base}/${encodeURIComponent(bucket)}`
    : base.replace("://", `://${bucket}.`)
}

/** The URL of a bucket on Google Cloud Storage. */
export const gcs = (bucket: string): string => `https://storage.googleapis.com/${encodeURIComponent(bucket)}`

/** The region that a refusal of S3 names: in a header, where CORS shows it, or in its body. */
export const regionIn = (headers: Headers, said: string): string | undefined => {
  const named =
    headers.get("x-amz-bucket-region") ??
    /<Region>([a-z0-9-]{1,40})<\/Region>/.exec(said)?.[1] ??
    /<Endpoint>[^<]*\bs3[.-]([a-z0-9-]{1,40})\.amazonaws\.com/.exec(said)?.[1]
  return named !== undefined && isRegion(named) ? named : undefined
}

/** Amazon's own endpoints for S3, and the buckets below them. */
export const isAmazon = (url: string): boolean =>
  /^https:\/\/(?:[^/?#@]+\.)?s3[a-z0-9.-]*\.amazonaws\.com(?:\.cn)?\//.test(url)
