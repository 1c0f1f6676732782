/**
 * Where requests go: the base URL of a service, in the one form in which two can be compared.
 *
 * @since 0.1.0
 */

/** The hosts of this machine itself. */
const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host)

/**
 * An endpoint with scheme and host in lower case, without the scheme's own port and without slashes at its end;
 * `undefined` for a text that is not an http or https URL, or that has user information, a query or a fragment. Without
 * a scheme it is `http` on the loopback and `https` elsewhere.
 *
 * The case of a path counts: another tenant may be behind it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const normalise = (endpoint: string): string | undefined => {
  const whole = endpoint.includes("://") ? endpoint : withScheme(endpoint)
  const url = /^https?:\/\/[^/\\@?#]+(\/[^?#]*)?$/i.test(whole) ? URL.parse(whole) : null
  return url === null ? undefined : `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, "")}`
}

const withScheme = (endpoint: string): string =>
  isLoopback(URL.parse(`http://${endpoint}`)?.hostname ?? "") ? `http://${endpoint}` : `https://${endpoint}`

/**
 * Whether what is sent there may be read on its way: `http` to another machine. Takes a normalised endpoint.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isExposed = (endpoint: string): boolean =>
  endpoint.startsWith("http://") && !isLoopback(URL.parse(endpoint)?.hostname ?? "")
