export interface Place {
  line: number
  column: number
  offset: number // of the text, in its own units
  length: number
  before: string // of the place, in its line
  marked: string
  after: string
}

// place finds in a text what a message that begins with line:column is about. The
// parser counts columns in bytes.
export function place(text: string, message: string): Place | undefined {
  const [, l, c] = message.match(/^(\d+):(\d+): /) ?? []
  if (!l) return undefined
  const line = Number(l)
  const column = Number(c)
  const all = text.split("\n")
  const whole = all[line - 1]
  if (whole === undefined) return undefined
  const bytes = new TextEncoder().encode(whole)
  const before = new TextDecoder().decode(bytes.slice(0, column - 1))
  const rest = whole.slice(before.length)
  const marked = rest.match(/^[\w.$-]+|^./)?.[0] ?? " "
  const offset = all.slice(0, line - 1).reduce((n, s) => n + s.length + 1, 0) + before.length
  return { line, column, offset, length: marked.length, before, marked, after: rest.slice(marked.length) }
}
