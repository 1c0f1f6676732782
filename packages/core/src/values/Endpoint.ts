/**
 * Addresses of services, as containers and stores are given them. Pure.
 *
 * @since 0.1.0
 */

const scheme = /^[a-z][a-z0-9+.-]*:\/\//i

/**
 * An endpoint with its scheme: one that is written without, as `localhost:9000`, gets `http` on the loopback and `https`
 * elsewhere. What is no host then is left as it is, for validation to refuse.
 *
 * @category combinators
 * @since 0.1.0
 */
export const normalise = <Endpoint extends string | undefined>(endpoint: Endpoint): Endpoint | string => {
  if (endpoint === undefined || scheme.test(endpoint)) return endpoint
  // Parsing writes the address in its one form: 0x7f000001 is 127.0.0.1.
  const url = URL.parse(`http://${endpoint}`)
  if (url === null) return endpoint
  return `${isLoopback(url.hostname) ? "http" : "https"}://${endpoint}`
}

/**
 * Whether a host, as `URL.hostname` writes it, is this machine.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isLoopback = (host: string): boolean =>
  /^(.+\.)?localhost\.?$/i.test(host) || /^127(\.\d+){3}$/.test(host) || /^\[(::1|::ffff:7f..?:.*)\]$/.test(host)
