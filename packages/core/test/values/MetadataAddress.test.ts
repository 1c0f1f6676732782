import { assert, describe, it } from "@effect/vitest"
import { isMetadataHost } from "../../src/values/MetadataAddress.ts"

const hostOf = (host: string): string => new URL(`http://${host}/`).hostname

describe("MetadataAddress.isMetadataHost", () => {
  it.each([
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "metadata",
    "Metadata.Google.Internal.",
    "metadata.goog",
    "metadata.goog..",
    "instance-data",
    "instance-data.ec2.internal",
    "[fe80::a9fe:a9fe]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a83f:8110]",
    "[::169.254.169.254]",
    "[::ffff:0:169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::6464:64c8]",
    "[2002:a9fe:a9fe::1]",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "0xa9.0xfe.169.254",
    "169.254.169.254."
  ])("is true of %s", (host) => {
    assert.isTrue(isMetadataHost(hostOf(host)))
  })

  it.each([
    "localhost",
    "127.0.0.1",
    "169.253.255.255",
    "169.255.0.1",
    "168.63.129.17",
    "100.100.100.201",
    "[::1]",
    "[fd00:ec3::254]",
    "[2001:db8::a9fe:a9fe]",
    "[::ffff:127.0.0.1]",
    "metadata.example.org",
    "my-instance-data",
    "s3.amazonaws.com",
    "169.254.169.254.example.org"
  ])("is false of %s", (host) => {
    assert.isFalse(isMetadataHost(hostOf(host)))
  })
})
