/**
 * Addresses at which clouds tell a machine its own secrets. A container is data that anybody may have written, and must
 * not be able to ask there, whatever the credentials.
 *
 * @since 0.1.0
 */

/** Names, in lower case. Each leads to one of the addresses below, and is answered by the cloud's own resolver. */
const names: ReadonlySet<string> = new Set([
  // Google Cloud, 'About VM metadata': short name
  "metadata",
  // Google Cloud, 'About VM metadata'
  "metadata.google.internal",
  // Google Cloud, 'About VM metadata': name for IPv6
  "metadata.goog",
  // Amazon EC2, resolver of a VPC
  "instance-data",
  // Amazon EC2, resolver of a VPC
  "instance-data.ec2.internal",
  // Tencent Cloud, 'Viewing instance metadata'
  "metadata.tencentyun.com",
  // Equinix Metal, 'Metadata'
  "metadata.platformequinix.com",
  // Equinix Metal, former name
  "metadata.packet.net"
])

/** Networks in CIDR notation. */
const networks: ReadonlyArray<string> = [
  // RFC 3927, link-local: EC2, ECS, Google, Azure, OpenStack, DigitalOcean, Hetzner, Oracle
  "169.254.0.0/16",
  // Azure, 'What is IP address 168.63.129.16?': WireServer
  "168.63.129.16/32",
  // Alibaba Cloud, 'Instance metadata'
  "100.100.100.200/32",
  // Oracle Cloud Classic, 'Instance metadata'
  "192.0.0.192/32",
  // RFC 4291, link-local: OpenStack
  "fe80::/10",
  // Amazon EC2, 'Instance metadata service': IPv6
  "fd00:ec2::/32",
  // Google Cloud, 'About VM metadata': IPv6
  "fd20:ce::/32",
  // Scaleway, 'Instance metadata': IPv6
  "fd00:42::/32"
]

/** IPv6 prefixes that carry an IPv4 address, and the group in which it begins. */
const carriers: ReadonlyArray<readonly [network: string, at: number]> = [
  // RFC 4291, IPv4-mapped
  ["::ffff:0:0/96", 6],
  // RFC 4291, IPv4-compatible
  ["::/96", 6],
  // RFC 2765, IPv4-translated
  ["::ffff:0:0:0/96", 6],
  // RFC 6052, NAT64
  ["64:ff9b::/96", 6],
  // RFC 8215, local NAT64, where the address is at the end
  ["64:ff9b:1::/48", 6],
  // RFC 3056, 6to4
  ["2002::/16", 1]
]

/** An address in groups of 16 bits: two or eight. */
type Groups = ReadonlyArray<number>

const groupsOf = (address: string): Groups => {
  if (!address.includes(":")) {
    const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number)
    return [(a << 8) | b, (c << 8) | d]
  }
  const [head = "", tail] = address.split("::")
  const numbers = (text: string | undefined): Array<number> =>
    text === undefined || text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16))
  const [first, last] = [numbers(head), numbers(tail)]
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last]
}

const isIn = (groups: Groups, network: string): boolean => {
  const [address = "", length = ""] = network.split("/")
  const of = groupsOf(address)
  return (
    of.length === groups.length &&
    of.every((group, i) => {
      const bits = Math.min(16, Math.max(0, Number(length) - i * 16))
      return group >> (16 - bits) === groups[i]! >> (16 - bits)
    })
  )
}

/**
 * Whether a host, as `URL` writes it, is an address of cloud metadata or a name of one. `URL` has one form for each
 * address: `0xa9fea9fe`, `2852039166` and `0251.0376.0251.0376` are `169.254.169.254`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isMetadataHost = (host: string): boolean => {
  const name = host.toLowerCase().replace(/\.+$/, "")
  if (names.has(name)) return true
  const isV6 = /^\[[0-9a-f:]+\]$/.test(name)
  if (!isV6 && !/^\d+(\.\d+){3}$/.test(name)) return false
  const groups = groupsOf(isV6 ? name.slice(1, -1) : name)
  const carried = isV6 ? carriers.filter(([network]) => isIn(groups, network)) : []
  return [groups, ...carried.map(([, at]) => groups.slice(at, at + 2))].some((one) =>
    networks.some((network) => isIn(one, network))
  )
}
