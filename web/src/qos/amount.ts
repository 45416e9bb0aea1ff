// Figures of the forms and tables about shaping.
import { bitRate } from "../format"
import type { Errors } from "../ui/field"

// amount reads a rate or another number; what is none is an error at its field.
export function amount(text: string, name: string, errors: Errors): number | undefined {
  if (!text.trim()) return undefined
  const n = Number(text.trim().replace(",", "."))
  if (!Number.isFinite(n) || n < 0) errors[name] = `“${text.trim()}” is no number`
  return n
}

export const mbps = (n: number | undefined): string => (n === undefined ? "" : bitRate(n * 1e6))

// parts reads what stands with commas or spaces between.
export const parts = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean)
