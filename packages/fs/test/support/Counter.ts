/** A number as an object of 64 KiB in which every part says the number, so that a mixture shows. */
const words = 8 * 1024

export const encode = (count: number): Uint8Array => new Uint8Array(new Float64Array(words).fill(count).buffer)

export const decode = (bytes: Uint8Array): number => {
  const numbers = new Float64Array(bytes.slice().buffer)
  const count = numbers[0]!
  if (numbers.length !== words || numbers.some((number) => number !== count)) throw new Error("a mixture of versions")
  return count
}
