/**
 * Addresses of services, as containers, stores and grants are given them. Pure.
 *
 * @since 0.1.0
 */

/**
 * Whether a host, as `URL.hostname` writes it, is this machine.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isLoopback = (host: string): boolean =>
  /^(.+\.)?localhost\.?$/i.test(host) || /^127(\.\d+){3}$/.test(host) || /^\[(::1|::ffff:7f..?:.*)\]$/.test(host)

/**
 * An endpoint with its scheme: one that is written without, as `localhost:9000`, gets `http` on the loopback and `https`
 * elsewhere. What is not a host then is left as it is, for validation to refuse.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withScheme = <Endpoint extends string | undefined>(endpoint: Endpoint): Endpoint | string => {
  if (endpoint === undefined || /^[a-z][a-z0-9+.-]*:\/\//i.test(endpoint)) return endpoint
  // Parsing writes the address in its one form: 0x7f000001 is 127.0.0.1.
  const url = URL.parse(`http://${endpoint}`)
  if (url === null) return endpoint
  return `${isLoopback(url.hostname) ? "http" : "https"}://${endpoint}`
}

/**
 * The one form in which two endpoints can be compared: with a scheme, that and the host in lower case, without the scheme's own
 * port and without slashes at its end; `undefined` for a text that is not an http or https URL, or that has user information, a
 * query or a fragment.
 *
 * The case of a path counts: another tenant may be behind it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const normalise = (endpoint: string): string | undefined => {
  const whole = withScheme(endpoint)
  const url = /^https?:\/\/[^/\\@?#]+(\/[^?#]*)?$/i.test(whole) ? URL.parse(whole) : null
  return url === null ? undefined : `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, "")}`
}

/**
 * Whether what is sent there may be read on its way: `http` to another machine. Takes a normalised endpoint.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isExposed = (endpoint: string): boolean =>
  endpoint.startsWith("http://") && !isLoopback(URL.parse(endpoint)?.hostname ?? "")
