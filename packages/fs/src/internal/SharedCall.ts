/**
 * A question to the system that many ask at once. Those that come while it is being answered are told the answer to the
 * next one, which is asked after they came: no answer is older than its question.
 */
export const make = <A>(ask: (answer: (value: A) => void) => void): ((tell: (value: A) => void) => void) => {
  let isAsked = false
  let waiting: Array<(value: A) => void> = []
  const next = (): void => {
    isAsked = true
    const told = waiting
    waiting = []
    ask((value) => {
      if (waiting.length > 0) next()
      else isAsked = false
      for (const tell of told) tell(value)
    })
  }
  return (tell) => {
    waiting.push(tell)
    if (!isAsked) next()
  }
}
