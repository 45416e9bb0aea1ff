// What is written of sections that judge no packets, and what the router made of it.
import type { ComponentChildren } from "preact"
import { useState } from "preact/hooks"
import { answer, type Request } from "./api/client"
import { asError, type ApiError } from "./api/failure"
import { useFleet } from "./fleet"
import { Converging } from "./firewall/converging"
import { Failure } from "./ui/state"

export interface Save {
  // send is true where the server stored it. What is wrong with fields goes to
  // refused, everything else into note.
  send: (r: Request, refused?: (e: ApiError) => void) => Promise<boolean>
  busy: boolean
  error?: ApiError // for the dialog that asked; the note is behind it
  note: ComponentChildren
}

export function useSave(device: string): Save {
  const { devices } = useFleet()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<ApiError>()
  const [made, setMade] = useState<{ version: number; at: number }>()

  const send: Save["send"] = async (r, refused) => {
    setBusy(true)
    setError(undefined)
    try {
      const res = await answer({ ...r, device })
      setMade({ version: Number(res.headers.get("X-Config-Version") ?? 0), at: Date.now() })
      return true
    } catch (e) {
      const failed = asError(e)
      if (refused && failed.fields.length) refused(failed)
      else setError(failed)
      return false
    } finally {
      setBusy(false)
    }
  }
  const name = devices.data?.find((d) => d.id === device)?.name ?? "the router"
  return {
    send,
    busy,
    error,
    note: (
      <>
        {error && <Failure error={error} />}
        {made && !error && <Converging key={made.version} device={device} name={name} version={made.version} since={made.at} />}
      </>
    ),
  }
}

// toWrong leads to the first field that was refused.
export function toWrong() {
  requestAnimationFrame(() => [...document.querySelectorAll<HTMLElement>('[aria-invalid="true"]')].find((e) => e.checkVisibility())?.focus())
}

// lines reads a list that stands one to a line.
export const lines = (text: string): string[] => text.split(/[\n,]+/).map((l) => l.trim()).filter(Boolean)
